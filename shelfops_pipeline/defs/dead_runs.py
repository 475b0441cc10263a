"""Runs whose process is gone: nobody else tells them so, and one that is STARTED for ever blocks its pool.

The code server fails a run whose process ends without a word. It cannot do so when it ends itself, nor after the
storage was away for longer than Dagster's own six seconds: then it no longer looks at any run.
"""

from typing import Final

import dagster as dg
import psutil
from dagster._core.storage.tags import GRPC_INFO_TAG

# A run's process cannot have started after the event in which it says its number.
_CLOCK_SECONDS: Final = 2.0


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every 30 seconds: a run whose process is gone has failed, and the daemon starts it again from where "
    "it was; places in a pool that finished runs hold are free.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Sensors are evaluated by the code server, beside the processes of the runs that it started."""
    dead = fail_dead_runs(context.instance, of_code_server=True)
    return dg.SkipReason(f"failed: {', '.join(dead)}" if dead else "every run at work has its process")


def fail_dead_runs(
    instance: dg.DagsterInstance, *, launcher_gone: bool = False, of_code_server: bool = False
) -> list[str]:
    """Mark runs failed whose process is gone, and free the pool slots they hold; returns their ids.

    Processes are looked for on this machine. With `of_code_server` only runs that a code server has started are looked
    at: those of a command may be at work on another machine. Without, only for a storage that no other machine uses.
    With `launcher_gone` (no code server lives, as when `up` starts), runs that never got a process are dead too.
    """
    status = dg.DagsterRunStatus
    begun = [status.STARTING, status.STARTED, status.CANCELING]
    if launcher_gone:
        begun.append(status.NOT_STARTED)
    dead = []
    for run in instance.get_runs(dg.RunsFilter(statuses=begun)):
        if of_code_server and GRPC_INFO_TAG not in run.tags:
            continue
        if not _is_alive(instance, run, otherwise=not launcher_gone) and _fail(instance, run.run_id):
            dead.append(run.run_id)
    free_slots(instance)
    return dead


def free_slots(instance: dg.DagsterInstance) -> None:
    """Slots of finished runs are free; a kill between finishing and freeing leaves them taken."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for run_id in storage.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            storage.free_concurrency_slots_for_run(run_id)


def _fail(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Unless it finished, and its process with it, since it was last looked at."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, "Its process is gone.")
    else:
        instance.report_run_failed(run, "Its process is gone: it was killed, or the machine went down.")
    return True


def _is_alive(instance: dg.DagsterInstance, run: dg.DagsterRun, *, otherwise: bool) -> bool:
    """Does the process that the run's events name still live? `otherwise`, where they name none."""
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = record.dagster_event
        pid = None if event is None else event.engine_event_data.metadata.get("pid")
        if pid is not None and pid.value is not None:
            return _lived_at(int(str(pid.value)), record.timestamp)
    return otherwise


def _lived_at(pid: int, timestamp: float) -> bool:
    """Is the process that had this number then still there?"""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() < timestamp + _CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return False
