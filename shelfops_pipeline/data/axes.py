"""The rows and columns of the panel: which series and periods there are."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.tables import codes_in

LONGEST_AHEAD: Final = 400  # periods; no horizon is longer (settings), so a calendar further ahead is of no use


@dataclass(frozen=True)
class Axes:
    """The rows (series, by store and item) and columns (periods) of the panel, and how to find them."""

    stores: pd.Index
    items: pd.Index
    series: NDArray[np.intp]
    """[n_stores, n_items] row of a series, -1 where there is none."""
    store_of: NDArray[np.intp]
    item_of: NDArray[np.intp]
    dates: NDArray[np.datetime64]
    grain: Grain
    n_observed: int

    @property
    def step(self) -> int:
        """Days in a period."""
        return self.grain.days

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.store_of), len(self.dates)

    def periods(self, values: pd.Series) -> NDArray[np.intp]:
        """The period of each date; below 0 or beyond the last where the panel has none."""
        days = values.to_numpy("datetime64[D]") - self.dates[0]
        return days.astype(np.int64) // self.step

    def rows(self, frame: pd.DataFrame) -> NDArray[np.intp]:
        """The series of each row of a frame with store_id and item_id; -1 where the panel has none."""
        store = codes_in(frame[c.STORE_ID], self.stores)
        item = codes_in(frame[c.ITEM_ID], self.items)
        return np.where((store < 0) | (item < 0), -1, self.series[store, item])


def axes_of(
    grain: Grain, demand: pd.DataFrame, reference: Reference, absence: Literal["zero", "missing"], ahead: int
) -> Axes:
    """Every series that was sold or is planned for later, from the first day of demand to the end of what is known in
    advance. A plan of the past alone makes no series: what had a price and was never sold is not on sale.

    Where a plan says nothing of the periods ahead there are `ahead` of them all the same, for what is expected to go on
    as it was; likewise for opening that is read off the transactions (`absence` is "zero")."""
    step = grain.days
    first, last = demand[c.DATE].min(), demand[c.DATE].max()
    plans = [f for f in reference.covariates if len(f) and bool(f[c.KNOWN_FUTURE].iloc[0])]
    over = last + pd.Timedelta(days=step)
    planned = [f[f[c.DATE] >= over] for f in plans if {c.STORE_ID, c.ITEM_ID} <= set(f.columns)]
    pairs = pd.concat([_pairs(f) for f in (demand, *planned)]).drop_duplicates()
    stores, items = pd.Index(sorted(pairs[c.STORE_ID].unique())), pd.Index(sorted(pairs[c.ITEM_ID].unique()))
    pairs = pairs.sort_values([c.STORE_ID, c.ITEM_ID])
    store_of, item_of = stores.get_indexer(pd.Index(pairs[c.STORE_ID])), items.get_indexer(pd.Index(pairs[c.ITEM_ID]))
    series = np.full((len(stores), len(items)), -1, dtype=np.intp)
    series[store_of, item_of] = np.arange(len(pairs))
    # Where no plan reaches ahead, the calendar does: without future periods there would be no opening hours in them.
    special = reference.calendar[c.DATE].max() if len(reference.calendar) else last
    calendar_end = min(special, last + pd.Timedelta(days=LONGEST_AHEAD * step))
    n_observed = int((last - first).days) // step + 1
    ends = {str(f[c.NAME].iloc[0]): f[c.DATE].max() for f in plans}
    inferred = absence == "zero" and c.OPEN not in ends and _any_silence(demand, len(stores) * n_observed)
    goes_on = inferred or any(end < over for end in ends.values())
    reach = last + pd.Timedelta(days=ahead * step) if goes_on else last
    end = max([last, reach, calendar_end, *ends.values()])
    dates = np.arange(
        first.to_datetime64().astype("datetime64[D]"),
        end.to_datetime64().astype("datetime64[D]") + np.timedelta64(1, "D"),
        step,
    )
    return Axes(stores, items, series, store_of, item_of, dates, grain, n_observed)


def _any_silence(demand: pd.DataFrame, cells: int) -> bool:
    """Is there a period in which a store sold nothing, of `cells` periods and stores?"""
    return len(demand[[c.DATE, c.STORE_ID]].drop_duplicates()) < cells


def _pairs(frame: pd.DataFrame) -> pd.DataFrame:
    unique = frame[[c.STORE_ID, c.ITEM_ID]].drop_duplicates()
    return unique.dropna().astype(str)
