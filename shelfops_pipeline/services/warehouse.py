"""The warehouse for commands: opened, migrated; whose data it is about, and who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from shelfops_pipeline.data.mapping import load_mapping
from shelfops_pipeline.data.sources import is_mapping
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.lifecycle.registry import Registry, system_user
from shelfops_pipeline.services.console import console
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import describe, open_engine, warehouse_url
from shelfops_pipeline.store.migrate import downgrade, migrate, revision_of, revisions
from shelfops_pipeline.store.warehouse import open_warehouse


@contextmanager
def warehouse_engine(settings: Settings) -> Iterator[Engine]:
    """An engine on the warehouse: SHELFOPS_DATABASE_URL, or the embedded server, held while the block runs.

    Raises ShelfOpsError where that would be the server of a home that nobody has begun.
    """
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    if url is None and not settings.root.is_dir():
        raise ShelfOpsError(
            f"there is no {settings.root} yet: `shelfops ingest` begins it; if it is elsewhere, set SHELFOPS_HOME"
        )
    with open_warehouse(url, settings.root) as opened:
        engine = open_engine(opened)
        try:
            migrate(engine)
            yield engine
        finally:
            engine.dispose()


def run_migrate(settings: Settings, to: str | None) -> None:
    """`shelfops migrate`: to the newest revision, or up or down to another one."""
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    if url is None and not settings.root.is_dir():
        raise ShelfOpsError(f"nothing to migrate: there is no {settings.root}; set SHELFOPS_HOME, or --dataset")
    known = revisions()
    if to is not None and to not in known:
        raise ShelfOpsError(f"--to {to}: no such revision; known are {', '.join(reversed(known))}")
    with open_warehouse(url, settings.root) as opened:
        engine = open_engine(opened, application="shelfops migrate")
        try:
            before, wanted = revision_of(engine), to or known[0]
            if before is not None and before not in known:
                raise ShelfOpsError(f"the tables are of {before}, a later release: go back with that release")
            (downgrade if before is not None and before > wanted else migrate)(engine, wanted)
        finally:
            engine.dispose()
    console.print(f"{describe(warehouse_url(opened))}: {before or 'no tables'} → {wanted}", highlight=False)


def retailer(settings: Settings) -> str:
    """The name under which what serves is stored; before anything does, that of the settings."""
    pointer = Registry.of(settings).champion()
    return retailer_name(settings) if pointer is None else pointer.dataset


def retailer_name(settings: Settings) -> str:
    """The name of the data set in the warehouse: a mapping has its own. The API, which reads none, has to be told."""
    if is_mapping(settings.dataset):
        return load_mapping(Path(settings.dataset)).name
    return settings.dataset


def actor(settings: Settings) -> str:
    """Who does what a command does, for the record."""
    return settings.user or system_user()
