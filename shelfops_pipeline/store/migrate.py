"""Bring a warehouse's tables to the version this package needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import lock_key

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).parent / "migrations"
API_ROLE: Final = Path(__file__).parent / "api_role.sql"
PATIENCE: Final = 10.0
"""Seconds that a migration waits for a table; while it waits, everybody who comes later waits behind it."""
# Dagster and MLflow keep Alembic's default table; either may be in the same database.
VERSION_TABLE: Final = "shelfops_schema_version"


def migrate(engine: Engine, revision: str = "head", *, patience: float = PATIENCE) -> None:
    """Upgrade to `revision`, the newest by default. Idempotent, atomic, safe when two processes call it at once.

    Raises ShelfOpsError when a table is in use for `patience` seconds: whoever comes later would wait behind us.
    """
    _run(engine, "upgrade", revision, patience)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Go back to `revision`; "base" drops the warehouse's tables and everything in them. Raises as `migrate` does."""
    _run(engine, "downgrade", revision, PATIENCE)


def grant_api(engine: Engine) -> None:
    """Give the role `shelfops_api` the rights of `api_role.sql`, and no other on these tables. Idempotent."""
    with engine.begin() as connection:
        for statement in API_ROLE.read_text().split(";"):
            if statement.strip():
                connection.execute(text(statement))


def newest_revision() -> str:
    """The revision that this package's tables are of: its last script's. Needs no Alembic."""
    return revisions()[0]


def revisions() -> list[str]:
    """Every revision that this package knows, the newest first. Needs no Alembic."""
    return sorted((path.name[1:5] for path in (SCRIPTS / "versions").glob("r[0-9]*.py")), reverse=True)


def revision_of(engine: Engine) -> str | None:
    """The revision that the warehouse's tables are of; None: it was never migrated.

    Raises SQLAlchemyError, also where the role may not read the version.
    """
    with engine.connect() as connection:
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is None:
            return None
        found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found


def _run(engine: Engine, direction: str, revision: str, patience: float) -> None:
    from alembic import command  # only writers migrate; readers such as the API do not install Alembic

    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("migrate")})
        # Only now: the lock above is that of another migration, which may take its time.
        connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": f"{patience:g}s"})
        config = _config()
        config.attributes["connection"] = connection
        try:
            getattr(command, direction)(config, revision)
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise ShelfOpsError(
                    f"the warehouse's tables were in use for {patience:g} s, so they were not migrated: "
                    "wait for the long query (pg_stat_activity), then start again"
                ) from error
            raise


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
