"""Transactions to write, and the rows of a table as they are stored."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    LINE,
    ON_HAND,
    ON_ORDER,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TS,
    UNIT_PRICE,
)
from shelfops_pipeline.store.tables import PERIOD

SHOP = "shop"


def days(first: date, n: int) -> list[date]:
    return [first + timedelta(days=k) for k in range(n)]


def sales(periods: Sequence[date], *, level: float = 1.0, stores: int = 2, items: int = 3) -> pa.Table:
    """One row per period, store and item, at half past nine; every number column has its own values."""
    per = stores * items
    n = len(periods) * per
    period = np.repeat(np.array(periods, "datetime64[D]"), per)
    store = np.array([f"s{k}" for k in range(stores)])[np.tile(np.repeat(np.arange(stores), items), len(periods))]
    item = np.array([f"i{k}" for k in range(items)])[np.tile(np.arange(items), len(periods) * stores)]
    columns: dict[str, Any] = {
        PERIOD: period,
        TS: period.astype("datetime64[ns]") + np.timedelta64(9 * 60 + 30, "m"),
        STORE_ID: pa.array(store).dictionary_encode(),
        ITEM_ID: pa.array(item).dictionary_encode(),
        QUANTITY: level + np.arange(n) / 8,
        UNIT_PRICE: np.where(np.arange(n) % 5 == 0, np.nan, 0.1 * np.arange(n)),
        SOURCE: pa.array(["sales.csv"] * n).dictionary_encode(),
        LINE: np.arange(2, n + 2),
    }
    return pa.table(columns)


def stored(engine: Engine, table: str = "transactions") -> list[tuple[Any, ...]]:
    """All rows of `table`, sorted: what is compared when nothing may have changed."""
    with engine.connect() as connection:
        rows = connection.execute(text(f'SELECT * FROM {table} AS t ORDER BY t::text COLLATE "C"'))  # noqa: S608
        return [tuple(row) for row in rows]


def partitions(engine: Engine, table: str = "transactions") -> list[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name) ORDER BY 1"
    with engine.connect() as connection:
        return list(connection.scalars(text(query), {"name": table}))


def stock(dates: Sequence[date], *, level: float = 10.0, items: int = 3) -> pa.Table:
    """Inventory of one store: one row per date and item."""
    n = len(dates) * items
    return pa.table(
        {
            DATE: np.repeat(np.array(dates, "datetime64[D]"), items),
            STORE_ID: ["s0"] * n,
            ITEM_ID: [f"i{k % items}" for k in range(n)],
            ON_HAND: level + np.arange(n),
            ON_ORDER: np.zeros(n),
            LEAD_TIME_DAYS: np.full(n, 2.5),
            LEAD_TIME_SD: np.full(n, np.nan),
        }
    )
