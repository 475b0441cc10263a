"""Bring a warehouse's tables to the version this package needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, text

from shelfops_pipeline.store.engine import lock_key

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).parent / "migrations"
# Dagster and MLflow keep Alembic's default table; one database may hold all three.
VERSION_TABLE: Final = "shelfops_schema_version"


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade to `revision`, the newest by default. Idempotent, atomic, safe when two processes call it at once."""
    _run(engine, "upgrade", revision)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Go back to `revision`; "base" drops the warehouse's tables and everything in them."""
    _run(engine, "downgrade", revision)


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
