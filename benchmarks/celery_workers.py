"""Celery workers on this machine with a Redis and a PostgreSQL of their own, and what a run on them took."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from api_warehouse import redis_server

from shelfops_pipeline.contracts.queues import DEFAULT, ML
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.supervisor import stop_group

ONE_THREAD: Final = {
    **{name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")},
    "OPENBLAS_NUM_THREADS": "1",
}
"""A worker has one core: else one of them takes all that there are, and two fight for them."""
EFFORT: Final = 0.25
"""SHELFOPS_EFFORT: a quarter of the default's. How a training divides is measured, not how long it takes."""
_START_SECONDS: Final = 180


@dataclass
class Memory:
    """The most that a group of processes held, what they share counted once."""

    peak_mb: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self, processes: Sequence[psutil.Process]) -> None:
        """Look several times a second until `stop`."""
        while not self._stop.wait(0.3):
            self.peak_mb = max(self.peak_mb, sum(_held_mb(process) for process in processes))

    def stop(self) -> None:
        self._stop.set()


def _held_mb(process: psutil.Process) -> float:
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss / 1e6
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended meanwhile
            continue
    return total


@contextmanager
def services(home: Path) -> Iterator[dict[str, str]]:
    """A Redis and a PostgreSQL of the home, which is M5's; the environment of what uses them."""
    from shelfops_pipeline.services.instance import dagster_environment
    from shelfops_pipeline.settings import Settings
    from shelfops_pipeline.store.embedded import embedded_postgres, remove_embedded

    try:
        with redis_server(home) as redis, embedded_postgres(home) as url:
            broker = redis.replace("unix://", "redis+socket://")
            values = {"DATASET": "m5", "HOME": str(home), "TIER": "production", "DATABASE_URL": url}
            values |= {"CELERY_BROKER_URL": broker, "EFFORT": str(EFFORT)}
            named = {f"SHELFOPS_{name}": value for name, value in values.items()}
            yield named | dagster_environment(Settings(home=home), url)
    finally:
        remove_embedded(home)


def forget_release(url: str) -> None:
    """Empty what a run publishes: to replace a release of as many series takes longer than to write the first one."""
    from sqlalchemy import text

    from shelfops_pipeline.store.engine import open_engine
    from shelfops_pipeline.store.migrate import migrate
    from shelfops_pipeline.store.tables import demand_forecasts, online_features

    engine = open_engine(url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {online_features.name}, {demand_forecasts.name}"))
    engine.dispose()


@contextmanager
def celery_workers(count: int, environment: Mapping[str, str], logs: Path) -> Iterator[Memory]:
    """So many workers, each of both queues and one step at a time, ready for work; and what memory they take."""
    started: list[tuple[subprocess.Popen[bytes], Path]] = []
    command = [
        *(sys.executable, "-m", "celery", "--app", "shelfops_pipeline.defs.worker", "worker"),
        "--loglevel",
        "INFO",
    ]
    memory = Memory()
    try:
        for k in range(count):
            log = logs / f"worker{count}.{k}.log"
            with log.open("wb") as output:
                worker = subprocess.Popen(
                    [*command, "--queues", f"{ML},{DEFAULT}", "--hostname", f"{ML}{k}@%h"],
                    env={**os.environ, **environment, **ONE_THREAD},
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            started.append((worker, log))
        for worker, log in started:
            _wait_until_ready(worker, log)
        watcher = threading.Thread(target=memory.watch, args=([psutil.Process(worker.pid) for worker, _ in started],))
        watcher.start()
        yield memory
        memory.stop()
        watcher.join()
    finally:
        memory.stop()
        for worker, _ in started:
            stop_group(worker.pid, 15, worker)


def _wait_until_ready(worker: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while b" ready." not in log.read_bytes():
        if worker.poll() is not None or time.monotonic() > deadline:
            raise ShelfOpsError(f"a Celery worker did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


@dataclass(frozen=True)
class Steps:
    """A run's steps."""

    seconds: float
    """from the first one's start to the last one's end"""
    by_step: dict[str, float]
    workers: int
    """how many took part"""


def materialize(assets: Sequence[str], environment: Mapping[str, str]) -> Steps:
    """Materialize assets by a run of its own in which each step goes to a worker. For a fresh process: it changes the
    environment, from which the definitions take their settings. Raises ShelfOpsError when the run fails.
    """
    os.environ.update(environment)
    import dagster as dg
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    from shelfops_pipeline.services.instance import dagster_instance
    from shelfops_pipeline.settings import Settings

    repository = ReconstructableRepository.for_module("shelfops_pipeline.definitions", "defs")
    job = repository.get_reconstructable_job("train")
    with dagster_instance(Settings(), environment["SHELFOPS_DATABASE_URL"]) as instance:
        keys = [dg.AssetKey(name) for name in assets]
        with dg.execute_job(job, instance=instance, asset_selection=keys) as result:
            if not result.success:
                raise ShelfOpsError(f"run {result.run_id} failed:\n" + _failures(instance, result.run_id))
            steps = [s for s in instance.get_run_step_stats(result.run_id) if s.start_time and s.end_time]
            events = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return Steps(
        max(s.end_time or 0 for s in steps) - min(s.start_time or 0 for s in steps),
        {s.step_key: round((s.end_time or 0) - (s.start_time or 0), 2) for s in steps},
        len({_worker(event) for event in events} - {None}),
    )


def _failures(instance: Any, run_id: str) -> str:
    import dagster as dg

    found = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return "\n".join(str(entry.dagster_event.step_failure_data.error) for entry in found)[-4000:]


def _worker(entry: Any) -> Any:
    found = entry.dagster_event.engine_event_data.metadata.get("Celery worker")
    return None if found is None else found.value
