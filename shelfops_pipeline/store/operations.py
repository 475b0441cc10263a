"""Operational alerts: what went wrong with the running of the system, one per job and cause, until the job succeeds.

Stock alerts are about shelves, these are about runs.
"""

from datetime import datetime

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shelfops_pipeline.store.operational_tables import operational_alerts
from shelfops_pipeline.store.records import OperationalAlert

table = operational_alerts.c


def raise_alert(engine: Engine, dataset: str, job: str, cause: str, *, message: str, run_id: str, at: datetime) -> None:
    """Record that a run of `job` failed at `at`. While an alert of that job and cause is open, it is counted there.

    Telling of the same run again changes nothing.
    """
    values = {
        "dataset": dataset,
        "job": job,
        "cause": cause,
        "message": message,
        "run_id": run_id,
        "raised_at": at,
        "last_at": at,
    }
    statement = insert(operational_alerts).values(values)
    counted = {
        "message": statement.excluded.message,
        "run_id": statement.excluded.run_id,
        "last_at": func.greatest(table.last_at, statement.excluded.last_at),
        "occurrences": table.occurrences + 1,
    }
    told = select(table.alert_id).where(table.dataset == dataset, table.run_id == run_id, table.cause == cause)
    with engine.begin() as connection:
        if connection.execute(told).first() is None:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["dataset", "job", "cause"], index_where=table.resolved_at.is_(None), set_=counted
                )
            )


def resolve_alerts(engine: Engine, dataset: str, job: str, *, run_id: str, at: datetime) -> int:
    """Close what a run of `job` that succeeded at `at` has proved to be over; returns how many alerts that were."""
    over = (table.dataset == dataset, table.job == job, table.resolved_at.is_(None), table.last_at <= at)
    values = {"resolved_at": at, "resolved_by": run_id}
    with engine.begin() as connection:
        return connection.execute(update(operational_alerts).where(*over).values(values)).rowcount


def operational_alerts_of(
    engine: Engine, dataset: str, *, resolved: bool = False, limit: int = 100
) -> list[OperationalAlert]:
    """The open alerts, or with `resolved` all, latest first."""
    statement = select(operational_alerts).where(table.dataset == dataset)
    if not resolved:
        statement = statement.where(table.resolved_at.is_(None))
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(table.last_at.desc(), table.alert_id.desc()).limit(limit))
        return [OperationalAlert(**row) for row in rows.mappings()]
