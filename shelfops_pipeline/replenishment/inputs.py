"""Tables as the retailer has them, as arrays of n series in the order of `keys`: forecast, stock, terms.

`keys` is a frame of store_id and item_id (text), one row per series. What a table does not say is unknown (NaN).
"""

from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.data.source import (
    CASE_PACK,
    COST,
    CUTOFF_HOUR,
    MINIMUM_ORDER,
    ORDER_WEEKDAYS,
    PRESENTATION_MINIMUM,
    SHELF_LIFE_DAYS,
    SUPPLIER_ID,
)
from shelfops_pipeline.replenishment.demand import Demand
from shelfops_pipeline.replenishment.terms import Stock, Terms

IDS: Final = [c.STORE_ID, c.ITEM_ID]


def demand_of(forecasts: pd.DataFrame, correlation: float) -> tuple[pd.DataFrame, Demand]:
    """The series of a forecast table, sorted, and their demand; all series have the same periods.

    `correlation` is that of the errors of neighbouring periods.
    """
    ordered = forecasts.astype(dict.fromkeys(IDS, str)).sort_values([*IDS, c.DATE])
    keys = ordered[IDS].drop_duplicates().reset_index(drop=True)
    shape = (len(keys), len(ordered) // len(keys))
    quantiles = ordered[list(c.QUANTILE_COLUMNS)].to_numpy(np.float32).reshape(*shape, -1)
    return keys, Demand(ordered[c.MEAN].to_numpy(np.float32).reshape(shape), quantiles, correlation)


def counted_stock(
    inventory: pd.DataFrame | None, keys: pd.DataFrame, *, since: date
) -> tuple[Stock, NDArray[np.datetime64]]:
    """(the last count of each series since that day, [n] the day at the end of which it was made; NaT: none)."""
    names = (c.ON_HAND, c.ON_ORDER, c.LEAD_TIME_DAYS, c.LEAD_TIME_SD)
    if inventory is None or inventory.empty:
        return Stock(*(np.full(len(keys), np.nan) for _ in names)), np.full(len(keys), "NaT", "datetime64[D]")
    counted = inventory[inventory[c.ON_HAND].notna() & (inventory[c.DATE] >= pd.Timestamp(since))]
    latest = counted.sort_values(c.DATE, kind="stable").drop_duplicates(IDS, keep="last")
    joined = keys.merge(latest.astype(dict.fromkeys(IDS, str)), how="left", on=IDS)
    return Stock(*(_numbers(joined, name) for name in names)), joined[c.DATE].to_numpy("datetime64[D]")


def terms_of(items: pd.DataFrame, suppliers: pd.DataFrame | None, keys: pd.DataFrame) -> Terms:
    """On which terms each series is ordered and sold: those of its item, and the order days of the item's supplier."""
    rows = keys[[c.ITEM_ID]].merge(items.astype({c.ITEM_ID: str}), how="left", on=c.ITEM_ID)
    if suppliers is not None and SUPPLIER_ID in rows:
        rows = rows.merge(suppliers, how="left", on=SUPPLIER_ID, suffixes=("", " of the supplier"))
    return Terms(
        minimum_order=_numbers(rows, MINIMUM_ORDER),
        case_pack=_numbers(rows, CASE_PACK),
        presentation_minimum=_numbers(rows, PRESENTATION_MINIMUM),
        shelf_life_days=_numbers(rows, SHELF_LIFE_DAYS),
        unit_cost=_numbers(rows, COST),
        unit_price=_numbers(rows, c.PRICE),
        order_weekdays=_weekdays(rows),
        cutoff_hour=_numbers(rows, CUTOFF_HOUR),
        review_days=np.full(len(rows), np.nan),
    )


def suppliers_of(items: pd.DataFrame, keys: pd.DataFrame) -> NDArray[np.object_]:
    """[n] supplier of each series; None where unknown."""
    if SUPPLIER_ID not in items:
        return np.full(len(keys), None, dtype=object)
    by_item = items.astype({c.ITEM_ID: str}).set_index(c.ITEM_ID)[SUPPLIER_ID]
    return or_none(keys[c.ITEM_ID].map(by_item))


def or_none(values: "pd.Series[Any]") -> NDArray[np.object_]:
    """The values as objects, None for missing ones."""
    out = values.to_numpy(object, copy=True)
    out[values.isna().to_numpy()] = None
    return out


def _numbers(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return rows[name].to_numpy(np.float64) if name in rows else np.full(len(rows), np.nan)


def _weekdays(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """[n, 7] from "0,3" (Monday is 0); none where it is not said."""
    if ORDER_WEEKDAYS not in rows:
        return np.zeros((len(rows), 7), dtype=bool)
    told = rows[ORDER_WEEKDAYS].fillna("").astype(str)
    return np.stack([told.str.contains(str(day), regex=False).to_numpy(bool) for day in range(7)], axis=1)
