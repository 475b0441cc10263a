"""Inventory snapshots and the tables that describe the retailer, in the warehouse."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, Table, delete, text

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    KIND,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    NAME,
    ON_HAND,
    ON_ORDER,
    SCOPE,
    STORE_ID,
)
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.arrow import Rows, canonical, constant, tables, text_type
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import JSONB_VERSION, copy_in
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.jsonb import to_json
from shelfops_pipeline.store.partitions import ensure_partitions, settle
from shelfops_pipeline.store.tables import (
    ATTRIBUTES,
    DATASET,
    SUPPLIER_ID,
    calendar,
    inventory,
    items,
    stores,
    suppliers,
)
from shelfops_pipeline.store.transactions import begin_replacing, in_periods

if TYPE_CHECKING:
    import pyarrow as pa

DESCRIBED: Final = ((stores, STORE_ID), (items, ITEM_ID), (suppliers, SUPPLIER_ID))


@cache
def inventory_schema() -> "pa.Schema":
    """The columns of `inventory` but for the data set, in their order, with those that are required."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(DATE, pa.date32(), nullable=False),
            pa.field(STORE_ID, text_type(), nullable=False),
            pa.field(ITEM_ID, text_type(), nullable=False),
            *(pa.field(name, pa.float64()) for name in (ON_HAND, ON_ORDER, LEAD_TIME_DAYS, LEAD_TIME_SD)),
        ]
    )


def replace_inventory(engine: Engine, dataset: str, dates: Sequence[date], rows: Rows) -> int:
    """Make `rows` the inventory of these dates, in one transaction; returns their number.

    As `transactions.replace_periods`, but a second row of one date, store and item raises DataError.
    """
    days = sorted(set(dates))
    if not days:
        return 0
    ensure_partitions(engine, inventory, days)
    with engine.begin() as connection:
        begin_replacing(connection, inventory, dataset, days)
        batches = in_periods(canonical(rows, inventory_schema(), inventory.name), dataset, days)
        count = copy_in(driver(connection), inventory.name, batches, (DATASET, *inventory_schema().names))
    settle(engine, inventory, days)
    return count


def replace_reference(
    engine: Engine,
    dataset: str,
    *,
    stores: "Rows | None" = None,
    items: "Rows | None" = None,
    suppliers: "Rows | None" = None,
    calendar: "Rows | None" = None,
) -> dict[str, int]:
    """Replace the reference tables that are given, in one transaction; returns the rows of each.

    stores, items and suppliers have their id and any attributes, which are kept as JSON (a missing one as null);
    calendar has date, scope, name and kind. Raises DataError when an id is missing or occurs twice.
    """
    given = {"stores": stores, "items": items, "suppliers": suppliers}
    counts: dict[str, int] = {}
    with engine.begin() as connection:
        lock = {"key": lock_key(f"reference:{dataset}")}
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), lock)
        for table, key in DESCRIBED:
            rows = given[table.name]
            if rows is not None:
                counts[table.name] = _replace(connection, table, dataset, _described(rows, table, key, dataset))
        if calendar is not None:
            counts["calendar"] = _replace_calendar(connection, dataset, calendar)
    return counts


def _replace(connection: Connection, table: Table, dataset: str, batches: "Iterator[pa.RecordBatch]") -> int:
    connection.execute(delete(table).where(table.c.dataset == dataset))
    return copy_in(driver(connection), table.name, batches, table.c.keys())


def _replace_calendar(connection: Connection, dataset: str, rows: Rows) -> int:
    import pyarrow as pa

    required = [pa.field(DATE, pa.date32(), False), pa.field(SCOPE, text_type(), False)]
    shape = pa.schema([*required, pa.field(NAME, text_type(), False), pa.field(KIND, text_type())])
    batches = (
        pa.RecordBatch.from_arrays([constant(dataset, batch.num_rows), *batch.columns], [DATASET, *shape.names])
        for batch in canonical(rows, shape, calendar.name)
    )
    return _replace(connection, calendar, dataset, batches)


def _described(rows: Rows, table: Table, key: str, dataset: str) -> "Iterator[pa.RecordBatch]":
    """Data set, id and attributes as JSON. A loop over rows, of which there are as many as stores or items."""
    import pyarrow as pa

    shape = pa.schema([pa.field(key, pa.string(), nullable=False)])
    for part in tables(rows):
        if key not in part.column_names:
            raise DataError(f"Cannot write {table.name}: column {key} is missing (has {', '.join(part.column_names)})")
        others = [name for name in part.column_names if name != key]
        start = 0
        for batch in canonical(part, shape, table.name):
            attributes = part.select(others).slice(start, batch.num_rows).to_pylist() or [{}] * batch.num_rows
            start += batch.num_rows
            texts = pa.array([JSONB_VERSION + to_json(row) for row in attributes], pa.string())
            ids = [constant(dataset, batch.num_rows), batch.column(0), texts]
            yield pa.RecordBatch.from_arrays(ids, [DATASET, key, ATTRIBUTES])
