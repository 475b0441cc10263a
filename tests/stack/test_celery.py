"""Steps on real Celery workers with a real Redis: who takes them, and what happens when a worker is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableJob

from shelfops_pipeline.contracts.queues import DEFAULT, ML
from shelfops_pipeline.defs import delivery
from shelfops_pipeline.defs.executor import LOCAL, celery, executor
from shelfops_pipeline.services.instance import dagster_instance
from shelfops_pipeline.services.supervisor import stop_group
from shelfops_pipeline.settings import Settings
from tests.conftest import make_databases
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def notes(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which steps take notes; a broker and Dagster's storage are in the environment."""
    folder = tmp_path_factory.mktemp("celery")
    values = {"SHELFOPS_HOME": str(folder), "FOLDER": str(folder)}
    values |= {f"SHELFOPS_{k.upper()}": v for k, v in make_databases(postgres_server, "celery").items()}
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="celery-") as short:
        redis = RedisServer(Path(short))
        redis.start()
        values["SHELFOPS_CELERY_BROKER_URL"] = redis.url.replace("unix://", "redis+socket://")
        for name, value in values.items():
            patch.setenv(name, value)
        yield folder
        redis.stop()


@pytest.fixture(scope="module")
def instance(notes: Path) -> Iterator[dg.DagsterInstance]:
    settings = Settings()
    assert settings.database_url is not None
    with dagster_instance(settings, settings.database_url.get_secret_value()) as opened:
        yield opened


@pytest.fixture(scope="module")
def start(instance: dg.DagsterInstance, notes: Path) -> Iterator[Start]:
    """Starts a worker of a queue, in a process group of its own. One of the default queue is there already."""
    workers: list[subprocess.Popen[bytes]] = []

    def begin(queue: str) -> "subprocess.Popen[bytes]":
        command = ["celery", "--app", "shelfops_pipeline.defs.worker", "worker", "--queues", queue]
        with (notes / f"{queue}{len(workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", *command, "--hostname", f"{queue}@%h", "--loglevel", "INFO"],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        workers.append(worker)
        return worker

    begin(DEFAULT)
    yield begin
    for worker in workers:
        stop_group(worker.pid, 10, worker)


def job(name: str) -> ReconstructableJob:
    """A job that workers load from its file."""
    return ReconstructableJob.for_file(str(Path(__file__).with_name("celery_job.py")), name)


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def begun(file: Path, times: int = 1, seconds: float = 240) -> list[int]:
    """Wait until a step has begun so often; the processes it ran in."""
    deadline = time.monotonic() + seconds
    while not file.exists() or len(file.read_text().splitlines()) < times:
        assert time.monotonic() < deadline, f"{file.name} did not begin"
        time.sleep(0.05)
    return [int(line) for line in file.read_text().splitlines()]


def told(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(event.user_message or event.message for event in instance.all_logs(run_id))


def test_a_broker_decides_where_steps_run() -> None:
    assert executor(Settings(celery_broker_url=None)) is LOCAL
    assert executor(Settings(celery_broker_url="redis://broker/0")) is celery


def test_a_step_whose_worker_is_killed_is_done_once_more_by_another(
    notes: Path, instance: dg.DagsterInstance, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LOOK_SECONDS", 1.0)
    first = start(ML)

    def kill() -> None:
        [pid] = begun(notes / "heavy")
        os.kill(first.pid, signal.SIGKILL)  # the worker alone: what it was doing dies with it
        first.wait()
        deadline = time.monotonic() + 10
        while psutil.pid_exists(pid):
            assert time.monotonic() < deadline, "the step outlived its worker"
            time.sleep(0.05)
        start(ML)

    with meanwhile(kill), dg.execute_job(job("divided"), instance) as result:
        assert result.success
        assert result.output_for_node("heavy") == 21
        run_id = result.run_id
    assert len(begun(notes / "light")) == 1
    assert len(begun(notes / "heavy")) == 2
    assert told(instance, run_id).count('Step "heavy" was lost') == 1


def test_a_step_that_kills_every_worker_fails_after_the_second(
    notes: Path, instance: dg.DagsterInstance, start: Start
) -> None:
    with dg.execute_job(job("doomed"), instance) as result:
        assert not result.success
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert failure.step_failure_data.error is not None
        assert 'Step "deadly" was lost twice' in failure.step_failure_data.error.message
    assert len(begun(notes / "deadly")) == 2


def test_a_step_whose_database_was_away_is_done_once_more_and_one_that_is_wrong_is_not(
    notes: Path, instance: dg.DagsterInstance, start: Start
) -> None:
    with dg.execute_job(job("disturbed"), instance) as result:
        failed = {event.step_key: event.step_failure_data.error for event in result.all_events if event.is_step_failure}
        run_id = result.run_id
    times = {name: len(begun(notes / name)) for name in ("severed", "deserted", "mistaken")}
    assert times == {"severed": 2, "deserted": 2, "mistaken": 1}
    log = told(instance, run_id)
    assert [log.count(f'Step "{name}" was lost') for name in ("severed", "deserted", "mistaken")] == [1, 1, 0]
    assert set(failed) == {"deserted", "mistaken"}
    assert failed["deserted"] is not None
    assert "Cannot open the database" in failed["deserted"].to_string()
