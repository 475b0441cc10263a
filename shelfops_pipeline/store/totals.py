"""Totals of a release's forecasts: per store, per category, per both, and of the whole retailer."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import REAL, Column, Date, Engine, PrimaryKeyConstraint, Table, Text, delete, select, tuple_

from shelfops_pipeline.contracts.columns import CATEGORY, DATE, LEVEL, MEAN, QUANTILE_COLUMNS, STORE_ID, TotalLevel
from shelfops_pipeline.store.bulk import Columns, arrow_table, copy_table
from shelfops_pipeline.store.forecasts import published_at
from shelfops_pipeline.store.tables import RELEASE, metadata

# An id that a level does not have is empty, which no real one is: a key has no NULL.
forecast_totals = Table(
    "forecast_totals",
    metadata,
    *(Column(name, Text(collation="C"), nullable=False) for name in (RELEASE, LEVEL, STORE_ID, CATEGORY)),
    Column(DATE, Date, nullable=False),
    *(Column(name, REAL, nullable=False) for name in (MEAN, *QUANTILE_COLUMNS)),
    PrimaryKeyConstraint(RELEASE, LEVEL, STORE_ID, CATEGORY, DATE),
)


class TotalRow(NamedTuple):
    """The expected demand of one group in one period; an id that its level does not have is empty."""

    store_id: str
    category: str
    date: date
    mean: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


GroupKey = tuple[str, str]
"""Store and category of a total."""


class FoundTotals(NamedTuple):
    """Groups in order of store and category, and when their release was published; None: it was not."""

    published_at: datetime | None
    groups: dict[GroupKey, list[TotalRow]]


_COLUMNS: Final = tuple(forecast_totals.c[name] for name in TotalRow._fields)


def publish_totals(engine: Engine, release: str, columns: Columns) -> int:
    """Make these the release's totals, in one transaction; returns the rows.

    `columns`: level, store_id, category, date, mean and the quantiles. Raises DataError for missing columns or values,
    or duplicate keys.
    """
    data = arrow_table(columns, (LEVEL, STORE_ID, CATEGORY, DATE, MEAN, *QUANTILE_COLUMNS), release)
    with engine.begin() as connection:
        connection.execute(delete(forecast_totals).where(forecast_totals.c.release == release))
        return copy_table(connection, forecast_totals.name, data)


def read_totals(
    engine: Engine,
    release: str,
    level: TotalLevel,
    *,
    store_id: str | None = None,
    category: str | None = None,
    start: date | None = None,
    end: date | None = None,
    after: GroupKey | None = None,
    limit: int = 100,
) -> FoundTotals:
    """The periods of up to `limit` groups of one level, in order of store, category and date, of one publication.

    `after` is the last group of the page before. A group none of whose periods lie from `start` to `end` is left out.
    """
    table = forecast_totals.c
    wanted = [table.release == release, table.level == level.value]
    wanted += [table[name] == value for name, value in _given(store_id, category).items()]
    if start is not None:
        wanted.append(table.date >= start)
    if end is not None:
        wanted.append(table.date <= end)
    key = tuple_(table.store_id, table.category)
    groups = select(table.store_id, table.category).where(*wanted).distinct()
    if after is not None:
        groups = groups.where(key > tuple_(*after))
    page = groups.order_by(table.store_id, table.category).limit(limit)
    statement = select(*_COLUMNS).where(*wanted, key.in_(page)).order_by(table.store_id, table.category, table.date)
    found: dict[GroupKey, list[TotalRow]] = {}
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        since = published_at(connection, release)
        for row in map(TotalRow._make, connection.execute(statement)):
            found.setdefault((row.store_id, row.category), []).append(row)
    return FoundTotals(since, found)


def _given(store_id: str | None, category: str | None) -> Mapping[str, str]:
    return {name: value for name, value in ((STORE_ID, store_id), (CATEGORY, category)) if value is not None}
