"""Runs of the pipeline that ended, kept where the API can tell a monitor of them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from shelfops_pipeline.store.operational_tables import (
    RequestStatus,
    RunStatus,
    operational_alerts,
    pipeline_runs,
    retrain_requests,
)

table = pipeline_runs.c


@dataclass(frozen=True)
class EndedRun:
    """One run of a job; `trigger` says who asked for it (`contracts.trigger`)."""

    run_id: str
    job: str
    status: RunStatus
    trigger: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True)
class PipelineState:
    """The latest run of each job and status, and how much waits to be done or mended."""

    latest: tuple[EndedRun, ...]
    open_alerts: dict[str, int]
    """Of each job."""
    requests: dict[str, int]
    """Retrain requests that are not yet done, by status."""


def note_run(engine: Engine, dataset: str, run: EndedRun) -> None:
    """Record that a run ended. Telling of it again changes nothing."""
    values = {"dataset": dataset, **vars(run), "status": run.status.value}
    with engine.begin() as connection:
        connection.execute(insert(pipeline_runs).values(values).on_conflict_do_nothing())


def pipeline_state(engine: Engine, dataset: str) -> PipelineState:
    """What a monitor wants to know of a retailer's pipeline."""
    columns = (table.run_id, table.job, table.status, table.trigger, table.started_at, table.ended_at)
    latest = (
        select(*columns)
        .ext(distinct_on(table.job, table.status))
        .where(table.dataset == dataset)
        .order_by(table.job, table.status, table.ended_at.desc())
    )
    alerts = select(operational_alerts.c.job, func.count()).where(
        operational_alerts.c.dataset == dataset, operational_alerts.c.resolved_at.is_(None)
    )
    done = (RequestStatus.SUCCEEDED.value, RequestStatus.FAILED.value)
    requests = select(retrain_requests.c.status, func.count()).where(
        retrain_requests.c.dataset == dataset, retrain_requests.c.status.not_in(done)
    )
    with engine.connect() as connection:
        rows = connection.execute(latest).mappings()
        return PipelineState(
            tuple(EndedRun(**{**row, "status": RunStatus(row["status"])}) for row in rows),
            {job: count for job, count in connection.execute(alerts.group_by(operational_alerts.c.job))},
            {status: count for status, count in connection.execute(requests.group_by(retrain_requests.c.status))},
        )


def prune_runs(engine: Engine, dataset: str, before: datetime) -> int:
    """Forget runs that ended before that time; returns the number."""
    with engine.begin() as connection:
        old = delete(pipeline_runs).where(table.dataset == dataset, table.ended_at < before)
        return connection.execute(old).rowcount
