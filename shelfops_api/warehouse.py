"""The warehouse as the API sees it: opened when first needed, and possibly away."""

import threading
from enum import StrEnum
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.embedded import running_url
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.tables import releases

APPLICATION: Final = "shelfops-api"


class WarehouseUnavailable(ShelfOpsError):  # noqa: N818 - a state, not a mistake
    """There is no warehouse to connect to right now."""


class WarehouseState(StrEnum):
    """What the warehouse has for a release."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    UNREACHABLE = "unreachable"


class Warehouse:
    """One connection pool, shared by all requests. Safe to use from several threads."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._url = ""

    def engine(self) -> Engine:
        """The pool. Raises WarehouseUnavailable when no server is configured and none is running in home.

        Nothing is started here; an embedded server that comes back under another address gets a new pool.
        """
        url = self._settings.database_url.get_secret_value() if self._settings.database_url else self._embedded_url()
        with self._lock:
            if self._engine is None or url != self._url:
                self._dispose()
                self._engine, self._url = open_engine(url, application=APPLICATION, check=False), url
            return self._engine

    def holds(self, release: str) -> bool:
        """Has `release` been published? Raises WarehouseUnavailable or SQLAlchemyError when there is no telling."""
        statement = select(releases.c.release).where(releases.c.release == release)
        with self.engine().connect() as connection:
            return connection.scalar(statement) is not None

    def state(self, release: str) -> WarehouseState:
        """Like `holds`, as a report that never raises."""
        try:
            return WarehouseState.PUBLISHED if self.holds(release) else WarehouseState.UNPUBLISHED
        except (ShelfOpsError, SQLAlchemyError):
            return WarehouseState.UNREACHABLE

    def close(self) -> None:
        """Give all connections back."""
        with self._lock:
            self._dispose()

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _embedded_url(self) -> str:
        home = self._settings.root
        url = running_url(home)
        if url is None:
            raise WarehouseUnavailable(
                f"No PostgreSQL is running in {home}; start `shelfops up`, or set SHELFOPS_DATABASE_URL"
            )
        return url
