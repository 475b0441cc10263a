"""Gaps in the feed: a store that is silent although it should have traded, and a feed that is silent as a whole."""

from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import DATE, STORE_ID, Grain
from shelfops_pipeline.data.keys import days_of, first_day
from shelfops_pipeline.data.panel import expected_opening
from shelfops_pipeline.gate.quality import ROWS

Bools = NDArray[np.bool_]

FIRST: Final = "first"
LAST: Final = "last"
PERIODS: Final = "periods"
GAP_COLUMNS: Final = (STORE_ID, FIRST, LAST, PERIODS)
HABIT: Final = 4
"""Weeks in a row in which a store traded on a weekday, after which it is expected to trade on it."""
SHORTEST: Final = 2
"""Periods of trade that must be missing: one alone is a store's own day off."""
LONGEST: Final = {Grain.DAY: 28, Grain.WEEK: 4}
"""Periods of silence after which a store has closed, rather than its feed."""
MOST: Final = 0.5
"""A silence that so many of the other stores share is a common closure."""


def feed_gaps(daily: pd.DataFrame, grain: Grain = Grain.DAY, closed: pd.DataFrame | None = None) -> pd.DataFrame:
    """The gaps in the stores' feeds: store_id, first, last (first days of periods), periods (of trade that is missing).

    `daily`: date, store_id, rows; a store without a row (or with 0) on a day is silent. `closed`: date, store_id of
    days on which a store is known to be closed, or has a holiday. Gaps as in `silent_spells`.
    """
    there = daily[daily[ROWS] > 0]
    if there.empty:
        return pd.DataFrame({STORE_ID: [], FIRST: [], LAST: [], PERIODS: []}, columns=list(GAP_COLUMNS))
    stores, at, start, period = _grid(there, grain)
    trading = np.zeros((len(stores), int(period.max()) + 1), dtype=bool)
    trading[at, period] = True
    off = np.zeros_like(trading)
    if closed is not None and len(closed):
        store = stores.get_indexer(pd.Index(closed[STORE_ID].astype(str)))
        when = (first_day(days_of(closed[DATE].to_numpy()), grain) - start) // grain.days
        inside = (store >= 0) & (when >= 0) & (when < trading.shape[1])
        off[store[inside], when[inside]] = True
    row, first, last, missing = _spans(trading, silent_spells(trading, off, grain))
    dates = (start + np.arange(trading.shape[1]) * grain.days).astype("datetime64[D]").astype("datetime64[ns]")
    return pd.DataFrame({STORE_ID: stores[row], FIRST: dates[first], LAST: dates[last], PERIODS: missing})


def silent_periods(daily: pd.DataFrame, until: date, grain: Grain = Grain.DAY) -> int:
    """Periods of expected trade since any store was heard of, up to and including that of `until`.

    `daily` as in `feed_gaps`. Weekdays on which no store traded in the last four weeks are not missed.
    """
    there = daily[daily[ROWS] > 0]
    if there.empty:
        return 0
    _, _, start, period = _grid(there, grain)
    heard = np.zeros((1, int(period.max()) + 1), dtype=np.float32)
    heard[0, period] = 1
    end = first_day(np.array([np.datetime64(until, "D").astype(np.int64)]), grain)[0]
    ahead = int(end - start) // grain.days - heard.shape[1] + 1
    return int(expected_opening(heard, max(ahead, 0), grain.season).sum())


def silent_spells(trading: Bools, off: Bools, grain: Grain) -> Bools:
    """[N, T] periods for which the feed of a store is missing; `trading` and `off` (known to be closed, or a holiday)
    are [N, T] too.

    A store should have traded in a period if it did on that weekday in each of the four weeks before (periods that are
    missing, off or commonly closed count as if it had) and is not off. It is missing if it is silent then while most of
    the other stores that should trade do, at least two such periods in a row, at most four weeks. A single store has no
    others to be compared with: its silence is a closure.
    """
    n, T = trading.shape
    season = grain.season
    usual = trading.copy()
    missing = np.zeros_like(trading)
    silent_for = np.zeros(n, dtype=np.int64)
    for t in range(T):  # over periods; each is arrays over stores
        silent_for = np.where(trading[:, t], 0, silent_for + ~off[:, t])
        if t < HABIT * season:
            continue
        expected = usual[:, [t - week * season for week in range(1, HABIT + 1)]].all(axis=1)
        asked = expected & ~off[:, t]
        silent = asked & ~trading[:, t]
        others = asked.sum() - 1
        missed = silent & ((asked & trading[:, t]).sum() > MOST * others) & (silent_for <= LONGEST[grain])
        missing[:, t] = missed
        usual[:, t] |= expected & (missed | off[:, t] | (silent & (silent.sum() > MOST * asked.sum())))
    return missing & _long_enough(trading, missing)


def _long_enough(trading: Bools, missing: Bools) -> Bools:
    """[N, T] cells of silences in which enough periods are missing."""
    spell = np.cumsum(trading, axis=1)  # the same between two periods of trade
    n, T = trading.shape
    key = np.arange(n)[:, None] * (T + 1) + spell
    count = np.bincount(key[missing], minlength=n * (T + 1))
    enough: Bools = count[key] >= SHORTEST
    return enough


def _spans(trading: Bools, missing: Bools) -> tuple[NDArray[Any], ...]:
    """Store, first and last period, and number of missing periods of each gap, by store and time."""
    T = trading.shape[1]
    row, period = np.nonzero(missing)
    spell = row * (T + 1) + np.cumsum(trading, axis=1)[row, period]
    _, begin, count = np.unique(spell, return_index=True, return_counts=True)
    return row[begin], period[begin], period[begin + count - 1], count


def _grid(daily: pd.DataFrame, grain: Grain) -> tuple[pd.Index, NDArray[np.intp], int, NDArray[np.int64]]:
    """The stores, each row's place among them, the first day of all, and each row's period since."""
    at, stores = pd.factorize(daily[STORE_ID].astype(str), sort=True)
    day = first_day(days_of(daily[DATE].to_numpy()), grain)
    start = int(day.min())
    return pd.Index(stores), at, start, (day - start) // grain.days
