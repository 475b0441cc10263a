"""The model matrix: from the state at the origin and the known future to one row per (series, target period)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, HOLIDAY_DAYS, ON_PROMOTION, OPEN, PRICE, RESERVED_CHANNELS
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.inference import windows
from shelfops_pipeline.inference.state import SeriesState

Floats = NDArray[np.float32]

_LONG_CLOSURE = 3  # periods; a shop that was shut for longer than a weekend reopens to other demand than it closed on
_PRICE_CHANGE = 0.01  # average prices of a day move by less without anybody's doing


@dataclass(frozen=True)
class Targets:
    """What both models are told of the target periods of one state: computed once for a prediction."""

    base: Floats
    """[S, H] see `base_level`."""
    around: dict[str, Floats]
    """See `target_features`."""

    @classmethod
    def of(cls, spec: TierSpec, state: SeriesState) -> Self:
        return cls(base_level(spec, state), target_features(spec, state))


def season_position(spec: TierSpec, dates: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """[n] position in the season: the weekday (Monday 0) of daily data, 0 of weekly data."""
    if spec.season == 1:
        return np.zeros(len(dates), dtype=np.intp)
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday


def base_level(spec: TierSpec, state: SeriesState) -> Floats:
    """[S, H] the reference level of each target period, never NaN.

    The mean of the series for the target's season position (and promotion flag, where the tier has that much
    history); where a series has none, its own level, else the level of its likes, moved by their seasonal deviation.
    """
    position = season_position(spec, state.target_dates)
    layout = state.layout
    fallback = state.scalar("fallback_level")[:, None]
    likes = state.seasonal[:, layout.seasonal.index("category_seasonal")][:, position]
    base = fallback + np.where(np.isfinite(likes), likes, 0)
    plain = state.seasonal[:, layout.seasonal.index(f"seasonal_mean_{_plain_window(spec)}")][:, position]
    base = np.where(np.isfinite(plain), plain, base)
    if spec.base_on_promo:
        table = state.seasonal_promo[:, layout.seasonal_promo.index(f"seasonal_promo_mean_{spec.base_window}")]
        conditional = _by_promo(spec, state, table)
        base = np.where(np.isfinite(conditional), conditional, base)
    return np.maximum(base, 0).astype(np.float32)


def _plain_window(spec: TierSpec) -> int:
    return spec.base_window if spec.base_window in spec.seasonal_windows else max(spec.seasonal_windows)


def _by_promo(spec: TierSpec, state: SeriesState, table: Floats) -> Floats:
    """Look a [S, season, 2] table up for each target's season position and promotion flag: [S, H]."""
    position = season_position(spec, state.target_dates)
    promo = state.channel(ON_PROMOTION)[:, -spec.horizon :] > 0
    return np.where(promo, table[:, position, 1], table[:, position, 0])


def model_matrix(spec: TierSpec, state: SeriesState, targets: Targets | None = None) -> Floats:
    """[S, H, F] the model matrix, columns as in `feature_names(spec)`; `targets` are the state's, if at hand."""
    targets = targets or Targets.of(spec, state)
    columns = _lookups(spec, state) | targets.around | {"base": targets.base}
    names = feature_names(spec)
    out = np.empty((state.n_series, spec.horizon, len(names)), dtype=np.float32)
    for j, name in enumerate(names):
        out[:, :, j] = columns[name]
    return out


def target_features(spec: TierSpec, state: SeriesState) -> dict[str, Floats]:
    """[S or 1, H] by name: what the calendar and the known-future channels say of each target period."""
    return _calendar(spec, state) | _channel_features(spec, state)


def _lookups(spec: TierSpec, state: SeriesState) -> dict[str, Floats]:
    layout, position = state.layout, season_position(spec, state.target_dates)
    columns: dict[str, Floats] = {name: state.scalars[:, i, None] for i, name in enumerate(layout.scalars)}
    columns |= {name: state.seasonal[:, i][:, position] for i, name in enumerate(layout.seasonal)}
    columns |= {
        name: _by_promo(spec, state, state.seasonal_promo[:, i]) for i, name in enumerate(layout.seasonal_promo)
    }
    columns |= {name: state.by_horizon[:, i] for i, name in enumerate(layout.by_horizon)}
    return columns


