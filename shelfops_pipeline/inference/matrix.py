"""The model matrix: from the state at the origin and the known future to one row per (series, target period)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, HOLIDAY_DAYS, ON_PROMOTION, OPEN, PRICE, RESERVED_CHANNELS
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.inference import windows
from shelfops_pipeline.inference.state import Layout, SeriesState, target_dates

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

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
    around = targets.around | {"base": targets.base}
    position = season_position(spec, state.target_dates)
    out = np.empty((state.n_series, spec.horizon, len(feature_names(spec))), dtype=np.float32)
    scalars, seasonal, by_horizon = (_places(spec, source) for source in ("scalars", "seasonal", "by_horizon"))
    out[:, :, scalars.columns] = state.scalars[:, None, scalars.rows]
    out[:, :, seasonal.columns] = state.seasonal[:, seasonal.rows][:, :, position].swapaxes(1, 2)
    out[:, :, by_horizon.columns] = state.by_horizon[:, by_horizon.rows].swapaxes(1, 2)
    for i, j in enumerate(_places(spec, "seasonal_promo").columns.tolist()):
        out[:, :, j] = _by_promo(spec, state, state.seasonal_promo[:, i])
    for j, name in _computed(spec):
        out[:, :, j] = around[name]
    return out


class _Places(NamedTuple):
    """Which columns of the model matrix are which rows of an array of the state."""

    columns: NDArray[np.intp]
    rows: NDArray[np.intp]


@cache
def _places(spec: TierSpec, source: str) -> _Places:
    names: tuple[str, ...] = getattr(Layout.of(spec), source)
    found = [(j, names.index(name)) for j, name in enumerate(feature_names(spec)) if name in names]
    columns, rows = np.array(found, np.intp).reshape(-1, 2).T
    return _Places(columns, rows)


@cache
def _computed(spec: TierSpec) -> tuple[tuple[int, str], ...]:
    """The columns of the model matrix that are in no array of the state."""
    layout = Layout.of(spec)
    stored = {*layout.scalars, *layout.seasonal, *layout.seasonal_promo, *layout.by_horizon}
    return tuple((j, name) for j, name in enumerate(feature_names(spec)) if name not in stored)


def target_features(spec: TierSpec, state: SeriesState) -> dict[str, Floats]:
    """[S or 1, H] by name: what the calendar and the known-future channels say of each target period."""
    return _calendar(spec, state.origin) | _channel_features(spec, state)


@lru_cache(maxsize=64)
def _calendar(spec: TierSpec, origin: np.datetime64) -> dict[str, Floats]:
    days = target_dates(spec.grain, spec.horizon, origin)
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
    columns, events = dict[str, Floats](), dict[str, Bools]()
    flags, changes = dict[str, Bools](), dict[str, Bools]()
    if ON_PROMOTION in spec.channels:
        promo = flags["promo"] = state.channel(ON_PROMOTION) > 0
        columns |= {
            "promo": promo.astype(np.float32),
            "promo_ahead": np.broadcast_to(promo[:, -spec.horizon :].mean(1, keepdims=True), promo.shape),
            "since_promo_start": np.minimum(windows.run_length(promo), cap),
        }
    if HOLIDAY in spec.channels:
        columns["holiday"] = state.channel(HOLIDAY)
        events["holiday"] = columns["holiday"] > 0
    if OPEN in spec.channels:
        closed = flags["closed"] = state.channel(OPEN) == 0
        columns["closed_run"] = np.minimum(windows.last_run_length(closed), cap)
        changes["reopening"] = windows.run_length(closed) >= _LONG_CLOSURE
    if PRICE in spec.channels:
        columns |= _price(spec, state)
        changes["price_change"] = np.abs(columns["price_to_previous"] - 1) > _PRICE_CHANGE
    if HOLIDAY_DAYS in spec.channels:
        columns["holiday_days"] = state.channel(HOLIDAY_DAYS)
    for name in spec.channels:
        if name not in (*RESERVED_CHANNELS, HOLIDAY_DAYS):
            values = state.channel(name)
            columns[f"cov_{name}"] = values
            columns[f"cov_{name}_prev"] = windows.mean_before(values, near)
            columns[f"cov_{name}_next"] = windows.mean_after(values, near)
    columns |= _each("{}_prev", windows.sum_before, flags, near) | _each("{}_next", windows.sum_after, flags, near)
    columns |= _each("since_{}", windows.since, flags | events | changes, cap)
    columns |= _each("until_{}", windows.until, flags | events, cap)
    return {name: values[:, -spec.horizon :] for name, values in columns.items()}


def _each(name: str, kernel: Callable[[Bools, int], Floats], rows: Mapping[str, Bools], n: int) -> dict[str, Floats]:
    """`kernel` of several channels in one call: for a few series it costs the same for one as for all of them."""
    if not rows:
        return {}
    parts = list(rows.values())
    found = kernel(np.concatenate(parts), n).reshape(len(parts), *parts[0].shape)
    return dict(zip(map(name.format, rows), found, strict=True))


def _price(spec: TierSpec, state: SeriesState) -> dict[str, Floats]:
    price = state.channel(PRICE)
    columns = {f"price_to_{k}": _ratio(price, state.scalar(f"price_{k}")[:, None]) for k in ("mean", "max", "last")}
    return columns | {
        "price": price,
        "price_to_recent": _ratio(price, windows.mean_before(price, spec.month)),
        "price_to_previous": _ratio(price, windows.previous(price)),
        "discount_depth": 1 - _ratio(price, np.fmax.accumulate(price, axis=1)),
    }


def _ratio(values: Floats, reference: Floats) -> Floats:
    return np.divide(values, reference, out=np.full_like(values, np.nan), where=reference > 0)
