"""Every run that ends is recorded in the warehouse; one that fails is an alert, until its job succeeds again."""

from datetime import UTC, datetime

import dagster as dg

from shelfops_pipeline.contracts.trigger import TRIGGER, Trigger
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.store.operational_tables import RunStatus
from shelfops_pipeline.store.operations import raise_alert, resolve_alerts
from shelfops_pipeline.store.runs import EndedRun, note_run

_MESSAGE = 2_000  # characters


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="When a run of any job fails: an operational alert, one per job and cause while it lasts.",
)
def run_failures(context: dg.RunFailureSensorContext, retailer: Retailer, warehouse: Warehouse) -> None:
    """The cause is the step that failed and the kind of error; the message is the latest run's."""
    cause, message = _cause(context)
    run, dataset = context.dagster_run, retailer.source.name
    with warehouse.engine() as engine:
        ended = _ended_run(context.instance, run, RunStatus.FAILED)
        note_run(engine, dataset, ended)
        raise_alert(engine, dataset, run.job_name, cause, message=message, run_id=run.run_id, at=ended.ended_at)
        if (later := _last_success(context.instance, run.job_name)) is not None:  # a success that was told first
            resolve_alerts(engine, dataset, run.job_name, run_id=later.run_id, at=_times(context.instance, later)[1])


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="When a run succeeds: the operational alerts of its job are resolved.",
)
def run_recoveries(context: dg.RunStatusSensorContext, retailer: Retailer, warehouse: Warehouse) -> None:
    """What a job has done since is no longer broken."""
    run, dataset = context.dagster_run, retailer.source.name
    with warehouse.engine() as engine:
        ended = _ended_run(context.instance, run, RunStatus.SUCCEEDED)
        note_run(engine, dataset, ended)
        resolve_alerts(engine, dataset, run.job_name, run_id=run.run_id, at=ended.ended_at)


def _cause(context: dg.RunFailureSensorContext) -> tuple[str, str]:
    """What went wrong, in words that are the same next time; and in full."""
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        if error is not None:
            while error.cause is not None:
                error = error.cause
            return f"{event.step_key}: {error.cls_name}", error.message.strip()[:_MESSAGE]
    return "the run", (context.failure_event.message or "it ended outside of its steps")[:_MESSAGE]


def _ended_run(instance: dg.DagsterInstance, run: dg.DagsterRun, status: RunStatus) -> EndedRun:
    trigger = run.tags.get(TRIGGER, Trigger.MANUAL.value)
    return EndedRun(run.run_id, run.job_name, status, trigger, *_times(instance, run))


def _times(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[datetime, datetime]:
    """When it began and when it ended; one that never began took no time."""
    record = instance.get_run_record_by_id(run.run_id)
    if record is None or record.end_time is None:
        return datetime.now(UTC), datetime.now(UTC)
    began = record.end_time if record.start_time is None else record.start_time
    return datetime.fromtimestamp(began, UTC), datetime.fromtimestamp(record.end_time, UTC)


def _last_success(instance: dg.DagsterInstance, job: str) -> dg.DagsterRun | None:
    of_job = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
    return next(iter(instance.get_runs(of_job, limit=1)), None)
