"""The warehouse as the API sees it: opened when first needed, and possibly away."""

import threading
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.embedded import running_url
from shelfops_pipeline.store.engine import open_engine, warehouse_url
from shelfops_pipeline.store.forecasts import published_at

APPLICATION: Final = "shelfops-api"


class WarehouseUnavailable(ShelfOpsError):  # noqa: N818 - a state, not a mistake
    """There is no warehouse to connect to right now."""


class WarehouseState(StrEnum):
    """What the warehouse has for a release."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    UNREACHABLE = "unreachable"


class Warehouse:
    """One connection pool, shared by all requests. Safe to use from several threads.

    Raises ShelfOpsError for a URL that is none: that would not change by itself.
    """

    def __init__(self, settings: ApiSettings) -> None:
        if settings.database_url is not None:
            warehouse_url(settings.database_url.get_secret_value())
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

    def published_at(self, release: str) -> datetime | None:
        """When the rows of `release` were written; None: it has none.

        Raises WarehouseUnavailable or SQLAlchemyError when there is no telling.
        """
        with self.engine().connect() as connection:
            return published_at(connection, release)

    def last_seen_published(self, release: str) -> datetime | None:
        """Like `published_at`, None also when there is no telling."""
        try:
            return self.published_at(release)
        except (ShelfOpsError, SQLAlchemyError):
            return None

    def state(self, release: str) -> WarehouseState:
        """Like `published_at`, as a report that never raises."""
        try:
            found = self.published_at(release)
        except (ShelfOpsError, SQLAlchemyError):
            return WarehouseState.UNREACHABLE
        return WarehouseState.UNPUBLISHED if found is None else WarehouseState.PUBLISHED

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
