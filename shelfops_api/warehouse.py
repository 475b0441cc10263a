"""The warehouse as the API sees it: opened when first needed, and possibly away."""

import threading
import time
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import SQLAlchemyError

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.embedded import running_url
from shelfops_pipeline.store.engine import SilentServerError, open_engine, warehouse_url
from shelfops_pipeline.store.forecasts import published_at
from shelfops_pipeline.store.migrate import newest_revision, revision_of

APPLICATION: Final = "shelfops-api"
_REST_SECONDS: Final = 1.0
"""Between two looks whether a silent server speaks again: all others are refused at once, or they would wait for it
in every thread that there is."""

log = structlog.get_logger(__name__)


class WarehouseUnavailable(ShelfOpsError):  # noqa: N818 - a state, not a mistake
    """There is no warehouse to connect to right now."""


class WarehouseState(StrEnum):
    """What the warehouse has for a release."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    OUTDATED = "outdated"
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
        self._silent = False
        self._ask_again = 0.0

    def engine(self) -> Engine:
        """The pool. Raises WarehouseUnavailable when no server is configured and none is running in home, or it is
        silent: then one caller a second asks it.

        Nothing is started here; an embedded server that comes back under another address gets a new pool.
        """
        self._take_turn()
        url = self._settings.database_url.get_secret_value() if self._settings.database_url else self._embedded_url()
        with self._lock:
            if self._engine is None or url != self._url:
                self._dispose()
                self._engine, self._url = self._open(url), url
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
        if self.outdated() is not None:
            return WarehouseState.OUTDATED
        try:
            found = self.published_at(release)
        except (ShelfOpsError, SQLAlchemyError):
            return WarehouseState.UNREACHABLE
        return WarehouseState.UNPUBLISHED if found is None else WarehouseState.PUBLISHED

    def outdated(self) -> str | None:
        """What to do about tables that are older than this service; None where they are not, or there is no telling."""
        try:
            found = revision_of(self.engine())
        except (ShelfOpsError, SQLAlchemyError):
            return None
        wanted = newest_revision()
        if found is not None and found >= wanted:
            return None
        tables = "The warehouse has no tables yet" if found is None else f"The warehouse's tables are of {found}"
        return f"{tables}, this service needs {wanted}: run `shelfops migrate`"

    def close(self) -> None:
        """Give all connections back."""
        with self._lock:
            self._dispose()

    def _open(self, url: str) -> Engine:
        patience = self._settings.api_database_seconds
        engine = open_engine(url, application=APPLICATION, check=False, patience=patience)
        event.listen(engine, "handle_error", self._note_silence)
        event.listen(engine, "checkout", self._note_answer)
        return engine

    def _take_turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._silent and now < self._ask_again:
                raise WarehouseUnavailable("PostgreSQL does not say anything")
            self._ask_again = now + _REST_SECONDS

    def _note_silence(self, context: ExceptionContext) -> None:
        if isinstance(context.original_exception, SilentServerError | ConnectionTimeout):
            if not self._silent:
                log.warning("warehouse_silent", reason=str(context.original_exception))
            self._silent, self._ask_again = True, time.monotonic() + _REST_SECONDS

    def _note_answer(self, *_: object) -> None:
        """A connection is handed out only after it was made or answered."""
        if self._silent:
            log.info("warehouse_speaks_again")
        self._silent = False

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
