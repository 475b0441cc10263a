"""The record of every ingested period: how far ingestion is, what it found, and whether the warehouse agrees."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shelfops_pipeline.store.records import PeriodRecord
from shelfops_pipeline.store.tables import DATASET, PERIOD, ingested_periods

_KEY = (DATASET, PERIOD)
_ROWS_PER_STATEMENT = 1_000


def record_periods(engine: Engine, dataset: str, records: Iterable[PeriodRecord]) -> int:
    """Record these periods, in place of what was recorded of them; returns their number.

    Written last, after rows and quarantine: what is recorded is complete. `ingested_at` of a record is ignored, it is
    the time of the call. Two records of one period raise ValueError.
    """
    now = func.clock_timestamp()
    rows = [{**asdict(record), DATASET: dataset, "ingested_at": now} for record in records]
    if len({row[PERIOD] for row in rows}) < len(rows):
        raise ValueError("two records of one period")
    statement = insert(ingested_periods)
    changed = {column.name: statement.excluded[column.name] for column in ingested_periods.c if column.name not in _KEY}
    upsert = statement.on_conflict_do_update(index_elements=_KEY, set_=changed)
    with engine.begin() as connection:
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            connection.execute(upsert.values(rows[start : start + _ROWS_PER_STATEMENT]))
    return len(rows)


def reopen_periods(engine: Engine, dataset: str, periods: Iterable[date]) -> None:
    """Forget the checksums of these periods: whoever dies before `record_periods` leaves them to be ingested again."""
    forgotten = {"source_checksum": None, "warehouse_checksum": None}
    here = (ingested_periods.c.dataset == dataset, ingested_periods.c.period.in_(list(periods)))
    with engine.begin() as connection:
        connection.execute(update(ingested_periods).where(*here).values(**forgotten))


def watermark(engine: Engine, dataset: str) -> date | None:
    """The latest period that was ingested; None before the first."""
    statement = select(func.max(ingested_periods.c.period)).where(ingested_periods.c.dataset == dataset)
    with engine.connect() as connection:
        return connection.scalar(statement)


def period_records(
    engine: Engine, dataset: str, start: date | None = None, end: date | None = None
) -> list[PeriodRecord]:
    """The records of start..end, both included, in order of period; None means unbounded."""
    table = ingested_periods.c
    columns = [column for column in table if column.name != DATASET]
    statement = select(*columns).where(table.dataset == dataset).order_by(table.period)
    if start is not None:
        statement = statement.where(table.period >= start)
    if end is not None:
        statement = statement.where(table.period <= end)
    with engine.connect() as connection:
        return [PeriodRecord(**row) for row in connection.execute(statement).mappings()]
