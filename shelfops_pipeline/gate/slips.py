"""Times of day that are off by whole hours: a feed that changed its time zone, or lost it."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import STORE_ID, TS
from shelfops_pipeline.data.keys import compact
from shelfops_pipeline.gate.history import HOUR, LINES, History
from shelfops_pipeline.gate.reasons import Reason
from shelfops_pipeline.gate.rows import Mask, Rows
from shelfops_pipeline.gate.rules import Codes

_DAY: Final = 86_400_000_000_000  # ns
_HOUR: Final = _DAY // 24
DAY_ROWS: Final = 0.95
"""Where so many rows lie at midnight, a row stands for a day."""
FEWEST_LINES: Final = 5
"""A store's day with fewer lines is not judged."""
FEWEST_OTHERS: Final = 100
"""A store with fewer lines on its other days has no usual hours yet."""
RARE: Final = 0.005
"""An hour with a smaller share of a store's lines is one in which it hardly ever trades."""
_SUSPECT: Final = 0.02  # the same, before the suspicious days themselves are left out
OFF: Final = 0.2
"""A day that slipped has at least this share of its lines in rare hours. More than half would miss a slip of six hours
in a shop that trades for twelve."""
_LEFT: Final = 0.05  # and at most this share once it is shifted back
_GAIN: Final = 1.5  # and then resembles the other days so many times more
_ALIKE: Final = 0.2  # (by at least so much; of a day that slipped past midnight only a part is left)
_VACATED: Final = 0.2  # and it is silent when so much of the usual trade is: a late opening only adds hours
_Counts = NDArray[np.float64]


def mark_slips(rows: Rows, codes: Codes, history: History) -> None:
    """Mark the good rows whose time of day is off.

    These are rows with a time zone in a column where not all have one; where rows stand for days, those off midnight by
    whole or half hours; elsewhere the lines of a store's day that fall into hours in which the store hardly ever trades
    and would fit if shifted by whole hours.
    """
    if rows.zoned is not None:
        codes[(codes == 0) & rows.zoned] = Reason.TIMEZONE_SLIP.code
    frame, good = rows.frame, np.flatnonzero(codes == 0)
    ts = frame[TS].to_numpy()[good].astype(np.int64)
    time = ts % _DAY
    timed = time != 0
    if not timed.any():
        return
    past = history.hours
    midnight = len(time) - timed.sum() + past.loc[past[HOUR] == 0, LINES].sum()
    if midnight >= DAY_ROWS * (len(time) + past[LINES].sum()):
        slipped = timed & (time % (_HOUR // 2) == 0)
    else:
        store = frame[STORE_ID].cat
        before = _before(history, store.categories)
        slipped = _slipped_days(store.codes.to_numpy(np.int64)[good], ts // _DAY, time // _HOUR, before)
    codes[good[slipped]] = Reason.TIMEZONE_SLIP.code


def _before(history: History, stores: pd.Index) -> _Counts:
    """[N, 24] lines by store and hour."""
    past, table = history.hours, np.zeros((len(stores), 24))
    at = stores.get_indexer(pd.Index(past[STORE_ID], dtype=object))
    np.add.at(table, (at[at >= 0], past[HOUR].to_numpy()[at >= 0]), past[LINES].to_numpy()[at >= 0])
    return table


def _slipped_days(store: NDArray[Any], day: NDArray[Any], hour: NDArray[Any], before: _Counts) -> Mask:
    """[n] rows of store-days [C] whose hours do not fit."""
    day = day - day.min()
    days = int(day.max()) + 1
    cells, of = compact(store * days + day, len(before) * days)
    counts = np.bincount(of.astype(np.int64) * 24 + hour, minlength=len(cells) * 24).reshape(-1, 24).astype(float)
    owner = cells // days
    total = before.copy()
    np.add.at(total, owner, counts)
    others = total[owner] - counts
    suspect = (_off(counts, others, _SUSPECT) >= OFF) & (counts.sum(axis=1) >= FEWEST_LINES)
    if not suspect.any():
        return np.zeros(len(store), dtype=bool)
    # Several bad days hide each other: the usual hours are those of the days above suspicion.
    usual = total.copy()
    np.subtract.at(usual, owner[suspect], counts[suspect])
    slipped = np.zeros(len(cells), dtype=bool)
    slipped[suspect] = _would_fit(counts[suspect], usual[owner[suspect]])
    return slipped[of]


def _off(counts: _Counts, others: _Counts, rare: float) -> NDArray[Any]:
    """[C] share of a day's lines in hours that have less than the share `rare` of the other days' lines."""
    odd = others < rare * others.sum(axis=1, keepdims=True)
    return (counts * odd).sum(axis=1) / counts.sum(axis=1)


def _would_fit(counts: _Counts, usual: _Counts) -> Mask:
    """[C] days that do not fit the usual hours as they are, and do when shifted by some whole hours."""
    enough = usual.sum(axis=1) >= FEWEST_OTHERS
    off = _off(counts, usual, RARE)
    shape = usual / np.maximum(usual.sum(axis=1, keepdims=True), 1)
    day = counts / counts.sum(axis=1, keepdims=True)
    overlap = np.minimum(day, shape).sum(axis=1)
    fits = np.zeros(len(counts), dtype=bool)
    for hours in range(1, 24):
        back = np.roll(counts, hours, axis=1)
        then = np.minimum(np.roll(day, hours, axis=1), shape).sum(axis=1)
        fits |= (_off(back, usual, RARE) <= _LEFT) & (then >= np.maximum(_GAIN * overlap, _ALIKE))
    vacated = (shape * (day < RARE)).sum(axis=1)
    return enough & (off >= OFF) & (vacated >= _VACATED) & fits
