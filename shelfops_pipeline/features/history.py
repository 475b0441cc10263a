"""`History`: what a block of series did up to a few origins, and the features of their own past.

Everything is computed at the origins that are asked for, and nothing at the periods between them: windows by reading
them (`recent`, `rolling`), all of history by one pass (`expanding`).
"""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import ON_PROMOTION, PRICE
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.features.arrays import Bools, Doubles, Floats, ratio
from shelfops_pipeline.features.expanding import expanding_max, expanding_sums, last_position
from shelfops_pipeline.features.likes import Sums
from shelfops_pipeline.features.recent import Recent, cut
from shelfops_pipeline.features.rolling import rolling_at

Rows = NDArray[np.intp]
Scalars = dict[str, Floats]

_EWM_PERIODS = 56
_PATTERN_WINDOW = 182  # demand pattern (ADI, CV^2): half a year of daily data
_LONGEST_GAP = 366  # periods since a sale are counted up to here
_LONGEST_HISTORY = 730
QUANTILES = {"min": 0.0, "q10": 0.1, "q50": 0.5, "q90": 0.9}


class History:
    """The past of the series of a panel at `origins`, ascending. `k` is a position among the origins and `rows` are
    series of the panel throughout. Nothing after an origin is read for it."""

    def __init__(self, panel: Panel, spec: TierSpec, transform: Transform, origins: Rows) -> None:
        self.panel, self.spec, self.transform, self.origins = panel, spec, transform, origins
        end = int(origins[-1]) + 1
        self._y = np.asarray(panel.demand[:, :end])
        self._state = np.asarray(panel.state[:, :end])
        self.z = np.log1p(self._y) if transform == "log" else self._y.astype(np.float32)
        windows = sorted({*spec.level_windows, spec.short, spec.month})
        self._level, std = rolling_at(self.z, windows, (spec.month,), origins)
        self._std = std[spec.month]
        self._total, self._count = expanding_sums(self.z, origins)
        self._last_sale = last_position(self._y > 0, origins)
        self._last_seen = last_position(np.isfinite(self._y), origins)
        self._last_fraction = last_position(np.isfinite(self._y) & (self._y != np.rint(self._y)), origins)
        if PRICE in spec.channels:
            self._price = np.asarray(panel.channels[PRICE][:, :end])
            self._price_sums = expanding_sums(self._price, origins)
            self._price_max = expanding_max(self._price, origins)
            self._price_last = last_position(np.isfinite(self._price), origins)

    def recent(self, k: int, rows: Rows) -> tuple[Recent, Bools]:
        """As many of the last periods as any window looks at, in whole seasons; and which were on promotion."""
        spec, t = self.spec, int(self.origins[k])
        windows = (*spec.seasonal_windows, *spec.seasonal_promo_windows, *spec.promo_windows, _PATTERN_WINDOW)
        periods = min(max(windows), -(-(t + 1) // spec.season) * spec.season)
        promo = np.zeros((len(rows), periods), dtype=bool)
        if ON_PROMOTION in spec.channels:
            promo = cut(self.panel.channels[ON_PROMOTION], rows, t + 1 - periods, t + 1) > 0
        return Recent.of(self.z, rows, t, periods), promo

    def sums(self, k: int, rows: Rows, recent: Recent) -> Sums:
        """What the series add to the groups that they are in."""
        month = self.spec.month
        values, counts = (_padded(v[:, -month:], month) for v in (recent.values, recent.seen))
        so_far = np.stack([self._total[rows, k], self._count[rows, k].astype(np.float64)], axis=-1)
        return Sums.of(values, counts, so_far, self.spec)

    def scalars(self, k: int, rows: Rows, recent: Recent, promo: Bools) -> Scalars:
        """The features of the series' own past that are known at the origin, by name, [n] each."""
        spec, short, month = self.spec, self.spec.short, self.spec.month
        level = {w: values[rows, k] for w, values in self._level.items()}
        out = {f"level_{w}": level[w] for w in spec.level_windows}
        out |= {
            "level_all": ratio(self._total[rows, k], self._count[rows, k]),
            "trend_short": level[short] - level[month],
            f"std_{month}": self._std[rows, k],
        }
        if len(spec.level_windows) > 4:
            out["trend_long"] = level[month] - level[spec.level_windows[4]]
        out |= self._shape(recent) | self._rhythm(k, rows, recent)
        for w in spec.promo_windows:
            on = recent.sums(w, promo)
            out |= {
                f"promo_level_{w}": ratio(*on),
                f"regular_level_{w}": recent.mean(w, ~promo),
                f"promo_share_{w}": ratio(on[1], recent.sums(w)[1]),
            }
        t = int(self.origins[k])
        for name in spec.past_channels:
            past = Recent.of(self.panel.past[name], rows, t, month)
            out |= {f"past_{name}_{w}": past.mean(w) for w in (short, month)}
        return out

    def _shape(self, recent: Recent) -> Scalars:
        """How recent demand is distributed."""
        spec, window = self.spec, self.spec.quantile_window
        values, seen = recent.values[:, -_EWM_PERIODS:], recent.seen[:, -_EWM_PERIODS:]
        weights = np.power(0.9, np.arange(values.shape[1] - 1, -1, -1))
        out = {"ewm": ratio((values * weights).sum(axis=1), (seen * weights).sum(axis=1))}
        quantiles = recent.quantiles(window, tuple(QUANTILES.values()))
        out |= {f"{name}_{window}": quantiles[:, i] for i, name in enumerate(QUANTILES)}
        none = Recent((recent.values == 0).astype(np.float64) * recent.seen, recent.seen)
        out |= {f"zero_share_{w}": none.mean(w) for w in (spec.short, spec.month)}
        tail, there = recent.values[:, -spec.short :], recent.seen[:, -spec.short :]
        highest = np.where(there, tail, -np.inf).max(axis=1)
        return out | {f"max_{spec.short}": np.where(there.any(axis=1), highest, np.nan).astype(np.float32)}

    def _rhythm(self, k: int, rows: Rows, recent: Recent) -> Scalars:
        """How often demand occurs, and how much there is of it to know."""
        t, month = int(self.origins[k]), self.spec.month
        count, sale, seen = self._count[rows, k], self._last_sale[rows, k], self._last_seen[rows, k]
        since = np.where(sale < 0, _LONGEST_GAP, np.minimum(t - sale, _LONGEST_GAP))
        stockout = self._state[rows, max(t + 1 - month, 0) : t + 1] == State.STOCKOUT
        possible = stockout | recent.seen[:, -stockout.shape[1] :]
        return self._pattern(t, rows, recent) | {
            "last": _at(self.z, rows, seen),
            "periods_since_sale": np.where(count > 0, since, np.nan).astype(np.float32),
            "history": np.minimum(count, _LONGEST_HISTORY).astype(np.float32),
            "whole": np.where(count > 0, self._last_fraction[rows, k] < 0, np.nan).astype(np.float32),
            f"stockout_share_{month}": ratio(stockout.sum(axis=1), possible.sum(axis=1)),
        }

    def _pattern(self, t: int, rows: Rows, recent: Recent) -> Scalars:
        """Average demand interval and squared coefficient of variation of demand sizes."""
        sizes = recent if self.transform == "count" else Recent.of(self._y, rows, t, recent.values.shape[1])
        sale = sizes.values > 0
        total, sales = sizes.sums(_PATTERN_WINDOW, sale)
        size = ratio(total, sales)
        away = np.where(sale, sizes.values - size[:, None], 0)[:, -_PATTERN_WINDOW:]
        variance = ratio(np.square(away).sum(axis=1), sales)
        cv2 = (variance / np.square(size)).astype(np.float32)
        return {"adi": ratio(sizes.sums(_PATTERN_WINDOW)[1], sales), "cv2": cv2}

    def price_scalars(self, k: int, rows: Rows) -> Scalars:
        """Mean, highest and last price so far, [n] each."""
        if PRICE not in self.spec.channels:
            unknown = np.full(len(rows), np.nan, dtype=np.float32)
            return {"price_mean": unknown, "price_max": unknown, "price_last": unknown}
        total, count = self._price_sums
        return {
            "price_mean": ratio(total[rows, k], count[rows, k]),
            "price_max": self._price_max[rows, k],
            "price_last": _at(self._price, rows, self._price_last[rows, k]),
        }

    def last_year(self, k: int, rows: Rows) -> Scalars:
        """Demand around the target's place in the year before, [n, H] each; NaN where that is not over yet."""
        spec, t = self.spec, int(self.origins[k])
        around = 3 if spec.season > 1 else 1
        low, known = t + 1 - spec.year, self.z[:, : t + 1]
        near = cut(known, rows, low - around, low + spec.horizon + around).astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(near, 2 * around + 1, axis=1)
        seen = np.isfinite(windows)
        week = ratio(np.where(seen, windows, 0).sum(axis=2), seen.sum(axis=2))
        place = low + np.arange(spec.horizon)
        week[:, (place < 0) | (place > t)] = np.nan
        before = Recent.of(self.z, rows, t - spec.year, spec.month).mean(spec.month)
        point = near[:, around : around + spec.horizon].astype(np.float32)
        return {"last_year": point, "last_year_week": week, "last_year_change": week - before[:, None]}


def _padded(values: Doubles | Bools, periods: int) -> Doubles:
    return np.pad(values, ((0, 0), (periods - values.shape[1], 0))).astype(np.float64)


def _at(values: Floats, rows: Rows, positions: NDArray[np.int32]) -> Floats:
    """[n] one value per series; NaN where its position is negative."""
    return np.where(positions >= 0, values[rows, np.maximum(positions, 0)], np.float32(np.nan))
