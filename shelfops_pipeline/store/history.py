"""What the warehouse knows of the past, for rules that judge a row by it: outliers, returns without a sale, clocks."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, QUANTITY, STORE_ID, TS
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import copy_out
from shelfops_pipeline.store.tables import DATASET, PERIOD, transactions

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = "rows"
LARGEST: Final = "largest"
FIRST_SALE: Final = "first_sale"
HOUR: Final = "hour"
LINES: Final = "lines"

Arrays = Mapping[str, NDArray[Any]]


def series_history(engine: Engine, dataset: str, before: date) -> Arrays:
    """Every series with rows in periods before `before`, one entry each, in no order.

    `store_id`, `item_id` (object); `rows` whose quantity is not 0 (int64); `largest` absolute quantity in one row
    (float64); `first_sale` (datetime64[D]): the first day with a quantity above 0, NaT where there was none.
    """
    import pyarrow as pa

    query = sql.SQL(
        "SELECT {store}, {item}, count(*) FILTER (WHERE {quantity} <> 0), max(abs({quantity})),"
        " min({ts}::date) FILTER (WHERE {quantity} > 0)"
        " FROM {table} WHERE {dataset} = %s AND {period} < %s GROUP BY {store}, {item}"
    )
    shape = pa.schema(
        [
            (STORE_ID, pa.string()),
            (ITEM_ID, pa.string()),
            (ROWS, pa.int64()),
            (LARGEST, pa.float64()),
            (FIRST_SALE, pa.date32()),
        ]
    )
    return _arrays(engine, query, shape, dataset, before)


def hour_profile(engine: Engine, dataset: str, before: date) -> Arrays:
    """How many rows each store has in each hour of the day, in periods before `before`; hours without any are absent.

    `store_id` (object), `hour` (0 to 23) and `lines` (both int64).
    """
    import pyarrow as pa

    query = sql.SQL(
        "SELECT {store}, extract(hour FROM {ts})::int, count(*) FROM {table}"
        " WHERE {dataset} = %s AND {period} < %s GROUP BY 1, 2"
    )
    shape = pa.schema([(STORE_ID, pa.string()), (HOUR, pa.int64()), (LINES, pa.int64())])
    return _arrays(engine, query, shape, dataset, before)


def _arrays(engine: Engine, query: sql.SQL, shape: "pa.Schema", dataset: str, before: date) -> Arrays:
    import pyarrow as pa

    names = {"store": STORE_ID, "item": ITEM_ID, "quantity": QUANTITY, "ts": TS, "dataset": DATASET, "period": PERIOD}
    named = query.format(
        table=sql.Identifier(transactions.name), **{key: sql.Identifier(name) for key, name in names.items()}
    )
    with engine.begin() as connection:
        table = pa.Table.from_batches(copy_out(driver(connection), named, shape, (dataset, before)), shape)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def rows_per_store(engine: Engine, dataset: str, since: date) -> Arrays:
    """How many rows each store has in each period from `since` on; periods without any are absent.

    `date` (datetime64[D], the period's first day), `store_id` (object) and `rows` (int64).
    """
    import pyarrow as pa

    query = sql.SQL(
        "SELECT {period}, {store}, count(*) FROM {table} WHERE {dataset} = %s AND {period} >= %s GROUP BY 1, 2"
    )
    shape = pa.schema([(DATE, pa.date32()), (STORE_ID, pa.string()), (ROWS, pa.int64())])
    return _arrays(engine, query, shape, dataset, since)
