"""Stockouts: known ones censor demand, suspected ones (where nobody counts the stock) are a feature of the past."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Grain

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SUSPECTED_STOCKOUT: Final = "suspected_stockout"
"""Name of the past channel: 1 where a stockout is suspected, 0 elsewhere, NaN ahead."""
EXPECTED: Final = 7.0
"""Units that a run of zeros must have cost at the series' own rate: under a Poisson law less likely than 1 in 1,000."""
CHANCE: Final = 0.001
"""And its likelihood, had each period been 0 as often as in the series' own past: sales in bursts are no stockouts."""
WINDOW: Final = {Grain.DAY: 56, Grain.WEEK: 16}
"""Periods up to the last sale from which the rate is taken; a run that is longer than this is no stockout but the end
of the item."""
_FEWEST: Final = 14  # observed periods among them; weeks: half of the window
_BLOCK_CELLS: Final = 4_000_000


def suspected(demand: Floats, observed: Bools, store_of: NDArray[np.intp], grain: Grain) -> Bools:
    """[S, T] periods in which a listed item of an open store is suspected to have been sold out.

    `demand` [S, T] is what was sold where `observed`. Suspected is a period from which back to the last sale so many
    periods without a sale lie (`EXPECTED`, `CHANCE`) that chance is no explanation, given the rate before. Causal: the
    first periods of a run are not suspected, and no later period changes an earlier one. A period in which a whole
    store of several items sold nothing says nothing about an item.
    """
    S, T = demand.shape
    telling = observed & _selling(demand, observed, store_of)[store_of]
    out = np.zeros((S, T), dtype=bool)
    rows = max(_BLOCK_CELLS // max(T, 1), 1)
    for lo in range(0, S, rows):  # blocks, to bound the memory
        part = slice(lo, lo + rows)
        out[part] = _suspected(demand[part], telling[part], WINDOW[grain])
    return out


def _selling(demand: Floats, observed: Bools, store_of: NDArray[np.intp]) -> Bools:
    """[N, T] store-periods with any sale."""
    sold = np.zeros((int(store_of.max(initial=-1)) + 1, demand.shape[1]), dtype=bool)
    np.logical_or.at(sold, store_of, observed & (demand > 0))
    return sold


def _suspected(demand: Floats, telling: Bools, window: int) -> Bools:
    T = demand.shape[1]
    sold = telling & (demand > 0)
    at = np.arange(T)
    last_sale = np.maximum.accumulate(np.where(sold, at, -1), axis=1)
    # Sums up to and including each period, with a 0 before the first.
    units = _sums(np.where(sold, demand, 0))
    periods, zeros = _sums(telling), _sums(telling & ~sold)
    end = np.maximum(last_sale, 0) + 1
    begin = np.maximum(end - window, 0)
    n = _between(periods, begin, end)
    rate = _between(units, begin, end) / np.maximum(n, 1)
    share = (_between(zeros, begin, end) + 1) / (n + 2)
    length = zeros[:, 1:] - np.take_along_axis(zeros, end, axis=1)
    found: Bools = (
        (last_sale >= 0)
        & telling
        & (n >= min(_FEWEST, window // 2))
        & (length * rate >= EXPECTED)
        & (length * np.log(share) <= np.log(CHANCE))
        & (at - last_sale <= window)
    )
    return found


def _sums(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.pad(np.cumsum(values, axis=1, dtype=np.float64), ((0, 0), (1, 0)))


def _between(sums: NDArray[np.float64], begin: NDArray[np.intp], end: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.take_along_axis(sums, end, axis=1) - np.take_along_axis(sums, begin, axis=1)


def sold_out(
    row: NDArray[np.intp], period: NDArray[np.intp], on_hand: NDArray[np.float64], sold: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cells (row, period) that stock counts show to be sold out.

    `row`, `period` and `on_hand` are one per count, `sold` [S, T] says where there were sales. A period is sold out if
    half of its counts or more found nothing, or if any did and nothing was sold: one empty evening does not censor a
    week in which sales went on. Counts that are missing (NaN) say nothing.
    """
    known = ~np.isnan(on_hand)
    cell, empty = (row * sold.shape[1] + period)[known], on_hand[known] <= 0
    cells, n_empty = np.unique(cell[empty], return_counts=True)
    at = np.searchsorted(cells, cell)
    inside = at < len(cells)
    inside[inside] = cells[at[inside]] == cell[inside]
    counts = np.bincount(at[inside], minlength=len(cells))
    out = cells[(2 * n_empty >= counts) | ~sold.ravel()[cells]]
    return out // sold.shape[1], out % sold.shape[1]
