"""Faults of a server, made on the processes of `shelfops up --workers`: what is killed, and what comes of it.

One training carries most of them, for a stack and a training take their time. The API is asked all the while.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.queues import DEFAULT, ML
from shelfops_pipeline.contracts.trigger import Trigger
from shelfops_pipeline.defs.jobs import partition_range
from shelfops_pipeline.lifecycle.reports import CHARTS
from shelfops_pipeline.services.twin import FINISHED, marked, twin
from shelfops_pipeline.store.embedded import remove_embedded
from tests.stack.faulty import Asked, Faulty, until

DAYS = 150
SETTINGS = {
    **{"SIMULATED_STORES": "3", "SIMULATED_ITEMS": "16", "SIMULATED_DAYS": str(DAYS), "TRACKING_SECONDS": "2"},
    **{"EFFORT": "0.05", "FOLDS": "2", "HORIZON": "14", "TIER": "cold_start"},
}
FIRST = date(2024, 1, 1)
LAST = FIRST + timedelta(days=DAYS - 1)
WEEKLY = {"dagster/schedule_name": "weekly_retrain", **Trigger.WEEKLY.tags}
TRAINING = (
    *("training_data", "panel", "backtest", "totals_calibration", "model_candidates", "champion"),
    *(f"{tier.value}_{part}" for tier in Tier for part in ("features", "xgboost", "lstm")),
    *("shap_summary", "feature_importance", "shap_local", "lstm_attribution", "model_card"),
    *(*CHARTS, "experiment_run"),
    *("online_features", "demand_forecasts", "reorder_plan"),
)
"""What makes a version, serves it and tells MLflow; without drift, and without why each forecast is what it is."""
TRAINED, PLANNED = "cold_start_xgboost", "reorder_plan"
"""The steps in which something is killed: one that trains, and one that works in PostgreSQL."""
RAW = ["raw_transactions"]
DISK_MB = 64
STORED = """SELECT count(*) AS rows, count(DISTINCT (store_id, item_id, ts)) AS distinct_rows,
  (SELECT count(*) FROM ingested_periods) AS periods FROM transactions"""

pytestmark = pytest.mark.timeout(1800)  # the first one starts the stack and trains


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def stack(disk: Path | None) -> Iterator[Faulty]:
    """The stack after its retailer was ingested; stopped in the end, with nothing left running."""
    with TemporaryDirectory(prefix="shelfops-faults-") as folder:
        home = Path(folder)
        settings = SETTINGS | ({} if disk is None else {"ARTIFACTS": str(disk)})
        try:
            with twin(home, settings) as running:
                mark, asked = running.mark, Asked(f"{running.api}/healthz")
                thread = threading.Thread(target=asked.ask)
                thread.start()
                try:
                    made = Faulty(running, asked, disk)
                    made.succeed(running.launch("ingest", partition_range(FIRST, LAST)))
                    yield made
                finally:
                    asked.stop.set()
                    thread.join()
                assert running.stop() == 0
            assert marked(mark) == []
        finally:
            remove_embedded(home)


def fill(file: Path) -> None:
    """Raises OSError when its disk is full."""
    with file.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"\0" * 65536)


def tables(folder: Path) -> dict[Path, bytes]:
    """What every table in it holds; drafts are none."""
    return {file: file.read_bytes() for file in folder.rglob("*.parquet")}


@dataclass(frozen=True)
class Training:
    """The weekly training, and what was seen before and after its faults."""

    runs: list[dict[str, Any]]
    asked_for: str
    """Its status while the daemon was dead."""
    before: list[Any]
    after: list[Any]

    @property
    def run_id(self) -> str:
        return str(self.runs[0]["runId"])


@pytest.fixture(scope="module")
def training(stack: Faulty) -> Training:
    """Asked for while the daemon was dead; MLflow answers nobody, the worker is killed, then PostgreSQL and Redis."""
    before, tracker = stack.rows(STORED), stack.twin.pid("mlflow")
    os.killpg(tracker, signal.SIGSTOP)
    try:
        stack.kill("daemon")
        run_id = stack.twin.launch("train", WEEKLY, TRAINING)
        asked_for = stack.twin.run(run_id)["status"]
        stack.begun(run_id, TRAINED)
        stack.kill(f"{ML}-worker")
        stack.begun(run_id, PLANNED)
        stack.kill("postgres")
        stack.kill("redis")
        stack.served()
        runs = stack.succeed(run_id)
    finally:
        os.killpg(tracker, signal.SIGCONT)
    return Training(runs, asked_for, before, stack.rows(STORED))


def test_a_step_whose_worker_is_killed_is_done_once_more_and_one_version_results(
    stack: Faulty, training: Training
) -> None:
    times = Counter(step for step, _ in stack.twin.workers(training.run_id))
    assert times[TRAINED] == 2
    assert sum(f'"{TRAINED}" was lost' in message for message in stack.twin.messages(training.run_id)) == 1
    assert [version for version, _ in stack.versions()] == ["v1"]


def test_a_run_that_is_asked_for_while_the_daemon_is_dead_is_not_lost(stack: Faulty, training: Training) -> None:
    assert training.asked_for == "QUEUED"
    assert "daemon" in stack.restarted()


def test_postgresql_and_redis_are_killed_in_the_middle_of_a_run_and_nothing_is_lost_or_doubled(
    stack: Faulty, training: Training
) -> None:
    assert stack.restarted() >= {"postgres", "redis"}
    assert len(training.runs) <= 2
    [stored] = training.after
    assert training.before == training.after
    assert (stored.rows, stored.periods) == (stored.distinct_rows, DAYS)


def test_a_training_without_mlflow_is_whole_and_mlflow_gets_it_later(stack: Faulty, training: Training) -> None:
    reports = stack.twin.home / "reports"
    [record] = [*reports.glob("run_*.json"), *reports.glob("tracked/run_*.json")]  # the sensor may be first
    stack.succeed(stack.twin.launch("sync_tracking", {}))
    assert (reports / "tracked" / record.name).exists()


def test_a_full_disk_fails_the_run_and_what_was_there_stays(stack: Faulty, training: Training) -> None:
    if stack.disk is None:
        pytest.skip("a small disk can only be mounted by root, and not in every container")
    periods = partition_range(LAST - timedelta(days=2), LAST)
    before, ballast = tables(stack.disk), stack.disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        fill(ballast)
    failed = stack.twin.launch("ingest", periods, RAW)
    assert stack.twin.wait(failed)["status"] == "FAILURE"
    assert any("No space left on device" in message for message in stack.twin.messages(failed))
    ballast.unlink()
    assert tables(stack.disk) == before
    stack.succeed(stack.twin.launch("ingest", periods, RAW))
    assert tables(stack.disk) == before


@pytest.mark.soak
def test_postgresql_may_be_away_for_longer_than_any_process_waits_for_it(stack: Faulty, training: Training) -> None:
    run_id = stack.twin.launch("train", WEEKLY)
    stack.begun(run_id, TRAINED)
    stack.twin.process.send_signal(signal.SIGSTOP)  # the supervisor would start it again at once
    try:
        stack.kill("postgres")
        time.sleep(60)
    finally:
        stack.twin.process.send_signal(signal.SIGCONT)
    assert len(stack.succeed(run_id)) <= 2
    assert stack.rows(STORED) == training.after


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_whatever_is_killed_and_whenever_a_training_comes_to_its_end(
    stack: Faulty, training: Training, record_property: Callable[[str, object], None]
) -> None:
    services = (f"{ML}-worker", f"{DEFAULT}-worker", "redis", "daemon", "code-server", "webserver", "postgres")
    chance, repeated, versions = random.Random(7), 0, len(stack.versions())  # noqa: S311
    for service in services:
        run_id = stack.twin.launch("train", WEEKLY, TRAINING)
        until(lambda run_id=run_id: stack.twin.run(run_id)["status"] != "QUEUED", "the training begins")
        time.sleep(chance.uniform(1, 60))
        stack.kill(service)
        repeated += len(stack.succeed(run_id)) - 1
        statuses = Counter(status for _, status in stack.versions())
        versions += 1
        assert (statuses["champion"], statuses.total()) == (1, versions), service
    record_property("trainings with a service killed at any time", len(services))
    record_property("of which started again by the daemon", repeated)


def test_after_all_of_it_there_is_one_champion_and_no_run_at_work(stack: Faulty, training: Training) -> None:
    assert Counter(status for _, status in stack.versions())["champion"] == 1
    assert {run["status"] for run in stack.twin.runs()} <= set(FINISHED)


def test_the_api_answered_all_the_while(stack: Faulty, training: Training) -> None:
    assert stack.asked.url.endswith("/readyz")
    assert stack.asked.failures == []
    assert stack.asked.answers > 20
