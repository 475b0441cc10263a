"""Bring a warehouse's tables to the version this package needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, text

from shelfops_pipeline.store.engine import lock_key

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).parent / "migrations"
API_ROLE: Final = Path(__file__).parent / "api_role.sql"
# Dagster and MLflow keep Alembic's default table; one database may hold all three.
VERSION_TABLE: Final = "shelfops_schema_version"


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade to `revision`, the newest by default. Idempotent, atomic, safe when two processes call it at once."""
    _run(engine, "upgrade", revision)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Go back to `revision`; "base" drops the warehouse's tables and everything in them."""
    _run(engine, "downgrade", revision)


def grant_api(engine: Engine) -> None:
    """Give the role `shelfops_api` the rights of `api_role.sql`, and no other on these tables. Idempotent."""
    with engine.begin() as connection:
        for statement in API_ROLE.read_text().split(";"):
            if statement.strip():
                connection.execute(text(statement))


def newest_revision() -> str:
    """The revision that this package's tables are of: its last script's. Needs no Alembic."""
    return max(path.name[1:5] for path in (SCRIPTS / "versions").glob("r[0-9]*.py"))


def revision_of(engine: Engine) -> str | None:
    """The revision that the warehouse's tables are of; None: it was never migrated.

    Raises SQLAlchemyError, also where the role may not read the version.
    """
    with engine.connect() as connection:
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is None:
            return None
        found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found


def _run(engine: Engine, direction: str, revision: str) -> None:
    from alembic import command  # only writers migrate; readers such as the API do not install Alembic

    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("migrate")})
        config = _config()
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
