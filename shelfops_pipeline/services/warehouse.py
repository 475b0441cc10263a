"""The warehouse for commands: opened, migrated; whose data it is about, and who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from shelfops_pipeline.data.mapping import load_mapping
from shelfops_pipeline.data.sources import is_mapping
from shelfops_pipeline.lifecycle.registry import Registry, system_user
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import migrate
from shelfops_pipeline.store.warehouse import open_warehouse


@contextmanager
def warehouse_engine(settings: Settings) -> Iterator[Engine]:
    """An engine on the warehouse: SHELFOPS_DATABASE_URL, or the embedded server, held while the block runs."""
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    with open_warehouse(url, settings.root) as opened:
        engine = open_engine(opened)
        try:
            migrate(engine)
            yield engine
        finally:
            engine.dispose()


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
