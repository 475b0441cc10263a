"""Run the asset graph in this process, with progress, on the home's own Dagster instance: what `shelfops demo`,
`ingest` and `train` do. The same jobs can be started in the UI.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from shelfops_pipeline.errors import DataError, ShelfOpsError
from shelfops_pipeline.services.instance import dagster_instance, is_embedded, warehouse
from shelfops_pipeline.services.turns import our_turn
from shelfops_pipeline.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions, ExecuteInProcessResult
    from sqlalchemy import Engine

_POLL_SECONDS: Final = 0.3
_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Report = Callable[[str, str], None]
"""Told (step, what happened): started, done, failed, or a line of its log."""


class RunFailedError(ShelfOpsError):
    """A step failed; the message is the cause in one line."""


@dataclass(frozen=True)
class Pipeline:
    """The graph of one retailer, ready to run."""

    settings: Settings
    url: str
    """Of the warehouse."""
    instance: "DagsterInstance"
    definitions: "Definitions"

    @contextmanager
    def engine(self) -> Iterator["Engine"]:
        """The warehouse, migrated to the current schema."""
        from shelfops_pipeline.store.engine import open_engine
        from shelfops_pipeline.store.migrate import migrate

        engine = open_engine(self.url)
        try:
            migrate(engine)
            yield engine
        finally:
            engine.dispose()

    def ingest(self, start: date, end: date, report: Report) -> "ExecuteInProcessResult":
        """Read, validate and store every period of start..end as one run."""
        from shelfops_pipeline.defs.jobs import partition_range

        return self._run("ingest", report, partition_range(start, end))

    def validate_again(self, start: date, end: date, report: Report) -> "ExecuteInProcessResult":
        """Judge the stored raw rows of start..end again."""
        from shelfops_pipeline.defs.jobs import partition_range

        return self._run("validate_again", report, partition_range(start, end))

    def train(self, report: Report) -> "ExecuteInProcessResult":
        """Everything after ingestion, when no other run trains this retailer or forecasts for it."""
        with our_turn(self, report):
            return self._run("train", report, {})

    def _run(self, name: str, report: Report, tags: dict[str, str]) -> "ExecuteInProcessResult":
        return self._execute(self.definitions.resolve_job_def(name), report, tags)

    def _execute(self, job: Any, report: Report, tags: dict[str, str]) -> "ExecuteInProcessResult":
        run_id, began = str(uuid.uuid4()), datetime.now(UTC)
        with _watched(self.instance, run_id, report):
            result: ExecuteInProcessResult = job.execute_in_process(
                instance=self.instance, run_id=run_id, tags=tags, run_config=_QUIET, raise_on_error=False
            )
        if _was_stopped(result):
            raise KeyboardInterrupt
        if not result.success:
            with suppress(ShelfOpsError, SQLAlchemyError):  # a warehouse that is away may be why it failed
                self._note(job.name, run_id, began, success=False)
            raise RunFailedError(_cause(result))
        self._note(job.name, run_id, began, success=True)
        return result

    def _note(self, job: str, run_id: str, began: datetime, *, success: bool) -> None:
        """What the daemon's sensors do for its runs; they do not see those of a command. Who typed a command that
        failed has read why: it is no alert."""
        from shelfops_pipeline.contracts.trigger import Trigger
        from shelfops_pipeline.data.sources import current_source
        from shelfops_pipeline.store.operational_tables import RunStatus
        from shelfops_pipeline.store.operations import resolve_alerts
        from shelfops_pipeline.store.runs import EndedRun, note_run

        dataset, now = current_source(self.settings).name, datetime.now(UTC)
        status = RunStatus.SUCCEEDED if success else RunStatus.FAILED
        with self.engine() as engine:
            note_run(engine, dataset, EndedRun(run_id, job, status, Trigger.MANUAL, began, now))
            if success:
                resolve_alerts(engine, dataset, job, run_id=run_id, at=now)


@contextmanager
def open_pipeline(settings: Settings) -> Iterator[Pipeline]:
    """The warehouse, Dagster's instance and the definitions, held while the block runs.

    The definitions read their settings from the environment; the command line has put them there.
    """
    with warehouse(settings) as url, dagster_instance(settings, url) as instance:
        from shelfops_pipeline.definitions import defs
        from shelfops_pipeline.defs.dead_runs import fail_dead_runs

        if is_embedded(settings):
            fail_dead_runs(instance)
        loaded: Any = defs()  # the decorator makes a loader of it
        yield Pipeline(settings, url, instance, loaded)


@contextmanager
def _watched(instance: "DagsterInstance", run_id: str, report: Report) -> Iterator[None]:
    """Report steps as their events arrive in the event log."""
    done = threading.Event()

    def watch() -> None:
        cursor: str | None = None
        while True:
            finished = done.wait(_POLL_SECONDS)
            cursor = _drain(instance, run_id, cursor, report)
            if finished:
                return

    thread = threading.Thread(target=watch, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _drain(instance: "DagsterInstance", run_id: str, cursor: str | None, report: Report) -> str | None:
    from dagster import DagsterEventType

    words = {
        DagsterEventType.STEP_START: "started",
        DagsterEventType.STEP_SUCCESS: "done",
        DagsterEventType.STEP_FAILURE: "failed",
    }
    while True:
        page = instance.get_records_for_run(run_id, cursor=cursor, limit=500)
        for record in page.records:
            event = record.event_log_entry
            step = event.step_key or ""
            if event.dagster_event is None:
                report(step, event.user_message)
            elif event.dagster_event.event_type in words:
                report(step, words[event.dagster_event.event_type])
        if not page.has_more:
            return page.cursor
        cursor = page.cursor


def _was_stopped(result: "ExecuteInProcessResult") -> bool:
    """Did Ctrl-C or SIGTERM end it? Dagster takes them for an error of the step at work."""
    failures = (e.step_failure_data.error for e in result.all_events if e.is_step_failure)
    return any(error is not None and error.cls_name == "DagsterExecutionInterruptedError" for error in failures)


def _cause(result: "ExecuteInProcessResult") -> str:
    """The innermost error of the first failed step, in one line."""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            kind, _, text = error.message.strip().partition(": ")
            ours = kind.rpartition(".")[2] in {cls.__name__ for cls in _family(ShelfOpsError)}
            return text if ours else f"step {event.step_key} failed: {error.message.strip()}"
    return "the run failed before its first step; see the Dagster UI (`shelfops up`)"


def _family(cls: type[Exception]) -> set[type[Exception]]:
    return {cls, *(c for sub in cls.__subclasses__() for c in _family(sub))}


def require_directory(data: Path | None, dataset: str) -> None:
    """Raises DataError when a file data set was given no directory, or one that is not there."""
    if dataset == "simulated" or (data is None and Path(dataset).suffix in (".yaml", ".yml")):
        return
    if data is None:
        raise DataError(f"{dataset}: say where its files are, with --data DIR")
    if not data.is_dir():
        raise DataError(f"--data {data}: no such directory")
