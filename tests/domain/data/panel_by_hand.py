"""Panels built from small tables by hand: two stores, two items, days counted from a Monday."""

from typing import Any

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.tables import calendar, covariate

NAN = np.nan
STORES = pd.DataFrame({"store_id": ["a", "b"], "region": ["north", "south"], "area": [1.0, 2.0]})
ITEMS = pd.DataFrame({"item_id": ["x", "y"], "category": ["food", None], "cost": [1.0, 2.0], "supplier_id": ["s", "t"]})
NO_CALENDAR = calendar([], [], [], [])


def day(n: int) -> pd.Timestamp:
    """Day n of a year that begins on a Monday."""
    return pd.Timestamp("2024-01-01") + pd.Timedelta(days=n)


def demand(rows: dict[tuple[str, str], dict[int, float]]) -> pd.DataFrame:
    """(store, item) -> {day: quantity} as the demand table."""
    flat = [(day(n), s, i, q) for (s, i), days in rows.items() for n, q in days.items()]
    frame = pd.DataFrame(flat, columns=["date", "store_id", "item_id", "quantity"]).astype({"quantity": float})
    return frame.astype({"store_id": "category", "item_id": "category"})


def known(name: str, rows: list[tuple[int, float]], future: bool = True, **ids: list[Any]) -> pd.DataFrame:
    """A covariate from (day, value) rows; `ids` are columns beside them."""
    columns = {k: pd.Series(v, dtype=object) for k, v in ids.items()}
    return covariate(name, [day(n) for n, _ in rows], [v for _, v in rows], known_future=future, **columns)


def build(
    rows: dict[tuple[str, str], dict[int, float]],
    absence: str = "zero",
    grain: Grain = Grain.DAY,
    covariates: list[pd.DataFrame] | None = None,
    special: pd.DataFrame = NO_CALENDAR,
    inventory: pd.DataFrame | None = None,
    stores: pd.DataFrame = STORES,
    items: pd.DataFrame = ITEMS,
) -> Panel:
    reference = Reference(stores, items, special, covariates or [])
    return build_panel("shop", grain, absence, demand(rows), reference, inventory)  # type: ignore[arg-type]


def row(panel: Panel, store: str, item: str) -> int:
    return int(np.flatnonzero((panel.store_ids == store) & (panel.item_ids == item))[0])


def states(panel: Panel, store: str, item: str) -> list[str]:
    return [State(v).name for v in panel.state[row(panel, store, item)]]


def counted(*stock: tuple[int, float]) -> pd.DataFrame:
    """(day, on hand) of item x in store a."""
    days, on_hand = zip(*stock, strict=True)
    return pd.DataFrame({"date": [day(n) for n in days], "store_id": "a", "item_id": "x", "on_hand": on_hand})
