"""`StateBuilder`: the state of every series at any origin, from the panel's history up to that origin only."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import ON_PROMOTION, PRICE
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.features.likes import Likes
from shelfops_pipeline.features.prefix import Prefix, ratio, variance
from shelfops_pipeline.inference.matrix import season_position
from shelfops_pipeline.inference.sequence import Scales, channel_input, relative_level
from shelfops_pipeline.inference.state import Layout, SeriesState

Floats = NDArray[np.float32]

_EWM = np.power(0.9, np.arange(55, -1, -1), dtype=np.float32)
_PATTERN_WINDOW = 182  # demand pattern (ADI, CV^2): half a year of daily data
_LEAST_SPREAD = 0.15  # log1p units: below it, noise of a few series would be blown up to full scale
_NEW_SPREAD = 0.7  # log1p units: typical spread of a series about which nothing is known


class StateBuilder:
    """One pass over the history makes prefix sums; each origin then costs a few look-ups per feature.

    `at(origin)` reads nothing after `origin` but known-future channels, and those up to `origin + horizon`.
    """

    def __init__(self, panel: Panel, spec: TierSpec, transform: Transform, scales: Scales) -> None:
        self.panel, self.spec, self.transform, self.scales = panel, spec, transform, scales
        self.layout = Layout.of(spec)
        n = panel.n_observed
        raw = np.asarray(panel.demand[:, :n])
        self._z = np.log1p(raw) if transform == "log" else raw.astype(np.float32)
        self._mask = np.isfinite(self._z)
        self._position = season_position(spec, panel.dates)
        self._level = Prefix.of(self._z, self._mask)
        self._square = Prefix.of(np.square(self._z, dtype=np.float64), self._mask)
        self._zeros = Prefix.of((raw == 0).astype(np.float32), self._mask)
        sale = self._mask & (raw > 0)
        self._sales = Prefix.of(raw, sale)
        self._sales_square = Prefix.of(np.square(raw, dtype=np.float64), sale)
        self._last_sale = _last_position(sale)
        self._last_seen = _last_position(self._mask)
        stockout = np.asarray(panel.state[:, :n]) == State.STOCKOUT
        self._stockout = Prefix.of(stockout.astype(np.float32), stockout | self._mask)
        self._seasonal = Prefix.of(self._z, self._mask, spec.season)
        if ON_PROMOTION in spec.channels:
            promo = np.asarray(panel.channels[ON_PROMOTION][:, :n]) > 0
            flags = (self._mask & ~promo, self._mask & promo)
            self._by_promo = [Prefix.of(self._z, f) for f in flags]
            self._seasonal_by_promo = [Prefix.of(self._z, f, spec.season) for f in flags]
        if PRICE in spec.channels:
            price = np.asarray(panel.channels[PRICE][:, :n])
            self._price = Prefix.of(price, np.isfinite(price))
            self._price_max = np.fmax.accumulate(price, axis=1)
            self._price_last = _at(price, _last_position(np.isfinite(price)))
        self._past = {k: np.asarray(panel.past[k][:, :n]) for k in spec.past_channels}
        self._past_sums = {k: Prefix.of(v, np.isfinite(v)) for k, v in self._past.items()}
        self._likes = Likes(panel, self._z, self._mask, spec)

    def at(self, origin: int) -> SeriesState:
        """The state when period `origin` has just ended. Raises IndexError outside the observed history."""
        if not 0 <= origin < self.panel.n_observed:
            raise IndexError(f"origin {origin} is outside the {self.panel.n_observed} observed periods")
        scalars = self._own(origin) | self._likes.scalars(origin) | self._statics()
        scalars |= self._internal(origin, scalars)
        layout, S = self.layout, self.panel.n_series
        seasonal = {"category_seasonal": self._likes.seasonal(origin)}
        seasonal |= {
            f"seasonal_mean_{w}": self._seasonal_table(self._seasonal, origin, w) for w in self.spec.seasonal_windows
        }
        promo = {
            f"seasonal_promo_mean_{w}": np.stack(
                [self._seasonal_table(p, origin, w) for p in self._seasonal_by_promo], axis=2
            )
            for w in self.spec.seasonal_promo_windows
        }
        last_year = self._last_year(origin) if self.spec.last_year else {}

        def stack(names: tuple[str, ...], values: dict[str, Floats], shape: tuple[int, ...]) -> Floats:
            out = np.empty((S, len(names), *shape), dtype=np.float32)
            for i, name in enumerate(names):
                out[:, i] = values[name]
            return out

        return SeriesState(
            layout=layout,
            grain=self.spec.grain,
            origin=self.panel.dates[origin],
            scalars=stack(layout.scalars, scalars, ()),
            seasonal=stack(layout.seasonal, seasonal, (layout.season,)),
            seasonal_promo=stack(layout.seasonal_promo, promo, (layout.season, 2)),
            by_horizon=stack(layout.by_horizon, last_year, (layout.horizon,)),
            channels=self._window(origin),
            encoder=self._encoder(origin, scalars),
        )

    def _own(self, t: int) -> dict[str, Floats]:
        spec, short, month = self.spec, self.spec.short, self.spec.month
        out = {f"level_{w}": self._level.mean(t, w) for w in spec.level_windows}
        level_short, level_month = self._level.mean(t, short), self._level.mean(t, month)
        total, count = self._level.sums(t, month)
        squares, _ = self._square.sums(t, month)
        tail, seen = self._z[:, max(t - 55, 0) : t + 1], self._mask[:, max(t - 55, 0) : t + 1]
        weights = _EWM[-tail.shape[1] :]
        recent, present = (
            self._z[:, max(t + 1 - short, 0) : t + 1],
            self._mask[:, max(t + 1 - short, 0) : t + 1],
        )
        history = self._level.count[:, t + 1]
        last_sale = self._last_sale[:, t]
        out |= {
            "ewm": ratio(np.where(seen, tail, 0) @ weights, (seen @ weights).astype(np.float64)),
            "trend_short": level_short - level_month,
            f"std_{month}": np.sqrt(variance(total, squares, count)).astype(np.float32),
            f"zero_share_{short}": self._zeros.mean(t, short),
            f"zero_share_{month}": self._zeros.mean(t, month),
            f"max_{short}": np.where(present.any(1), np.where(present, recent, -np.inf).max(1), np.nan),
            "last": _at(self._z, self._last_seen[:, t : t + 1])[:, 0],
            "periods_since_sale": np.where(
                history > 0, np.where(last_sale < 0, 366, np.minimum(t - last_sale, 366)), np.nan
            ),
            "history": np.minimum(history, 730),
            f"stockout_share_{month}": self._stockout.mean(t, month),
        }
        out |= self._pattern(t)
        for w in spec.promo_windows:
            off, on = self._by_promo
            counts = on.sums(t, w)[1], self._level.sums(t, w)[1]
            out |= {
                f"promo_level_{w}": on.mean(t, w),
                f"regular_level_{w}": off.mean(t, w),
                f"promo_share_{w}": ratio(*counts),
            }
        out |= {f"past_{k}_{w}": p.mean(t, w) for k, p in self._past_sums.items() for w in (short, month)}
        if len(spec.level_windows) > 4:
            out["trend_long"] = level_month - out[f"level_{spec.level_windows[4]}"]
        return out

    def _pattern(self, t: int) -> dict[str, Floats]:
        """Average demand interval and squared coefficient of variation of demand sizes."""
        total, sales = self._sales.sums(t, _PATTERN_WINDOW)
        square, _ = self._sales_square.sums(t, _PATTERN_WINDOW)
        observed = self._level.sums(t, _PATTERN_WINDOW)[1]
        cv2 = variance(total, square, sales) / ratio(total, sales) ** 2
        return {"adi": ratio(observed, sales), "cv2": cv2.astype(np.float32)}

    def _statics(self) -> dict[str, Floats]:
        codes = {name: self.panel.static[name].codes for name in self.spec.static}
        return {f"static_{k}": np.where(v >= 0, v, np.nan).astype(np.float32) for k, v in codes.items()}

    def _internal(self, t: int, scalars: dict[str, Floats]) -> dict[str, Floats]:
        month = self.spec.month
        likes = self._likes.level(t)
        fallback = np.where(
            np.isfinite(scalars[f"level_{month}"]), scalars[f"level_{month}"], self._level.mean(t, t + 1)
        )
        fallback = np.where(np.isfinite(fallback), fallback, likes)
        out = {"fallback_level": fallback, "likes_level": likes}
        out |= location(fallback, scalars[f"std_{month}"], self.transform)
        unknown = np.full(self.panel.n_series, np.nan, dtype=np.float32)
        if PRICE in self.spec.channels:
            return out | {
                "price_mean": self._price.mean(t, t + 1),
                "price_max": self._price_max[:, t],
                "price_last": self._price_last[:, t],
            }
        return out | {"price_mean": unknown, "price_max": unknown, "price_last": unknown}

    def _seasonal_table(self, sums: Prefix, t: int, window: int) -> Floats:
        """[S, season] mean per season position over the last `window` periods."""
        season = self.spec.season
        out = np.full((self.panel.n_series, season), np.nan, dtype=np.float32)
        for back in range(min(season, t + 1)):
            out[:, self._position[t - back]] = sums.mean(t - back, max(window // season, 1))
        return out

    def _last_year(self, t: int) -> dict[str, Floats]:
        spec = self.spec
        same = t + np.arange(1, spec.horizon + 1) - spec.year
        inside = (same >= 0) & (same <= t)
        around = 3 if spec.season > 1 else 1
        point = np.where(inside, self._z[:, np.clip(same, 0, t)], np.nan)
        ends = np.where(inside, np.minimum(same + around, t), -1)
        week = self._level.means(ends, 2 * around + 1)
        before = self._level.means(np.array([t - spec.year]), spec.month)
        return {"last_year": point, "last_year_week": week, "last_year_change": week - before}

    def _window(self, t: int) -> Floats:
        """[S, C, lead_in + H] channels around the origin; unknown (NaN) outside the panel."""
        spec, T = self.spec, self.panel.n_periods
        low, high = t + 1 - spec.lead_in, t + 1 + spec.horizon
        out = np.full((self.panel.n_series, len(spec.channels), high - low), np.nan, dtype=np.float32)
        for i, name in enumerate(spec.channels):
            out[:, i, max(-low, 0) : min(high, T) - low] = self.panel.channels[name][:, max(low, 0) : min(high, T)]
        return out

    def _encoder(self, t: int, scalars: dict[str, Floats]) -> Floats:
        """[S, L, 2 + C] recent demand on the series' own scale, its mask, and the channels; left-padded with 0."""
        L = self.spec.encoder_length
        low = max(t + 1 - L, 0)
        n = t + 1 - low
        out = np.zeros((self.panel.n_series, *self.layout.encoder), dtype=np.float32)
        center, spread = scalars["center"][:, None], scalars["spread"][:, None]
        out[:, L - n :, 0] = relative_level(self._z[:, low : t + 1], center, spread, self.transform)
        out[:, L - n :, 1] = self._mask[:, low : t + 1]
        for i, name in enumerate(self.spec.channels):
            values = np.asarray(self.panel.channels[name][:, low : t + 1])
            out[:, L - n :, 2 + i] = channel_input(name, values, scalars["price_mean"], self.scales)
        return out


