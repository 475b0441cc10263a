"""The four baselines that every model is scored beside, on the same rows, from the same past.

All return [S, H] units, 0 on periods known to be closed. A series without the history that a baseline needs falls back
to its mean so far, then to 0: a baseline must forecast every row that it is compared on. On weekly data there is no
weekday: the profile is flat there, and `profile_mean` is the level.
"""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ON_PROMOTION, OPEN
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.likes import category_groups

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

_QUARTER = 13  # seasons: how far back days with the same promotion flag are looked for
_NAIVE_SEASONS = 4
_BLOCK = 4096  # series; bounds what `naive_error` holds at once
BASELINES = ("seasonal_naive", "seasonal_mean", "seasonal_promo_mean", "profile_mean")


class BaselineHistory:
    """The observed demand of a panel; its last quarter is all that a forecast at an origin looks at."""

    def __init__(self, panel: Panel, season: int) -> None:
        self._panel, self._season = panel, season
        self._weeks = 4  # seasons in the level's window, 28 days; four weeks of weekly data
        self._groups = np.unique(category_groups(panel), return_inverse=True)[1].reshape(-1)

    def forecast(self, origin: int, horizon: int) -> dict[str, Floats]:
        """All four baselines, made at `origin` for the next `horizon` periods."""
        seasons = self._seasons(self._panel.demand, origin)
        month = seasons[:, -self._weeks :]
        level = self._level(month, origin)[:, None]
        weekday = _first_known(_mean(month, axis=1), level)
        tables = {
            "seasonal_naive": _first_known(*(seasons[:, -k] for k in range(1, _NAIVE_SEASONS + 1)), level),
            "seasonal_mean": weekday,
            "profile_mean": level * self._profile(month),
        }
        position = np.arange(horizon) % self._season  # of each target within the season before it
        out = {name: table[:, position] for name, table in tables.items()}
        out["seasonal_promo_mean"] = self._conditional(seasons, origin, weekday[:, position])
        closed = self._closed(origin, horizon)
        return {name: np.where(closed, 0, out[name]).astype(np.float32) for name in BASELINES}

    def naive_error(self, origin: int) -> Floats:
        """[S] in-sample MAE of the seasonal naive forecast up to the origin: the scale of MASE; NaN within a season."""
        blocks = range(0, self._panel.n_series, _BLOCK)
        return np.concatenate([self._naive_error(slice(at, at + _BLOCK), origin) for at in blocks])

    def _naive_error(self, rows: slice, origin: int) -> Floats:
        y = np.asarray(self._panel.demand[rows, : origin + 1])
        return _mean(np.abs(y[:, self._season :] - y[:, : -self._season]), axis=1).astype(np.float32)

    def _seasons(self, values: Floats, origin: int) -> Floats:
        """[S, 13, season] the last quarter up to the origin, oldest season first; NaN before the history."""
        width = _QUARTER * self._season
        first = origin + 1 - width
        known = np.asarray(values[:, max(first, 0) : origin + 1])
        padded = np.pad(known, ((0, 0), (max(-first, 0), 0)), constant_values=np.nan)
        return padded.reshape(len(padded), _QUARTER, self._season)

    def _level(self, month: Floats, origin: int) -> Doubles:
        """[S] mean of the last four weeks, else of all that is known; 0 for a series never seen."""
        level = _mean(month, axis=(1, 2))
        silent = np.flatnonzero(np.isnan(level))
        level[silent] = _mean(np.asarray(self._panel.demand[silent, : origin + 1]), axis=1)
        return np.nan_to_num(level, nan=0)

    def _profile(self, month: Floats) -> Doubles:
        """[S, season] mean of the store-category at each position of the season over its mean; 1 where unknown."""
        position = self._group_mean(month)
        typical = self._group_mean(month.reshape(len(month), -1, 1))
        known = np.isfinite(position) & (typical > 0)
        return np.divide(position, typical, out=np.ones_like(position), where=known)

    def _group_mean(self, values: Floats) -> Doubles:
        """[S, n] mean over the group and over axis 1 of [S, m, n]; NaN where nothing is known."""
        seen = np.isfinite(values)
        total = np.where(seen, values, 0).sum(axis=1, dtype=np.float64)
        return _ratio(self._by_group(total), self._by_group(seen.sum(axis=1, dtype=np.float64)))[self._groups]

    def _by_group(self, values: Doubles) -> Doubles:
        """[G, n] sums over groups of series [S, n]."""
        order = np.argsort(self._groups, kind="stable")
        starts = np.flatnonzero(np.diff(self._groups[order], prepend=-1))
        return np.add.reduceat(values[order], starts, axis=0)

    def _conditional(self, seasons: Floats, origin: int, weekday: Doubles) -> Doubles:
        """[S, H] mean of a quarter's days with the target's weekday and promotion flag."""
        if ON_PROMOTION not in self._panel.channels:
            return weekday
        horizon = weekday.shape[1]
        promoted = self._seasons(self._panel.channels[ON_PROMOTION], origin) > 0
        position = np.arange(horizon) % self._season
        off, on = (_mean(np.where(promoted == flag, seasons, np.nan), axis=1)[:, position] for flag in (False, True))
        flags = self._future(ON_PROMOTION, origin, horizon) > 0
        return _first_known(np.where(flags, on, off), weekday)

    def _future(self, name: str, origin: int, horizon: int) -> Floats:
        values = np.asarray(self._panel.channels[name][:, origin + 1 : origin + 1 + horizon])
        return np.pad(values, ((0, 0), (0, horizon - values.shape[1])), constant_values=np.nan)

    def _closed(self, origin: int, horizon: int) -> Bools:
        if OPEN not in self._panel.channels:
            return np.zeros((self._panel.n_series, horizon), dtype=bool)
        return self._future(OPEN, origin, horizon) == 0


def _ratio(total: Doubles, count: Doubles) -> Doubles:
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _mean(values: Floats | Doubles, axis: int | tuple[int, ...]) -> Doubles:
    """Mean of what is known along an axis, NaN where nothing is."""
    seen = np.isfinite(values)
    return _ratio(np.where(seen, values, 0).sum(axis=axis, dtype=np.float64), seen.sum(axis=axis, dtype=np.float64))


def _first_known(*values: Floats | Doubles) -> Doubles:
    """The first of the values, broadcast, that is known."""
    out = np.asarray(values[0], dtype=np.float64)
    for other in values[1:]:
        out = np.where(np.isfinite(out), out, other)
    return out
