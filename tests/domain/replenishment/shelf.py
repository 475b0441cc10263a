"""A small retailer by hand: some series with a flat forecast, their counts, and the plan made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import QUANTILE_COLUMNS, Grain
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.replenishment.demand import ERROR_CORRELATION
from shelfops_pipeline.replenishment.plan import Known, plan_table
from shelfops_pipeline.replenishment.terms import Economics
from shelfops_pipeline.store.accepted import Accepted, AcceptedLine
from shelfops_pipeline.store.replenishment_records import ItemFlag

MONDAY = np.datetime64("2025-03-03")
PAST, HORIZON = 60, 14
LEVEL = 0.95
COUNT_DAYS = 14


@dataclass(frozen=True)
class Shelf:
    """One series."""

    item: str
    on_hand: float = np.nan
    on_order: float = 0.0
    store: str = "s"
    mean: float = 10.0
    sold: Sequence[float] = ()
    """in the last periods; before that, and where nothing is said, the mean"""
    new: bool = False
    """was nothing ever sold?"""


@dataclass(frozen=True)
class Shop:
    """Some series and what is known of their items."""

    shelves: Sequence[Shelf]
    items: Mapping[str, Any] = field(default_factory=dict)
    suppliers: pd.DataFrame | None = None
    flags: Sequence[ItemFlag] = ()
    counted: bool = True
    counted_on: np.datetime64 = MONDAY - 1
    accepted: Sequence[AcceptedLine] = ()
    silent: bool = False
    """is a sale that is not known one that the feed did not tell, and not a closed store?"""

    def plan(self) -> pd.DataFrame:
        """Its plan, by item where there is one store."""
        accepted = Accepted(datetime(2025, 3, 3, tzinfo=UTC), tuple(self.accepted))
        counts = self.inventory() if self.counted else None
        known = Known(
            self.panel(), self.reference(), counts, accepted, self.flags, ERROR_CORRELATION, count_days=COUNT_DAYS
        )
        return plan_table(self.forecasts(), known, LEVEL, Economics())

    def forecasts(self) -> pd.DataFrame:
        rows = [
            {"store_id": s.store, "item_id": s.item, "date": MONDAY + h, "mean": s.mean}
            for s in self.shelves
            if not s.new
            for h in range(HORIZON)
        ]
        frame = pd.DataFrame(rows)
        shape = zip(QUANTILE_COLUMNS, (0.4, 0.8, 1, 1.2, 1.6), strict=True)
        return frame.assign(**{name: frame["mean"] * share for name, share in shape})

    def panel(self) -> Panel:
        shelves = [s for s in self.shelves if not s.new]
        demand = np.array([[s.mean] * (PAST - len(s.sold)) + list(s.sold) for s in shelves], np.float32)
        gap = State.UNKNOWN if self.silent else State.CLOSED
        return Panel(
            dataset="shop",
            grain=Grain.DAY,
            store_ids=np.array([s.store for s in shelves]),
            item_ids=np.array([s.item for s in shelves]),
            dates=MONDAY - PAST + np.arange(PAST),
            n_observed=PAST,
            demand=demand,
            state=np.where(np.isfinite(demand), State.OBSERVED, gap).astype(np.uint8),
        )

    def inventory(self) -> pd.DataFrame:
        rows = [(s.store, s.item, s.on_hand, s.on_order) for s in self.shelves]
        counted = pd.DataFrame(rows, columns=["store_id", "item_id", "on_hand", "on_order"])
        return counted.assign(date=self.counted_on, lead_time_days=3.0, lead_time_sd=0.0)

    def reference(self) -> Reference:
        ids = sorted({s.item for s in self.shelves})
        items = pd.DataFrame({"item_id": ids, **self.items})
        blank = pd.DataFrame()
        return Reference(stores=blank, items=items, calendar=blank, suppliers=self.suppliers)
