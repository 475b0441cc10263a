"""From transaction lines to demand per period of the retailer's grain."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    ON_PROMOTION,
    QUANTITY,
    STORE_ID,
    TS,
    UNIT_PRICE,
    Grain,
)
from shelfops_pipeline.data.keys import compact, days_of, first_day
from shelfops_pipeline.data.tables import coded


def daily_demand(valid: pd.DataFrame, grain: Grain) -> pd.DataFrame:
    """Demand per date, store and item: one row for each combination that has transactions, sorted.

    `quantity` is the sum net of returns, `unit_price` the mean of known prices, `on_promotion` the largest
    flag; the last two only where `valid` has them. A week is dated by its Monday. `valid` comes from
    `validate_transactions`: ids are categorical and complete, quantities finite.
    """
    day = first_day(days_of(valid[TS].to_numpy()), grain)
    start = int(day.min()) if len(day) else 0
    width = int(day.max()) - start + 1 if len(day) else 0
    stores, items = valid[STORE_ID].cat, valid[ITEM_ID].cat
    n_stores, n_items = len(stores.categories), len(items.categories)
    key = ((day - start) * n_stores + stores.codes.to_numpy()) * n_items + items.codes.to_numpy()
    groups, of = compact(key, width * n_stores * n_items)
    rest, item = np.divmod(groups, max(n_items, 1))
    since, store = np.divmod(rest, max(n_stores, 1))
    columns: dict[str, Any] = {
        DATE: (since + start).astype("datetime64[D]").astype("datetime64[ns]"),
        STORE_ID: coded(store, stores.categories),
        ITEM_ID: coded(item, items.categories),
        QUANTITY: np.bincount(of, weights=valid[QUANTITY].to_numpy(), minlength=len(groups)),
    }
    if UNIT_PRICE in valid:
        columns[UNIT_PRICE] = _mean(valid[UNIT_PRICE].to_numpy(), of, len(groups))
    if ON_PROMOTION in valid:
        columns[ON_PROMOTION] = _max(valid[ON_PROMOTION].to_numpy(), of, len(groups))
    return pd.DataFrame(columns)


def _mean(values: NDArray[np.float64], of: NDArray[np.integer[Any]], n: int) -> NDArray[np.float64]:
    """Mean per group of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = np.bincount(of[known], minlength=n).astype(np.float64)
    total = np.bincount(of[known], weights=values[known], minlength=n)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return mean


def _max(values: NDArray[np.float64], of: NDArray[np.integer[Any]], n: int) -> NDArray[np.float64]:
    """Largest known value per group; NaN where nothing is known."""
    out = np.full(n, np.nan)
    np.fmax.at(out, of, values)
    return out
