"""The shape of the sales: a row per receipt line, day or week; and what a missing row means."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, STORE_ID, TS, Grain
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.content import joint_codes, repeats
from shelfops_pipeline.onboarding.meaning import Reading
from shelfops_pipeline.onboarding.words import Meaning

_REPEATED: Final = 0.02
"""A larger share of rows with the same store, item and period is meant: such rows add up."""
_NEARLY_ALL: Final = 0.95
_COMPLETE: Final = 0.98
_MOST: Final = 0.9
_OVERLAP: Final = 0.5
_WHOLE_ONES: Final = 0.9
_HAS_ZEROS: Final = 0.005
_MAINLY: Final = 0.5
_WEEK: Final = 7
_MONTH: Final = 28

Days = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """What one row is, and how full the grid of series and periods is."""

    rows: Literal["transaction", "day", "week"]
    grain: Grain
    first: date
    last: date
    series: int
    filled: float
    """Share of the grid (each series from its first row on, every date that occurs) that has a row."""
    dense: float
    """The same of the dates on which the store has any row."""
    zeros: float
    """Share of the rows that sold nothing."""
    repeated: float
    """Share of the rows whose store, item and date were there before."""
    key: tuple[str, ...] | None = None
    """What makes a row a duplicate, where rows that are meant repeat store, item and date; None: these three."""

    @property
    def complete(self) -> bool:
        """Does every series have a row whenever its store has one?"""
        return self.dense >= _COMPLETE and self.rows != "transaction"

    @property
    def absence(self) -> Literal["zero", "missing"]:
        """What no row means: where the zeros are written down, it is no zero."""
        return "missing" if self.zeros >= _HAS_ZEROS and self.filled >= _MOST and self.complete else "zero"

    @property
    def absence_why(self) -> str:
        """The reason of `absence`, in a few words."""
        if self.rows == "transaction":
            return "only what was sold has a row"
        zeros = f"{100 * self.zeros:.1f} % of the rows are 0, {100 * self.filled:.0f} % of the grid has a row"
        return zeros if self.zeros else f"no row is 0, {100 * self.filled:.0f} % of the grid has a row"

    @property
    def start_date(self) -> date:
        """The first partition."""
        return self.first - timedelta(days=self.first.weekday()) if self.grain is Grain.WEEK else self.first


def shape_of(sales: Reading) -> Shape:
    """The shape of the table of sales. Raises DataError when its dates are months apart or cannot be read."""
    dates = sales.column(Meaning.DATE)
    if dates is None or dates.dates is None or not dates.dates.notna().any():
        raise DataError(f"{sales.table.name}: no date of the sales can be read")
    days = dates.dates.to_numpy("datetime64[D]")
    known = ~np.isnat(days)
    distinct = np.unique(days[known])
    grain = _grain(distinct, days[known], sales.table.name)
    ids = [c for m in (Meaning.STORE, Meaning.ITEM) if (c := sales.column(m)) is not None]
    repeated = repeats([dates, *ids])
    single = not dates.timed and Meaning.TICKET not in sales.choices and repeated <= _REPEATED
    series = joint_codes(ids) if ids else np.zeros(len(days), dtype=np.int64)
    period = np.searchsorted(distinct, days[known])
    store = sales.column(Meaning.STORE)
    stores = np.zeros(len(days), dtype=np.int64) if store is None else joint_codes([store])
    measure = next(c for m in (Meaning.UNITS, Meaning.REVENUE) if (c := sales.column(m)) is not None)
    rows: Literal["transaction", "day", "week"] = "week" if grain is Grain.WEEK else "day" if single else "transaction"
    whole = sales.table.whole
    filled = _filled(series[known], period, len(distinct)) if whole else _filled_of_part(series[known], period)
    return Shape(
        rows=rows,
        grain=grain,
        first=distinct[0].item(),
        last=distinct[-1].item(),
        series=len(np.unique(series)),
        filled=filled,
        dense=_filled(series[known], _rank_in_store(stores[known], period), 0, stores[known]) if whole else filled,
        zeros=float((measure.finite == 0).mean()) if len(measure.finite) else 0.0,
        repeated=repeated,
        key=None if rows == "transaction" else _key([dates, *ids], measure, repeated),
    )


def _key(ids: list[Column], measure: Column, repeated: float) -> tuple[str, ...] | None:
    """Of days and weeks: a return beside the sale of its day is no second copy of it, and has another quantity."""
    if repeated > _REPEATED:
        return ()
    if not _are_returns(ids, measure):
        return None
    return () if _are_returns([*ids, measure], measure) else (TS, STORE_ID, ITEM_ID, QUANTITY)


def _are_returns(columns: list[Column], measure: Column) -> bool:
    """Is there a return among most of the sets of rows that have the same values in `columns`?"""
    _, of, count = np.unique(joint_codes(columns), return_inverse=True, return_counts=True)
    below = np.zeros(len(of)) if measure.numbers is None else measure.numbers < 0
    with_return = np.bincount(of, below) > 0
    return bool((count > 1).any()) and float(with_return[count > 1].mean()) > _MAINLY


def overlap(sales: Reading) -> bool:
    """Do several files have rows of most of the same dates?"""
    dates, of_file = sales.column(Meaning.DATE), sales.table.file_of
    if dates is None or len(sales.table.files) == 1:
        return False
    pairs = np.unique(np.stack([dates.levels, of_file]), axis=1)
    return float((np.bincount(pairs[0][pairs[0] >= 0]) > 1).mean()) > _OVERLAP


def _grain(distinct: NDArray[np.datetime64], days: NDArray[np.datetime64], name: str) -> Grain:
    steps = np.diff(distinct).astype(int)
    if len(steps) and np.median(steps) >= _MONTH:
        raise DataError(f"{name}: the dates are {int(np.median(steps))} days apart; sales by day or by week are needed")
    weekdays = pd.Series(days).dt.dayofweek.value_counts(normalize=True)
    weekly = len(steps) > 0 and float((steps % _WEEK == 0).mean()) >= _NEARLY_ALL
    return Grain.WEEK if weekly and weekdays.iloc[0] >= _NEARLY_ALL else Grain.DAY


def _filled(series: Days, period: Days, n_periods: int, store: Days | None = None) -> float:
    """Rows relative to the periods from the first row of each series on: of all, or of those of its store."""
    cells = np.unique(np.stack([series, period]), axis=1)
    starts = np.flatnonzero(np.r_[True, np.diff(cells[0]) > 0])
    if store is None:
        ends = np.full(len(starts), n_periods)
    else:
        of, first = np.unique(series, return_index=True)
        count = np.zeros(int(store.max()) + 1, dtype=np.int64)
        np.maximum.at(count, store, period + 1)
        ends = count[store[first]][np.searchsorted(of, cells[0][starts])]
    return float(cells.shape[1] / (ends - cells[1][starts]).sum())


def _filled_of_part(series: Days, period: Days) -> float:
    """`_filled` by pieces of a long file: of the dates, or of the series, that are in them as a whole."""
    cells = np.unique(np.stack([series, period]), axis=1)
    by_series, by_period = (np.bincount(np.unique(ids, return_inverse=True)[1]) for ids in cells)
    of_dates = np.quantile(by_period, _WHOLE_ONES) / len(by_series)
    of_series = np.quantile(by_series, _WHOLE_ONES) / len(by_period)
    return float(min(max(of_dates, of_series), 1.0))


def _rank_in_store(store: Days, period: Days) -> Days:
    """Each row's period counted among those in which its store has a row."""
    width = int(period.max()) + 1
    pairs, inverse = np.unique(store * width + period, return_inverse=True)
    starts = np.flatnonzero(np.r_[True, np.diff(pairs // width) > 0])
    rank = np.arange(len(pairs)) - np.repeat(starts, np.diff(np.r_[starts, len(pairs)]))
    return np.asarray(rank[inverse], dtype=np.int64)
