"""The rules that compare a row with the accepted past of its series: returns without a sale, and outliers.

Both are causal. A row is judged by the accepted rows of earlier days (a return also by the sales of its own day); a
row that was refused neither raises the bar nor counts as a sale. So one run over everything and a run per period,
each with the history of those before it, refuse the same rows.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, STORE_ID, TS
from shelfops_pipeline.data.keys import Ints, compact, days_of
from shelfops_pipeline.gate.history import FIRST_SALE, LARGEST, ROWS, History
from shelfops_pipeline.gate.reasons import Reason
from shelfops_pipeline.gate.rows import Mask
from shelfops_pipeline.gate.rules import Codes

FACTOR: Final = 100.0
"""So many times the largest quantity of a series so far is far beyond it: a slip of two digits."""
FLOOR: Final = 100.0
"""No quantity up to this is an outlier."""
FEWEST: Final = 30
"""A series with fewer accepted rows (of a quantity other than 0) has no usual size yet."""
COVERED: Final = 90
"""Days from a store's first sale: before that, a return may belong to a sale from before the feed began."""
_NEVER: Final = np.iinfo(np.int64).max // 2


@dataclass
class _Series:
    """The series of the rows in question, with their past; [S] each, and [N] the stores' first day."""

    store: Ints
    rows: Ints
    largest: NDArray[np.float64]
    first_sale: Ints
    opened: Ints
    """[N] day of the store's first sale; _NEVER where there is none."""


def mark_by_past(frame: pd.DataFrame, codes: Codes, history: History, vouched: Mask | None = None) -> None:
    """Mark returns without a sale and outliers among the rows that are good so far.

    Rows that are `vouched` for are never marked, and count like any accepted row.
    """
    good = np.flatnonzero((codes == 0) & (frame[QUANTITY].to_numpy() != 0))
    if not len(good):
        return
    quantity, day = frame[QUANTITY].to_numpy()[good], days_of(frame[TS].to_numpy()[good])
    of, series = _series(frame, good, history)
    free = np.zeros(len(good), dtype=bool) if vouched is None else vouched[good]
    first = _first_sales(of, quantity, day, series)
    odd = _with_early_return(of, quantity, day, first, series) | _with_outlier(of, quantity, day, series)
    if not odd.any():
        return
    # Up to the first refused row of a series all are accepted, so `odd` misses none. Only these are gone through.
    calm = np.where(odd, _NEVER, first)
    np.minimum.at(series.opened, series.store, calm)
    part = np.flatnonzero(odd[of])
    part = part[np.argsort(day[part], kind="stable")]
    found = _sweep(of[part], quantity[part], day[part], free[part], series)
    codes[good[part]] = np.where(found > 0, found, codes[good[part]])


def _sweep(of: NDArray[np.integer], quantity: NDArray[np.float64], day: Ints, free: Mask, series: _Series) -> Codes:
    """[n] codes of rows sorted by day: day by day, arrays over the rows of one."""
    found = np.zeros(len(of), dtype=np.int8)
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])
    for lo, hi in zip(starts, np.append(starts[1:], len(of)), strict=True):
        today, s, q = day[lo], of[lo:hi], quantity[lo:hi]
        far = _is_far(np.abs(q), series.rows[s], series.largest[s]) & ~free[lo:hi]
        sold = (q > 0) & ~far
        np.minimum.at(series.first_sale, s[sold], today)
        np.minimum.at(series.opened, series.store[s[sold]], today)
        early = (q < 0) & (series.first_sale[s] > today) & (today - series.opened[series.store[s]] >= COVERED)
        early &= ~free[lo:hi]
        found[lo:hi] = np.where(early, Reason.RETURN_WITHOUT_SALE.code, np.where(far, Reason.OUTLIER.code, 0))
        fine = ~(far | early)
        np.maximum.at(series.largest, s[fine], np.abs(q[fine]))
        np.add.at(series.rows, s[fine], 1)
    return found


