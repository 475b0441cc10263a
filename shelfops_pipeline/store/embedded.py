"""PostgreSQL for a laptop: a real server, started when first needed, stopped when nobody needs it any more.

    with embedded_postgres(home) as url:
        engine = open_engine(url)

Several processes may do this at once on one home (`shelfops up` and a CLI command, two CLI commands); they
share one server. The rule is simple and survives kill -9 of anybody: every user holds a shared flock on
`users.lock`. The server is not the child of a user but of a small *keeper* process (`store.keeper`), which
waits for an exclusive lock on that file: the kernel grants it when the last user is gone, and the keeper
stops the server. If the keeper is killed, the kernel stops the server (PR_SET_PDEATHSIG). A keeper that is
just stopping makes newcomers wait, then start afresh.

The server listens on a Unix socket only, in a directory that no other user can enter; there is no password
and no TCP port. Durability settings are PostgreSQL's defaults. `store.place` says where the files are.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import URL

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store import keeper
from shelfops_pipeline.store.engine import DRIVER, lock_key, url_string
from shelfops_pipeline.store.place import MAJOR_VERSION, Place, place_for, recorded

SUPERUSER: Final = "shelfops"
DATABASES: Final = ("shelfops", "dagster", "mlflow")
OPTIONS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "log_checkpoints": "off",
}
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 45.0
_POLL_SECONDS: Final = 0.02


@contextmanager
def embedded_postgres(home: Path) -> Iterator[str]:
    """Use the server that belongs to `home`, started if need be; yields the URL of its `shelfops` database.

    On leaving, waits until the server has stopped if this was its last user. Raises ShelfOpsError, with the
    end of the server's log, if it cannot be started.
    """
    place = place_for(home)
    _check_version(place)
    users = keeper.open_lock(place.base / "users.lock")
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not keeper.try_lock(users, fcntl.LOCK_SH):  # a keeper is stopping its server
            _wait(place, deadline)
        sockets = _running(place, deadline)
        _create_databases(sockets)
        yield server_url(sockets)
    finally:
        os.close(users)
        _wait_if_last(place)


def server_url(sockets: str, database: str = DATABASES[0]) -> str:
    """The SQLAlchemy URL of a database of the server whose socket is in `sockets`."""
    return url_string(URL.create(DRIVER, username=SUPERUSER, database=database, query={"host": sockets}))


def is_running(home: Path) -> bool:
    """Does a keeper hold a server for `home` right now?"""
    base = _base(home)
    return base.exists() and _keeper_lives(base)


def running_url(home: Path) -> str | None:
    """The URL of the home's server if one is being kept, else None. Starts nothing, and does not connect."""
    note = _base(home) / "server.json"
    if not is_running(home):
        return None
    try:
        return server_url(str(json.loads(note.read_text())["sockets"]))
    except FileNotFoundError:  # it is just starting, or just stopped
        return None


def remove_embedded(home: Path) -> None:
    """Delete the server's data for good. Raises ShelfOpsError while it is in use."""
    base = _base(home)
    if is_running(home):
        raise ShelfOpsError(f"The database in {base} is in use; stop what uses it first")
    if base.exists():
        shutil.rmtree(base)
    (home / "postgres.json").unlink(missing_ok=True)


def _base(home: Path) -> Path:
    home = home.resolve()
    return recorded(home) or home / "postgres"


def _check_version(place: Place) -> None:
    file = place.base / "data" / "PG_VERSION"
    if file.exists() and (found := file.read_text().strip()) != str(MAJOR_VERSION):
        raise ShelfOpsError(
            f"{file.parent} was written by PostgreSQL {found}, this is {MAJOR_VERSION}: use pg_upgrade, or another home"
        )


def _running(place: Place, deadline: float) -> str:
    """Start a keeper unless one lives, and wait until its server answers; returns the socket directory."""
    started = False
    while (sockets := _answering(place.base)) is None:
        if not _keeper_lives(place.base):
            if started:
                raise ShelfOpsError(f"The embedded PostgreSQL did not start. {_log_tail(place.base)}")
            started = _start_keeper(place)
        _wait(place, deadline)
    return sockets


def _start_keeper(place: Place) -> bool:
    """True: our keeper has begun. False: somebody else's was first."""
    spec = {
        "base": str(place.base),
        "binaries": str(place.binaries),
        "uid": place.uid,
        "gid": place.gid,
        "superuser": SUPERUSER,
        "options": OPTIONS,
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", str(Path(keeper.__file__)), json.dumps(spec)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
        cwd="/",
    )
    if done.returncode not in (0, keeper.BUSY):
        raise ShelfOpsError(f"The keeper of the embedded PostgreSQL did not start (status {done.returncode})")
    return done.returncode == 0


def _keeper_lives(base: Path) -> bool:
    descriptor = keeper.open_lock(base / "server.lock")
    try:
        return not keeper.try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _answering(base: Path) -> str | None:
    """The socket directory of a kept server that accepts connections, proven by connecting."""
    note = base / "server.json"
    if not _keeper_lives(base) or not note.exists():
        return None
    try:
        sockets = str(json.loads(note.read_text())["sockets"])
        with _connect(sockets):
            return sockets
    except (FileNotFoundError, psycopg.OperationalError):
        return None


def _connect(sockets: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(host=sockets, user=SUPERUSER, dbname="postgres", connect_timeout=5, autocommit=True)


def _create_databases(sockets: str) -> None:
    with _connect(sockets) as connection:
        if len(_existing(connection)) == len(DATABASES):
            return
        connection.execute("SELECT pg_advisory_lock(%s)", [lock_key("databases")])
        for name in set(DATABASES) - _existing(connection):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _existing(connection: "psycopg.Connection[tuple[object, ...]]") -> set[object]:
    rows = connection.execute("SELECT datname FROM pg_database WHERE datname = ANY(%s)", [list(DATABASES)])
    return {row[0] for row in rows}


def _wait(place: Place, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ShelfOpsError(f"The embedded PostgreSQL is not ready in time. {_log_tail(place.base)}")
    time.sleep(_POLL_SECONDS)


def _wait_if_last(place: Place) -> None:
    """Return at once if others use the server; else when it has stopped, and its directory can be moved."""
    deadline = time.monotonic() + _STOP_SECONDS
    users = keeper.open_lock(place.base / "users.lock")
    try:
        while _keeper_lives(place.base) and time.monotonic() < deadline:
            if keeper.try_lock(users, fcntl.LOCK_EX):
                fcntl.flock(users, fcntl.LOCK_UN)  # nobody left; the keeper is about to notice
            elif keeper.try_lock(users, fcntl.LOCK_SH):
                return  # others remain
            time.sleep(_POLL_SECONDS)
    finally:
        os.close(users)


def _log_tail(base: Path, lines: int = 6) -> str:
    log = base / "server.log"
    if not log.exists():
        return "There is no server log."
    tail = log.read_text(errors="replace").strip().splitlines()[-lines:]
    return f"The end of {log}: " + " | ".join(tail)
