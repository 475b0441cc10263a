"""The doctor's questions to what a deployment shares: the warehouse, Dagster's storage, workers, the artifact store."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shelfops_pipeline.contracts.queues import DEFAULT, ML
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.backup_store import store_errors
from shelfops_pipeline.services.instance import present_dagster_url
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.embedded import running_url
from shelfops_pipeline.store.engine import open_engine, reason_of
from shelfops_pipeline.store.migrate import revision_of, revisions

SKEW_SECONDS: Final = 2.0
"""More than that between two clocks, and tokens are refused too early or accepted too long."""
HEARTBEAT_SECONDS: Final = 300
_PATIENCE_SECONDS: Final = 2.0
_BEATS: Final = """
    SELECT extract(epoch FROM (now() AT TIME ZONE 'utc') - max(timestamp)) FROM daemon_heartbeats"""


@dataclass(frozen=True)
class Check:
    """One finding. `remedy` says what to do when not `ok`; something not `required` only limits what is offered."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


def artifacts(settings: Settings) -> Check:
    """Can intermediate results be written where they shall go?"""
    name, remedy = "Artifacts", "Make it writable, or correct SHELFOPS_ARTIFACTS"
    url = settings.artifacts or str(settings.root / "artifacts")
    if "://" not in url:
        folder = existing_part(Path(url).absolute())
        return Check(name, folder.is_dir() and os.access(folder, os.W_OK | os.X_OK), url, remedy)
    unusable: tuple[type[Exception], ...] = (*store_errors(), ImportError, ValueError)
    try:
        import fsspec

        store, base = fsspec.core.url_to_fs(url)
        probe = f"{base.rstrip('/')}/.doctor-{uuid.uuid4().hex}"
        store.pipe_file(probe, b"")
        store.rm_file(probe)
    except unusable as error:
        return Check(name, False, f"{url}: {type(error).__name__}: {error}", remedy)
    return Check(name, True, f"{url}: can be written")


def database_checks(settings: Settings) -> Iterator[Check]:
    """Schema, clock and daemon, where a warehouse answers; that none does is the check before."""
    given = settings.database_url
    url = given.get_secret_value() if given else running_url(settings.root) if settings.root.exists() else None
    if url is None:
        return
    try:
        with _opened(url) as engine:
            yield _schema(engine)
            yield _clock(engine)
    except ShelfOpsError:
        return
    yield _daemon(settings, url)


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url, application="shelfops doctor")
    try:
        yield engine
    finally:
        engine.dispose()


def _schema(engine: Engine) -> Check:
    wanted = revisions()[0]
    try:
        found = revision_of(engine)
    except SQLAlchemyError as error:
        return Check("Tables", False, f"their revision cannot be read: {reason_of(error)}", "docs/warehouse.md#roles")
    if found is not None and found > wanted:
        remedy = f"Install the release that made it, or go back: `shelfops migrate --to {wanted}` of that release"
        return Check("Tables", False, f"revision {found}, newer than this release's {wanted}", remedy)
    detail = f"revision {found or 'none yet'}{'' if found == wanted else f', this release needs {wanted}'}"
    return Check("Tables", found == wanted, detail, "shelfops migrate")


def _clock(engine: Engine) -> Check:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        before = time.time()
        theirs = float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)
        ours = (before + time.time()) / 2
    skew = theirs - ours
    remedy = "Let NTP set both clocks: tokens, schedules and ages of forecasts go by them"
    detail = f"the database's is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
    return Check("Clock", abs(skew) <= SKEW_SECONDS, detail, remedy, required=False)


def _daemon(settings: Settings, url: str) -> Check:
    name, remedy = "Dagster daemon", "shelfops up, or start dagster-daemon: schedules and sensors need it"
    try:
        found = present_dagster_url(settings, url)
        if found is None:
            return Check(name, False, "its storage was never used", remedy, required=False)
        with _opened(found) as engine, engine.connect() as connection:
            ago = connection.scalar(text(_BEATS))
    except (ShelfOpsError, SQLAlchemyError) as error:
        told = f"its storage cannot be read: {reason_of(error)}"
        return Check(name, False, told, "Start the server, or correct SHELFOPS_DAGSTER_DATABASE_URL")
    if ago is None:
        return Check(name, False, "never ran", remedy, required=False)
    return Check(name, float(ago) <= HEARTBEAT_SECONDS, f"last heard of {float(ago):.0f} s ago", remedy, required=False)


def workers(settings: Settings) -> Check:
    """Does a Celery worker listen on each queue?"""
    name = "Celery workers"
    if settings.celery_broker_url is None:
        return Check(name, True, "none needed: SHELFOPS_CELERY_BROKER_URL is unset", required=False)
    from celery import Celery
    from kombu.exceptions import OperationalError
    from redis import RedisError

    url = settings.celery_broker_url.get_secret_value()
    with Celery(broker=url, set_as_current=False) as app:
        try:
            with app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=_PATIENCE_SECONDS)
            found = app.control.inspect(timeout=_PATIENCE_SECONDS).active_queues() or {}
        except (OperationalError, RedisError, OSError, ValueError, KeyError) as error:  # KeyError: no such transport
            remedy = "Start Redis, or correct SHELFOPS_CELERY_BROKER_URL"
            return Check(name, False, f"the broker does not answer ({type(error).__name__})", remedy)
    queues = {ML: 0, DEFAULT: 0}
    for listening in found.values():
        for queue in listening:
            queues[queue["name"]] = queues.get(queue["name"], 0) + 1
    detail = ", ".join(f"{queue}: {count}" for queue, count in queues.items())
    without = [queue for queue, count in queues.items() if count == 0]
    remedy = f"Start one: celery --app shelfops_pipeline.defs.worker worker --queues {','.join(without)}"
    return Check(name, not without, detail, remedy)


def existing_part(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