def _is_far(size: NDArray[np.float64], rows: Ints, largest: NDArray[np.float64]) -> Mask:
    # Divided, for a released quantity may be so large that its multiple is none.
    return (rows >= FEWEST) & (size > FLOOR) & (size / FACTOR > largest)


def _series(frame: pd.DataFrame, good: NDArray[np.intp], history: History) -> tuple[NDArray[np.integer], _Series]:
    """The series of each row, and what is known of each."""
    stores, items = frame[STORE_ID].cat, frame[ITEM_ID].cat
    n_items = len(items.categories)
    key = stores.codes.to_numpy(np.int64)[good] * n_items + items.codes.to_numpy()[good]
    groups, of = compact(key, len(stores.categories) * n_items)
    store = groups // n_items
    past = history.series
    past_store = stores.categories.get_indexer(pd.Index(past[STORE_ID], dtype=object))
    past_item = items.categories.get_indexer(pd.Index(past[ITEM_ID], dtype=object))
    sold = past[FIRST_SALE].notna().to_numpy()
    past_first = np.where(sold, days_of(past[FIRST_SALE].to_numpy()), _NEVER)
    opened = np.full(len(stores.categories), _NEVER)
    here = past_store >= 0
    np.minimum.at(opened, past_store[here], past_first[here])
    at = pd.Index(groups).get_indexer(pd.Index(np.where((past_item >= 0) & here, past_store * n_items + past_item, -1)))
    rows, largest, first = np.zeros(len(groups), np.int64), np.zeros(len(groups)), np.full(len(groups), _NEVER)
    mine = at >= 0
    rows[at[mine]], largest[at[mine]] = past[ROWS].to_numpy()[mine], past[LARGEST].to_numpy()[mine]
    first[at[mine]] = past_first[mine]
    return of, _Series(store, rows, largest, first, opened)


def _first_sales(of: NDArray[np.integer], quantity: NDArray[np.float64], day: Ints, series: _Series) -> Ints:
    """[S] the first sale of each series if every row is accepted."""
    first = series.first_sale.copy()
    sold = quantity > 0
    np.minimum.at(first, of[sold], day[sold])
    return first


def _with_early_return(
    of: NDArray[np.integer], quantity: NDArray[np.float64], day: Ints, first: Ints, series: _Series
) -> Mask:
    """[S] series that would have a return without a sale if all else were accepted."""
    found = np.zeros(len(first), dtype=bool)
    back = np.flatnonzero(quantity < 0)
    opened = series.opened.copy()
    np.minimum.at(opened, series.store, first)
    back = back[day[back] - opened[series.store[of[back]]] >= COVERED]
    found[of[back[first[of[back]] > day[back]]]] = True
    return found


def _with_outlier(of: NDArray[np.integer], quantity: NDArray[np.float64], day: Ints, series: _Series) -> Mask:
    """[S] series that would have an outlier if all else were accepted."""
    size = np.abs(quantity)
    found = np.zeros(len(series.rows), dtype=bool)
    if not (size > FLOOR).any():
        return found
    largest, smallest = np.zeros(len(found)), np.full(len(found), np.inf)
    np.maximum.at(largest, of, size)
    np.minimum.at(smallest, of, size)
    count = series.rows + np.bincount(of, minlength=len(found))
    bar = np.where(series.rows > 0, series.largest, smallest)  # the bar is never below
    asked = _is_far(largest, count, bar)
    part = np.flatnonzero(asked[of])
    if not len(part):
        return found
    part = part[np.lexsort((day[part], of[part]))]
    of, size, day = of[part], size[part], day[part]
    at = np.arange(len(part))
    new_series = np.r_[True, of[1:] != of[:-1]]
    new_day = new_series | np.r_[True, day[1:] != day[:-1]]
    begin = np.maximum.accumulate(np.where(new_series, at, 0))
    today = np.maximum.accumulate(np.where(new_day, at, 0))
    highest = pd.Series(size).groupby(of).cummax().to_numpy()
    before = np.maximum(np.where(today > begin, highest[today - 1], 0), series.largest[of])
    far = _is_far(size, series.rows[of] + today - begin, before)
    found[of[far]] = True
    return found