def _calendar(spec: TierSpec, state: SeriesState) -> dict[str, Floats]:
    days = state.target_dates.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    day = (days - months).astype(np.int64) + 1
    year_start = days.astype("datetime64[Y]").astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    values = {
        "horizon": np.arange(1, spec.horizon + 1),
        "weekday": season_position(spec, days),
        "day_of_month": day,
        "payday_distance": np.minimum.reduce([day - 1, np.abs(day - 16), length + 1 - day]),
        "month": months.astype(np.int64) % 12 + 1,
        "day_of_year": (days - year_start).astype(np.int64) + 1,
    }
    return {name: np.broadcast_to(v.astype(np.float32), (1, spec.horizon)) for name, v in values.items()}


def _channel_features(spec: TierSpec, state: SeriesState) -> dict[str, Floats]:
    near, cap = spec.short, spec.lead_in + 1
    columns: dict[str, Floats] = {}
    if ON_PROMOTION in spec.channels:
        promo = state.channel(ON_PROMOTION) > 0
        columns |= {
            "promo": promo.astype(np.float32),
            "promo_prev": windows.sum_before(promo, near),
            "promo_next": windows.sum_after(promo, near),
            "promo_ahead": np.broadcast_to(promo[:, -spec.horizon :].mean(1, keepdims=True), promo.shape),
            "since_promo_start": np.minimum(windows.run_length(promo), cap),
            "since_promo": windows.since(promo, cap),
            "until_promo": windows.until(promo, cap),
        }
    if HOLIDAY in spec.channels:
        holiday = state.channel(HOLIDAY)
        columns |= {
            "holiday": holiday,
            "since_holiday": windows.since(holiday > 0, cap),
            "until_holiday": windows.until(holiday > 0, cap),
        }
    if OPEN in spec.channels:
        columns |= _opening(state.channel(OPEN) == 0, near, cap)
    if PRICE in spec.channels:
        columns |= _price(spec, state, cap)
    if HOLIDAY_DAYS in spec.channels:
        columns["holiday_days"] = state.channel(HOLIDAY_DAYS)
    for name in spec.channels:
        if name not in (*RESERVED_CHANNELS, HOLIDAY_DAYS):
            values = state.channel(name)
            columns[f"cov_{name}"] = values
            columns[f"cov_{name}_prev"] = windows.mean_before(values, near)
            columns[f"cov_{name}_next"] = windows.mean_after(values, near)
    return {name: values[:, -spec.horizon :] for name, values in columns.items()}


def _opening(closed: NDArray[np.bool_], near: int, cap: int) -> dict[str, Floats]:
    return {
        "closed_prev": windows.sum_before(closed, near),
        "closed_next": windows.sum_after(closed, near),
        "since_closed": windows.since(closed, cap),
        "until_closed": windows.until(closed, cap),
        "closed_run": np.minimum(windows.last_run_length(closed), cap),
        "since_reopening": windows.since(windows.run_length(closed) >= _LONG_CLOSURE, cap),
    }


def _price(spec: TierSpec, state: SeriesState, cap: int) -> dict[str, Floats]:
    price = state.channel(PRICE)
    columns = {f"price_to_{k}": _ratio(price, state.scalar(f"price_{k}")[:, None]) for k in ("mean", "max", "last")}
    to_previous = _ratio(price, windows.previous(price))
    return columns | {
        "price": price,
        "price_to_recent": _ratio(price, windows.mean_before(price, spec.month)),
        "price_to_previous": to_previous,
        "discount_depth": 1 - _ratio(price, np.fmax.accumulate(price, axis=1)),
        "since_price_change": windows.since(np.abs(to_previous - 1) > _PRICE_CHANGE, cap),
    }


def _ratio(values: Floats, reference: Floats) -> Floats:
    reference = np.broadcast_to(reference, values.shape)
    return np.divide(values, reference, out=np.full_like(values, np.nan), where=reference > 0)
