"""The warehouse and the Dagster instance of a home, for the command line and for `shelfops up`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.shipped import shipped_file
from shelfops_pipeline.store.engine import for_database, open_engine, url_string, warehouse_url
from shelfops_pipeline.store.warehouse import open_warehouse

if TYPE_CHECKING:
    from dagster import DagsterInstance

DAGSTER_URL: Final = "SHELFOPS_DAGSTER_DATABASE_URL"
DAGSTER_DRIVER: Final = "postgresql+psycopg2"
# With these, a run over 730 partitions of three assets took 7 s instead of 41 s: by default Dagster's storage stores
# event by event, and opens two connections for each.
_EVENT_BATCH: Final = 1000
_POOL: Final = {"statement_timeout": 60_000, "pool_recycle": 3600, "max_overflow": 4}


@contextmanager
def warehouse(settings: Settings) -> Iterator[str]:
    """The URL of the warehouse: SHELFOPS_DATABASE_URL, or the embedded server, held while the block runs."""
    given = settings.database_url
    with open_warehouse(None if given is None else given.get_secret_value(), settings.root) as url:
        yield url


def is_embedded(settings: Settings) -> bool:
    """Does Dagster's storage belong to this home alone? Then every run in it ran on this machine."""
    return settings.database_url is None and settings.dagster_database_url is None


def dagster_home(settings: Settings) -> Path:
    """Prepare `<home>/dagster` as DAGSTER_HOME, with the shipped dagster.yaml; an edited copy is kept."""
    folder = settings.root / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    target, shipped = folder / "dagster.yaml", folder / ".dagster.yaml.shipped"
    current = shipped_file("dagster.yaml").read_text()
    untouched = not target.exists() or (shipped.exists() and target.read_text() == shipped.read_text())
    if untouched:
        target.write_text(current)
        shipped.write_text(current)
    return folder


def dagster_environment(settings: Settings, url: str) -> dict[str, str]:
    """The environment in which Dagster finds its home and its storage. `url`: the warehouse's."""
    return {
        "DAGSTER_HOME": str(dagster_home(settings)),
        "DAGSTER_EVENT_BATCH_SIZE": str(_EVENT_BATCH),
        DAGSTER_URL: _dagster_url(settings, url),
    }


@contextmanager
def dagster_instance(settings: Settings, url: str) -> "Iterator[DagsterInstance]":
    """The home's Dagster instance, for in-process execution; the environment is set while the block runs."""
    from dagster import DagsterInstance

    with _environment(dagster_environment(settings, url)), DagsterInstance.get() as instance:
        instance.optimize_for_webserver(**_POOL)
        yield instance


def fail_unfinished_runs(instance: "DagsterInstance", reason: str) -> None:
    """Mark every run failed that was under way, whatever lives: for a storage that came from elsewhere."""
    from dagster import DagsterRunStatus, RunsFilter

    from shelfops_pipeline.defs.dead_runs import free_slots

    status = DagsterRunStatus
    begun = [status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING]
    for run in instance.get_runs(RunsFilter(statuses=begun)):
        instance.report_run_failed(run, reason)
    free_slots(instance)


def make_pool(instance: "DagsterInstance", name: str) -> None:
    """Make the pool known before it is used: the queue lets all runs pass that wait for one it has never seen."""
    storage = instance.event_log_storage
    if name not in storage.get_concurrency_keys():
        storage.initialize_concurrency_limit_to_default(name)


def _dagster_url(settings: Settings, url: str) -> str:
    if settings.dagster_database_url is not None:
        given = warehouse_url(settings.dagster_database_url.get_secret_value())
        return url_string(given.set(drivername=DAGSTER_DRIVER))
    ensure_database(url, "dagster")
    return for_database(url, "dagster", DAGSTER_DRIVER)


def present_dagster_url(settings: Settings, url: str) -> str | None:
    """Where Dagster's storage is, for SQLAlchemy, if it has been used; nothing is made. `url`: the warehouse's."""
    given = settings.dagster_database_url
    if given is None:
        engine = open_engine(url)
        try:
            with engine.connect() as connection:
                beside = text("SELECT 1 FROM pg_database WHERE datname = 'dagster'")
                if connection.scalar(beside) is None:
                    return None
        finally:
            engine.dispose()
    found = for_database(url, "dagster") if given is None else url_string(warehouse_url(given.get_secret_value()))
    engine = open_engine(found)
    try:
        with engine.connect() as connection:
            return found if connection.scalar(text("SELECT to_regclass('runs') IS NOT NULL")) else None
    finally:
        engine.dispose()


def dagster_tables() -> list[str]:
    """The tables of Dagster's storage, parents before their children; what its daemons say every moment is left out."""
    from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
    from dagster._core.storage.runs.schema import RunStorageSqlMetadata
    from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata

    parts = (RunStorageSqlMetadata, SqlEventLogStorageMetadata, ScheduleStorageSqlMetadata)
    names = dict.fromkeys(table.name for part in parts for table in part.sorted_tables)
    return [name for name in names if name != "daemon_heartbeats"]


def ensure_database(url: str, name: str) -> None:
    """Create the database `name` on the warehouse's server if it is missing; ShelfOpsError if it may not."""
    engine = open_engine(url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
                return
            quoted = engine.dialect.identifier_preparer.quote(name)
            connection.execute(text(f"CREATE DATABASE {quoted}"))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise ShelfOpsError(
            f"Cannot create the database {name} beside the warehouse ({reason}): "
            "create it by hand, or let this user (ALTER ROLE ... CREATEDB)"
        ) from error
    finally:
        engine.dispose()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
