"""Open the warehouse, and take its cross-process locks."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from shelfops_pipeline.errors import ShelfOpsError, UnreachableError

DRIVER: Final = "postgresql+psycopg"
CONNECT_SECONDS: Final = 5
SILENCE_SECONDS: Final = 1.0
"""How much longer than its own limit a server may take to say that a statement took too long."""
# A host that vanished says nothing: without these a connection to it waits for hours.
_TCP: Final = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SPELLINGS: Final = ("postgres", "postgresql", "postgresql+psycopg2", DRIVER)

log = logging.getLogger(__name__)


class SilentServerError(psycopg.OperationalError):
    """The server did not say anything in time, not even that it would not: it is frozen, or cut off."""


class _PatientConnection(psycopg.Connection[TupleRow]):
    """Waits `patience` seconds for an answer, then hangs up: a frozen process keeps its sockets open for ever."""

    patience: float | None = None

    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        return super().wait(gen if self.patience is None else self._impatient(gen), *arguments, **options)

    def _impatient(self, gen: PQGen[RV]) -> PQGen[RV]:
        """`gen`, which is woken every tenth of a second if nothing came (psycopg's protocol of waiting)."""
        heard = time.monotonic()
        try:
            state = next(gen)
            while True:
                ready = yield state
                if ready:
                    heard = time.monotonic()
                elif self.patience is not None and time.monotonic() - heard > self.patience:
                    self.pgconn.finish()  # what it was doing is not known: nobody may use it again
                    raise SilentServerError(f"the server said nothing for {self.patience:g} s")
                state = gen.send(ready)
        except StopIteration as end:
            value: RV = end.value
            return value


def warehouse_url(url: str) -> URL:
    """Parse `url` and name the driver: SQLAlchemy 2.1 changed what a bare `postgresql://` means.

    Raises ShelfOpsError for anything that is not a PostgreSQL URL; the message never repeats the URL, which
    may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ShelfOpsError("The database URL cannot be read; expected postgresql://user@host:5432/database") from None
    if parsed.drivername not in _SPELLINGS:
        raise ShelfOpsError(f"The warehouse is PostgreSQL (postgresql://...), not {parsed.drivername!r}")
    return parsed.set(drivername=DRIVER)


def url_string(url: URL) -> str:
    """The URL as another program needs it, password included: for child processes, never for logs."""
    return url.render_as_string(hide_password=False)


def for_database(url: str, database: str, drivername: str = DRIVER) -> str:
    """The URL of another database on the same server."""
    return url_string(warehouse_url(url).set(database=database, drivername=drivername))


def describe(url: URL) -> str:
    """Database and host, safe to print. Query parameters are left out: they can carry a password too."""
    host = url.host or url.query.get("host") or "the local socket"
    return f"{url.database or '(default database)'} on {host}{f':{url.port}' if url.port else ''}"


def reason_of(error: BaseException) -> str:
    """What a database said, in a line: without the statement that SQLAlchemy tells beside it."""
    said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return said.splitlines()[0]


def open_engine(
    url: str, *, application: str = "shelfops", check: bool = True, patience: float | None = None
) -> Engine:
    """An engine for the warehouse at `url`; its pool notices connections that the server dropped.

    With `check`, connects once, so that a wrong URL fails here, with one clear line (UnreachableError). With
    `patience`, no statement and no wait for a connection takes longer than so many seconds: OperationalError, or
    TimeoutError of the pool; a server that says nothing at all is left, which raises OperationalError of a
    SilentServerError.
    """
    parsed = warehouse_url(url)
    arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": application, **_TCP}
    options: dict[str, Any] = {}
    if patience is not None:
        given = parsed.query.get("options", "")
        arguments["options"] = f"{given} -c statement_timeout={max(1, round(1000 * patience))}".strip()
        options["pool_timeout"] = patience
    engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=arguments, **options)
    if patience is not None:
        _be_patient(engine, patience + SILENCE_SECONDS)
    if check:
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            engine.dispose()
            raise UnreachableError(
                f"Cannot open the database {describe(parsed)}: {reason_of(error)}. "
                "Is it running, and is SHELFOPS_DATABASE_URL right?"
            ) from None
    return engine


def _be_patient(engine: Engine, seconds: float) -> None:
    """Hang up on silence; and do not call back at once, as a pool does that finds its connection dead."""
    silent_until = 0.0

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        nonlocal silent_until
        if isinstance(context.original_exception, SilentServerError):
            silent_until = time.monotonic() + SILENCE_SECONDS / 2

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> _PatientConnection:
        if time.monotonic() < silent_until:
            raise psycopg.OperationalError("the server said nothing a moment ago")
        connection = _PatientConnection.connect(*arguments, **options)
        connection.patience = seconds
        return connection


def lock_key(name: str) -> int:
    """A PostgreSQL advisory lock key for `name`: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(f"shelfops:{name}".encode()).digest()[:8], "big") >> 1


@contextmanager
def advisory_lock(engine: Engine, name: str, seconds: float = 0) -> Iterator[None]:
    """Hold the warehouse-wide lock `name` for the block; other processes and hosts wait.

    It is released with its connection, so also when this process dies. Raises TimeoutError after `seconds` of waiting
    (0: never).
    """
    with engine.connect() as connection:
        try:
            with connection.begin():  # the limit ends with the transaction, the lock does not
                limit = {"limit": f"{round(1000 * seconds)}ms"}
                connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), limit)
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": lock_key(name)})
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise TimeoutError(f"the lock {name} was not free within {seconds:g} s") from None
            raise
        try:
            yield
        finally:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": lock_key(name)})


@contextmanager
def try_advisory_lock(engine: Engine, name: str) -> Iterator[bool]:
    """Like `advisory_lock`, without waiting: False when another process holds it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        held = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": lock_key(name)}))
        try:
            yield held
        finally:
            if held:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": lock_key(name)})