def _last_position(event: NDArray[np.bool_]) -> NDArray[np.intp]:
    """[S, T] position of the last event up to and including each period; -1: none."""
    return np.maximum.accumulate(np.where(event, np.arange(event.shape[1]), -1), axis=1)


def _at(values: Floats, positions: NDArray[np.intp]) -> Floats:
    """[S, n] the values at these positions; NaN where a position is negative."""
    found = np.take_along_axis(values, np.maximum(positions, 0), axis=1)
    return np.where(positions >= 0, found, np.float32(np.nan))


def location(level: Floats, std: Floats, transform: Transform) -> dict[str, Floats]:
    """Centre and spread of a series' own scale, see `sequence.reference`."""
    if transform == "count":
        return {"center": np.log(np.maximum(level, 0) + 0.5), "spread": np.ones_like(level)}
    return {
        "center": level,
        "spread": np.where(np.isfinite(std), np.maximum(std, _LEAST_SPREAD), _NEW_SPREAD),
    }


def forget_history(state: SeriesState, rows: NDArray[np.bool_], transform: Transform) -> SeriesState:
    """The state as if the chosen series were new: own history unknown, likes kept. Trains the cold-start tier."""
    keep = ("store_", "item_", "category_", "static_", "price_", "likes_")
    scalars = state.scalars.copy()
    for i, name in enumerate(state.layout.scalars):
        if not name.startswith(keep):
            scalars[rows, i] = np.nan
    names = state.layout.scalars
    likes = scalars[:, names.index("likes_level")]
    fresh = location(likes, np.full_like(likes, np.nan), transform) | {
        "fallback_level": likes,
        "history": np.zeros_like(likes),
    }
    for name, values in fresh.items():
        scalars[rows, names.index(name)] = values[rows]
    seasonal, promo, encoder = state.seasonal.copy(), state.seasonal_promo.copy(), state.encoder.copy()
    own = np.array([name != "category_seasonal" for name in state.layout.seasonal])
    seasonal[np.ix_(rows, own)] = np.nan
    promo[rows] = np.nan
    encoder[rows, :, :2] = 0  # demand and its mask; what was open or on promotion is known of a new series too
    by_horizon = state.by_horizon.copy()
    by_horizon[rows] = np.nan
    return replace(
        state,
        scalars=scalars,
        seasonal=seasonal,
        seasonal_promo=promo,
        encoder=encoder,
        by_horizon=by_horizon,
    )
