"""The four baselines that every model is scored beside, on the same rows, from the same past.

All return [S, H] units, 0 on periods known to be closed. A series without the history that a baseline needs falls back
to its mean so far, then to 0: a baseline must forecast every row that it is compared on.
"""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ON_PROMOTION, OPEN
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.likes import category_groups
from shelfops_pipeline.features.prefix import Prefix, group_prefix, ratio

Floats = NDArray[np.float32]

_CONDITIONAL_SEASONS = 13  # a quarter of daily data
BASELINES = ("seasonal_naive", "seasonal_mean", "seasonal_promo_mean", "profile_mean")


class BaselineHistory:
    """Sums over the observed history, computed once and read at any origin."""

    def __init__(self, panel: Panel, season: int) -> None:
        self._panel, self._season = panel, season
        self._month = 28 if season > 1 else 4
        n = panel.n_observed
        self._y = np.asarray(panel.demand[:, :n])
        mask = np.isfinite(self._y)
        self._level = Prefix.of(self._y, mask)
        self._weekday = Prefix.of(self._y, mask, season)
        groups = category_groups(panel)
        self._groups = groups
        self._group_level = group_prefix(self._y, mask, groups, int(groups.max()) + 1)
        self._group_weekday = group_prefix(self._y, mask, groups, int(groups.max()) + 1, season)
        if ON_PROMOTION in panel.channels:
            promo = np.asarray(panel.channels[ON_PROMOTION][:, :n]) > 0
            self._by_promo = [
                Prefix.of(self._y, mask & ~promo, season),
                Prefix.of(self._y, mask & promo, season),
            ]

    def forecast(self, origin: int, horizon: int) -> dict[str, Floats]:
        """All four baselines, made at `origin` for the next `horizon` periods."""
        level = self._level.mean(origin, self._month)
        level = np.where(np.isfinite(level), level, self._level.mean(origin, origin + 1))
        level = np.where(np.isfinite(level), level, 0)[:, None]  # a series never seen: nothing to go by
        steps = np.arange(1, horizon + 1)
        # The last period with the target's season position that had been observed at the origin.
        same = origin + steps - self._season * -(-steps // self._season)
        weekday = self._tables(self._weekday, same, max(self._month // self._season, 1))
        weekday = np.where(np.isfinite(weekday), weekday, level)
        profile = self._tables(self._group_weekday, same, max(self._month // self._season, 1))[self._groups]
        typical = ratio(*self._group_level.sums(origin, self._month))[self._groups, None]
        profile = np.divide(profile, typical, out=np.full_like(profile, np.nan), where=typical > 0)
        out = {
            "seasonal_naive": self._naive(same, level),
            "seasonal_mean": weekday,
            "seasonal_promo_mean": self._conditional(origin, steps, same, weekday),
            "profile_mean": level * np.where(np.isfinite(profile), profile, 1),
        }
        closed = self._closed(origin, horizon)
        return {k: np.where(closed, 0, v).astype(np.float32) for k, v in out.items()}

    def naive_error(self, origin: int) -> Floats:
        """[S] in-sample MAE of the seasonal naive forecast up to the origin: the scale of MASE."""
        y = self._y[:, : origin + 1]
        error = np.abs(y[:, self._season :] - y[:, : -self._season])
        seen = np.isfinite(error)
        return ratio(np.where(seen, error, 0).sum(axis=1, dtype=np.float64), seen.sum(axis=1).astype(np.float64))

    def _tables(self, sums: Prefix, ends: NDArray[np.intp], periods: int) -> Floats:
        columns = {
            int(e): sums.mean(int(e), periods) if e >= 0 else np.full(len(sums.total), np.nan) for e in np.unique(ends)
        }
        return np.stack([columns[int(e)] for e in ends], axis=1).astype(np.float32)

    def _naive(self, same: NDArray[np.intp], level: Floats) -> Floats:
        """Last observed value of the same weekday, up to four seasons back."""
        out = np.full((len(level), len(same)), np.nan, dtype=np.float32)
        for back in range(4):
            at = same - back * self._season
            value = np.where(at >= 0, self._y[:, np.maximum(at, 0)], np.nan)
            out = np.where(np.isfinite(out), out, value)
        return np.where(np.isfinite(out), out, level)

    def _conditional(self, origin: int, steps: NDArray[np.intp], same: NDArray[np.intp], weekday: Floats) -> Floats:
        if ON_PROMOTION not in self._panel.channels:
            return weekday
        off, on = (self._tables(p, same, _CONDITIONAL_SEASONS) for p in self._by_promo)
        flags = self._future(ON_PROMOTION, origin, len(steps)) > 0
        value = np.where(flags, on, off)
        return np.where(np.isfinite(value), value, weekday)

    def _future(self, name: str, origin: int, horizon: int) -> Floats:
        values = np.asarray(self._panel.channels[name][:, origin + 1 : origin + 1 + horizon])
        return np.pad(values, ((0, 0), (0, horizon - values.shape[1])), constant_values=np.nan)

    def _closed(self, origin: int, horizon: int) -> NDArray[np.bool_]:
        if OPEN not in self._panel.channels:
            return np.zeros((self._panel.n_series, horizon), dtype=bool)
        return self._future(OPEN, origin, horizon) == 0
