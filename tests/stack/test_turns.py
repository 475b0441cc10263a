"""No two trainings of one retailer at once: not in the queue, not from the command line, not both."""

import threading
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES

from shelfops_pipeline.defs.partitions import PANEL_POOL
from shelfops_pipeline.defs.turns import run_in_progress
from shelfops_pipeline.services.instance import make_pool
from shelfops_pipeline.services.pipeline import Pipeline, open_pipeline
from shelfops_pipeline.services.turns import our_turn
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import open_engine, try_advisory_lock
from tests.conftest import make_databases


@pytest.fixture(scope="module")
def pipeline(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The graph of a home in which nothing has run; tests leave no run at work."""
    values = {"home": tmp_path_factory.mktemp("turns")} | make_databases(postgres_server, "turns")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"SHELFOPS_{name.upper()}", str(value))
        with open_pipeline(Settings()) as opened:
            yield opened


def begin(pipeline: Pipeline, job: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
    """A run of that job which is at work, as another process would start it."""
    return pipeline.instance.create_run_for_job(pipeline.definitions.resolve_job_def(job), status=status)


class Waiting:
    """Somebody who waits for their turn in another thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.said: list[tuple[str, str]] = []
        self.entered = threading.Event()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(pipeline,), daemon=True)
        self._thread.start()

    def _wait(self, pipeline: Pipeline) -> None:
        with our_turn(pipeline, lambda step, what: self.said.append((step, what))):
            self.entered.set()
            self._leave.wait(30)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(10)

    def heard(self) -> str:
        """What it says first."""
        deadline = time.monotonic() + 10
        while not self.said and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.said[0][0]


@pytest.mark.parametrize(
    ("job", "takes_turns"),
    [
        ("train", True),
        ("backtest_recipes", True),
        ("refresh", True),
        ("sync", True),
        ("publish", True),
        ("maintenance", False),
    ],
)
def test_whatever_writes_the_panel_trains_on_it_or_forecasts_takes_turns(
    pipeline: Pipeline, job: str, takes_turns: bool
) -> None:
    run = begin(pipeline, job)
    found = run_in_progress(pipeline.instance, PANEL_POOL)
    assert (found is not None) == takes_turns
    pipeline.instance.report_run_failed(run)
    assert run_in_progress(pipeline.instance, PANEL_POOL) is None


def test_the_queue_holds_a_training_back_while_another_run_has_the_panel(pipeline: Pipeline) -> None:
    for _ in range(2):  # `shelfops up` does it whenever it starts
        make_pool(pipeline.instance, PANEL_POOL)
    queued = {job: begin(pipeline, job, dg.DagsterRunStatus.NOT_STARTED) for job in ("train", "refresh", "maintenance")}
    assert not any(is_held_back(pipeline, run) for run in queued.values())
    running = begin(pipeline, "backtest_recipes")
    assert {job for job, run in queued.items() if is_held_back(pipeline, run)} == {"train", "refresh"}
    pipeline.instance.report_run_failed(running)
    assert not any(is_held_back(pipeline, run) for run in queued.values())


def is_held_back(pipeline: Pipeline, run: dg.DagsterRun) -> bool:
    """What the daemon's queue decides, by the shipped dagster.yaml."""
    instance, storage = pipeline.instance, pipeline.instance.event_log_storage
    counter = GlobalOpConcurrencyLimitsCounter(
        instance,
        [run],
        instance.get_run_records(dg.RunsFilter(statuses=list(ACTIVE_RUN_STATUSES))),
        concurrency_keys=storage.get_concurrency_keys(),
        pool_limits=storage.get_pool_limits(),
        pool_granularity=instance.get_concurrency_config().pool_config.pool_granularity,
    )
    return counter.is_blocked(run)


def test_a_command_waits_until_the_run_of_the_daemon_has_ended(pipeline: Pipeline) -> None:
    run = begin(pipeline, "train")
    waiting = Waiting(pipeline)
    assert waiting.heard() == f"waiting for run {run.run_id[:8]} (train)"
    assert not waiting.entered.is_set()
    pipeline.instance.report_run_failed(run)
    assert waiting.entered.wait(10)
    assert [what for _, what in waiting.said] == ["started", "done"]
    waiting.leave()


def test_two_commands_train_one_after_the_other(pipeline: Pipeline) -> None:
    first = Waiting(pipeline)
    assert first.entered.wait(10)
    second = Waiting(pipeline)
    assert second.heard() == "waiting for another command that trains simulated"
    assert not second.entered.is_set()
    first.leave()
    assert second.entered.wait(10)
    second.leave()


def test_a_turn_ends_with_its_holder(pipeline: Pipeline) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), our_turn(pipeline, lambda *_: None):
        raise RuntimeError("in the middle")
    engine = open_engine(pipeline.url)
    with try_advisory_lock(engine, PANEL_POOL) as free:
        assert free
    engine.dispose()
