"""The schema that migrations make is the schema that the code expects, whoever runs them, however often."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import VERSION_TABLE, downgrade, migrate
from shelfops_pipeline.store.tables import metadata


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_up_down_and_up_again(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    migrate(engine)
    migrate(engine)
    assert tables(engine) == {*metadata.tables, VERSION_TABLE}
    downgrade(engine)
    assert tables(engine) == {VERSION_TABLE}
    migrate(engine)
    assert tables(engine) == {*metadata.tables, VERSION_TABLE}
    engine.dispose()


def test_migrations_make_exactly_the_declared_tables(warehouse: Engine) -> None:
    with warehouse.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_two_processes_may_migrate_at_once(postgres_url: str) -> None:
    code = (
        "import sys; from shelfops_pipeline.store.engine import open_engine;"
        "from shelfops_pipeline.store.migrate import migrate; migrate(open_engine(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, postgres_url]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    engine = open_engine(postgres_url)
    assert tables(engine) == {*metadata.tables, VERSION_TABLE}
    engine.dispose()


def test_a_failed_migration_leaves_nothing(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE quarantined_transactions (mine int)"))
    with pytest.raises(Exception, match="already exists"):
        migrate(engine)
    assert tables(engine) == {"quarantined_transactions"}
    engine.dispose()
