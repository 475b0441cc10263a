"""Accepted transactions in the warehouse: whole periods are replaced, ranges and series are read back."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import sql
from sqlalchemy import Connection, Engine, Table, text

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    LINE,
    ON_PROMOTION,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
)
from shelfops_pipeline.store.arrow import Rows, canonical, constant, text_type
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import copy_in, copy_out
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.partitions import ensure_partitions, is_native, month_of, settle
from shelfops_pipeline.store.tables import DATASET, PERIOD, transactions

if TYPE_CHECKING:
    import pyarrow as pa

_UNLIMITED: Final = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0"


@cache
def schema() -> "pa.Schema":
    """The columns of `transactions` but for the data set, in their order, with those that are required."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(PERIOD, pa.date32(), nullable=False),
            pa.field(TS, pa.timestamp("us"), nullable=False),
            pa.field(STORE_ID, text_type(), nullable=False),
            pa.field(ITEM_ID, text_type(), nullable=False),
            pa.field(QUANTITY, pa.float64(), nullable=False),
            pa.field(UNIT_PRICE, pa.float64()),
            pa.field(ON_PROMOTION, pa.float64()),
            pa.field(TRANSACTION_ID, pa.string()),
            pa.field(SOURCE, text_type()),
            pa.field(LINE, pa.int64()),
        ]
    )


def replace_periods(engine: Engine, dataset: str, periods: Sequence[date], rows: Rows) -> int:
    """Make `rows` the transactions of these periods, in one transaction; returns their number.

    A period without rows ends up empty; other periods and other data sets are not touched. `rows` has the columns of
    `schema()`; they are stored in the order given, and reading is fastest when that is by period, then by series. A
    stream of tables keeps memory flat. Writers of one data set wait for each other. Raises DataError for rows that
    cannot be stored and ValueError for a row of another period; nothing has changed then.
    """
    days = sorted(set(periods))
    if not days:
        return 0
    ensure_partitions(engine, transactions, days)
    with engine.begin() as connection:
        begin_replacing(connection, transactions, dataset, days)
        columns = (DATASET, *schema().names)
        batches = in_periods(canonical(rows, schema(), transactions.name), dataset, days)
        count = copy_in(driver(connection), transactions.name, batches, columns)
    settle(engine, transactions, days)
    return count


def begin_replacing(connection: Connection, table: Table, dataset: str, days: Sequence[date]) -> None:
    """Lock the data set's rows of `table` against other writers, and delete those of `days` (sorted)."""
    lock = {"key": lock_key(f"{table.name}:{dataset}")}
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), lock)
    if not is_native(connection, table):
        connection.execute(text(_UNLIMITED))  # a compressed segment is unpacked to change one day of it
    when = PERIOD if PERIOD in table.c else DATE
    statement = text(
        f"DELETE FROM {table.name} WHERE {DATASET} = :dataset"  # noqa: S608 - names are ours
        f" AND {when} BETWEEN :first AND :last AND {when} = ANY(:days)"
    )
    for _, month in groupby(days, month_of):  # one partition at a time, and few days to compare with
        these = list(month)
        bounds = {"first": these[0], "last": these[-1], "days": these}
        connection.execute(statement, {"dataset": dataset, **bounds})


def in_periods(batches: "Iterator[pa.RecordBatch]", dataset: str, days: Sequence[date]) -> "Iterator[pa.RecordBatch]":
    """`batches` with the data set in front. The first column is the period; one that is not in `days` is an error."""
    import pyarrow as pa

    allowed = np.array(days, dtype="datetime64[D]")
    for batch in batches:
        found = batch.column(0).to_numpy(zero_copy_only=False)
        other = found[~np.isin(found, allowed)]
        if other.size:
            raise ValueError(f"rows of period {other[0]}, which is not being replaced")
        columns = [constant(dataset, batch.num_rows), *batch.columns]
        yield pa.RecordBatch.from_arrays(columns, [DATASET, *batch.schema.names])


def read_transactions(
    engine: Engine,
    dataset: str,
    start: date,
    end: date,
    *,
    store_id: str | None = None,
    item_id: str | None = None,
) -> "pa.Table":
    """Transactions of the periods start..end, both included, of one store or item if given, in stored order."""
    import pyarrow as pa

    with engine.begin() as connection:
        batches = list(stored_batches(connection, dataset, start, end, store_id=store_id, item_id=item_id))
        return pa.Table.from_batches(batches, schema())


def stored_batches(
    connection: Connection, dataset: str, start: date, end: date, **ids: str | None
) -> "Iterator[pa.RecordBatch]":
    """The same, in batches of a few megabytes, for readers that keep memory flat."""
    conditions = [sql.SQL("{} = {}").format(sql.Identifier(DATASET), sql.Placeholder())]
    conditions.append(sql.SQL("{} BETWEEN {} AND {}").format(sql.Identifier(PERIOD), *[sql.Placeholder()] * 2))
    parameters: list[Any] = [dataset, start, end]
    for name, value in ids.items():
        if value is not None:
            conditions.append(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()))
            parameters.append(value)
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(map(sql.Identifier, schema().names)),
        sql.Identifier(transactions.name),
        sql.SQL(" AND ").join(conditions),
    )
    yield from copy_out(driver(connection), query, schema(), parameters)
