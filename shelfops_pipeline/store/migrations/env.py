"""Alembic runs this with the connection that `store.migrate` opened, inside its transaction."""

from alembic import context

from shelfops_pipeline.store.migrate import VERSION_TABLE
from shelfops_pipeline.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
