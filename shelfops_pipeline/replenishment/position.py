"""The stock at the beginning of a forecast: the last count, less what was sold since, with what was accepted since."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ON_HAND, ON_ORDER, QUANTITY
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.replenishment.demand import Demand
from shelfops_pipeline.replenishment.inputs import IDS, counted_stock
from shelfops_pipeline.replenishment.quiet import in_order_of
from shelfops_pipeline.replenishment.terms import Stock
from shelfops_pipeline.store.accepted import AcceptedLine
from shelfops_pipeline.store.replenishment_tables import ACCEPTED, COUNTED_ON

ROLLED: Final = "rolled_forward"
"""Is the count older than the last period, so that sales were taken off it?"""
Doubles = NDArray[np.float64]
Dates = NDArray[np.datetime64]


@dataclass(frozen=True)
class Position:
    """Of n series."""

    stock: Stock
    """at the beginning of the forecast"""
    counted_on: Dates
    """[D] the day at the end of which it was counted; NaT: not within the days that a count holds"""
    rolled: NDArray[np.bool_]
    """were there periods after that of the count?"""
    accepted: Doubles
    """units on order that the count does not know of"""

    def columns(self) -> dict[str, NDArray[Any]]:
        """As a plan has it."""
        stock = {ON_HAND: self.stock.on_hand, ON_ORDER: self.stock.on_order}
        return {**stock, ACCEPTED: self.accepted, COUNTED_ON: self.counted_on, ROLLED: self.rolled}


def position_of(
    inventory: pd.DataFrame | None,
    keys: pd.DataFrame,
    demand: Demand,
    panel: Panel,
    accepted: Sequence[AcceptedLine],
    *,
    today: date,
    count_days: int,
) -> Position:
    """The position of `keys` on `today`, from counts that are at most `count_days` old.

    What was sold in the periods after that of the count is taken off what was on hand, and beyond that off what was on
    order, which must have arrived; where sales are not known, expected demand stands in for them.
    """
    stock, counted_on = counted_stock(inventory, keys, since=today - timedelta(days=count_days))
    first = _first_after(counted_on, panel)
    sold = sold_since(first, keys, demand, panel)
    ordered = accepted_since(counted_on, keys, accepted)
    on_hand = np.maximum(stock.on_hand - sold, 0)
    arrived = np.maximum(sold - stock.on_hand, 0)
    on_order = np.maximum(stock.on_order - arrived, 0) + ordered
    rolled = first < panel.n_observed
    return Position(replace(stock, on_hand=on_hand, on_order=on_order), counted_on, rolled, ordered)


def _first_after(counted_on: Dates, panel: Panel) -> NDArray[np.int64]:
    """[n] the panel's period after that of the count, or after the last one where there is no count."""
    dates = panel.dates[: panel.n_observed].astype("datetime64[D]")
    return np.searchsorted(dates, np.where(np.isnat(counted_on), dates[-1], counted_on), side="right")


def sold_since(first: NDArray[np.int64], keys: pd.DataFrame, demand: Demand, panel: Panel) -> Doubles:
    """[n] units sold from period `first` [n] of the panel to its last observed one."""
    length = int(panel.n_observed - first.min(initial=panel.n_observed))
    if length == 0:
        return np.zeros(len(keys))
    recent = slice(panel.n_observed - length, panel.n_observed)
    series = np.arange(len(panel.demand), dtype=np.float64)
    row = in_order_of(keys, panel, series + 1).astype(np.int64) - 1  # -1: nothing of it was ever sold
    sales, state = np.asarray(panel.demand[row, recent], np.float64), panel.state[row, recent]
    expected = demand.mean.mean(axis=1, dtype=np.float64)[:, None]
    nothing = np.isin(state, (State.CLOSED, State.NOT_LISTED)) | (row < 0)[:, None]
    sales = np.where(nothing, 0.0, np.where(np.isfinite(sales), sales, expected))
    after = np.arange(recent.start, recent.stop) >= first[:, None]
    return np.asarray((sales * after).sum(axis=1))


def accepted_since(counted_on: Dates, keys: pd.DataFrame, accepted: Sequence[AcceptedLine]) -> Doubles:
    """[n] units in accepted orders that were placed after the count; 0 where there is no count."""
    placed = pd.DataFrame([vars(line) for line in accepted], columns=[*IDS, "placed_on", QUANTITY])
    if placed.empty:
        return np.zeros(len(keys))
    joined = keys.assign(counted_on=counted_on).merge(placed, on=IDS)
    unknown = joined[pd.to_datetime(joined["placed_on"]) > joined["counted_on"]]
    units = unknown.groupby(IDS)[QUANTITY].sum()
    return units.reindex(pd.MultiIndex.from_frame(keys[IDS]), fill_value=0.0).to_numpy(np.float64)
