"""Inputs of the LSTM: encoder over the past, decoder over the known future, static codes; and its output's meaning."""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import HOLIDAY, OPEN, PRICE
from shelfops_pipeline.contracts.features import Feature, feature_list
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.inference.matrix import Targets, base_level, season_position
from shelfops_pipeline.inference.state import SeriesState, target_dates

Floats = NDArray[np.float32]
Scales = dict[str, tuple[float, float]]

_CALENDAR = ("week_sin", "week_cos", "year_sin", "year_cos", "ahead")
_DISTANCES = ("since_", "until_")
_MOST_GROWTH = 0.7  # log units: a count is forecast within a factor of two of the reference (measured on m5)
_CLIP = 8.0  # standard deviations; keeps one absurd input from saturating the network


def encoder_names(spec: TierSpec) -> tuple[str, ...]:
    """The inputs of each past period, in order."""
    return ("demand", "observed", *spec.channels)


@cache
def decoder_names(spec: TierSpec) -> tuple[str, ...]:
    """The inputs of each target period, in the order of `decoder_inputs`."""
    levels = ("base", *(f"seasonal_mean_{w}" for w in spec.seasonal_windows))
    levels += ("last_year_week",) if spec.last_year else ()
    return (*_CALENDAR, *levels, *spec.channels, *(f.name for f in _bounded_targets(spec)))


def decoder_width(spec: TierSpec) -> int:
    """Number of decoder inputs per target period."""
    return len(decoder_names(spec))


@cache
def _bounded_targets(spec: TierSpec) -> tuple[Feature, ...]:
    """The features of the target period that have a valid range to be scaled by; the horizon is among the calendar."""
    return tuple(
        f for f in feature_list(spec, log=True) if f.source == "target" and f.high is not None and f.name != "horizon"
    )


def decoder_inputs(
    spec: TierSpec, state: SeriesState, transform: Transform, scales: Scales, targets: Targets | None = None
) -> Floats:
    """[S, H, decoder_width] calendar, levels relative to the series' own scale, standardised channels, and what the
    model matrix says of the target period, each on 0..1; `targets` are the state's, if at hand."""
    targets = targets or Targets.of(spec, state)
    position = season_position(spec, state.target_dates)
    levels = [targets.base]
    levels += [
        state.seasonal[:, state.layout.seasonal.index(f"seasonal_mean_{w}")][:, position] for w in spec.seasonal_windows
    ]
    if spec.last_year:
        levels.append(state.by_horizon[:, state.layout.by_horizon.index("last_year_week")])
    around = [targets.around[feature.name] for feature in _bounded_targets(spec)]
    prices = state.scalar("price_mean")
    channels = [_scaled(name, state.channel(name)[:, -spec.horizon :], prices, scales) for name in spec.channels]
    out = np.empty((state.n_series, spec.horizon, decoder_width(spec)), dtype=np.float32)
    for j, column in enumerate((*levels, *channels, *around), start=len(_CALENDAR)):
        out[:, :, j] = column
    # By kinds, not one by one: for a few series an operation costs the same on one column as on all of them.
    ends = np.cumsum([len(_CALENDAR), len(levels), len(channels)]).tolist()
    calendar, relative, standard, unit = np.split(out, ends, axis=2)
    calendar[:] = _calendar(spec, state.origin)
    relative[:] = _relative(relative, state, transform)
    standard[:] = _neutral(standard)
    unit[:] = _unit(spec, unit)
    return out


def _unit(spec: TierSpec, values: Floats) -> Floats:
    """[..., K] bounded features on 0..1; times since and until an event as closeness, since the day before matters
    most."""
    near, low, span = _unit_scales(spec)
    unit = np.where(near, 1, values - low) / np.where(near, 1 + values, span)
    return np.where(np.isfinite(unit), unit, 0)


@cache
def _unit_scales(spec: TierSpec) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Of each bounded feature: is it a time since or until an event, where does its range begin, how long is it?"""
    features = _bounded_targets(spec)
    near = [feature.name.startswith(_DISTANCES) for feature in features]
    low = [feature.low or 0.0 for feature in features]
    span = [(feature.high or 1.0) - start for feature, start in zip(features, low, strict=True)]
    return np.array(near, np.bool_), np.array(low, np.float32), np.array(span, np.float32)


def channel_input(name: str, values: Floats, price_mean: Floats, scales: Scales) -> Floats:
    """A channel as a network input: flags as they are, price relative to its mean, others standardised; unknown is 0,
    which is each input's neutral value (off, at the mean)."""
    return _neutral(_scaled(name, values, price_mean, scales))


def _scaled(name: str, values: Floats, price_mean: Floats, scales: Scales) -> Floats:
    if name == OPEN:
        values = 1 - values
    elif name == HOLIDAY:
        values = np.where(np.isfinite(values), values > 0, np.nan)
    elif name == PRICE:
        mean = price_mean[:, None]
        values = np.divide(values, mean, out=np.full(values.shape, np.nan, np.float32), where=mean > 0) - 1
    elif name in scales:
        center, spread = scales[name]
        values = (values - center) / spread
    return values


def _neutral(values: Floats) -> Floats:
    return np.clip(np.where(np.isfinite(values), values, 0), -_CLIP, _CLIP).astype(np.float32)


def static_inputs(spec: TierSpec, state: SeriesState) -> NDArray[np.int32]:
    """[S, n_static] category codes shifted by one: 0 is unknown."""
    codes = np.stack([state.scalar(f"static_{name}") for name in spec.static], axis=1)
    return (np.where(np.isfinite(codes), codes, -1) + 1).astype(np.int32)


def demand_from_output(
    spec: TierSpec, state: SeriesState, transform: Transform, output: Floats, base: Floats | None = None
) -> Floats:
    """[S, H] expected demand from the network's output: a deviation from the base in the series' own scale."""
    return demand_from_reference(*reference(spec, state, transform, base), transform, output)


def reference(
    spec: TierSpec, state: SeriesState, transform: Transform, base: Floats | None = None
) -> tuple[Floats, Floats]:
    """([S, H] reference, [S, 1] spread): what the output is relative to. log: base and the series' spread, both
    log1p(units); count: a positive level in units, and 1."""
    base = base_level(spec, state) if base is None else base
    if transform == "log":
        return base, state.scalar("spread")[:, None]
    level = np.maximum(state.scalar("fallback_level"), 0)[:, None]
    return (0.5 * base + 0.5 * level + 0.02).astype(np.float32), np.ones((state.n_series, 1), np.float32)


def demand_from_reference(ref: Floats, spread: Floats, transform: Transform, output: Floats) -> Floats:
    """Demand in units for an output relative to (ref, spread)."""
    if transform == "log":
        return np.expm1(np.maximum(ref + spread * np.clip(output, -_CLIP, _CLIP), 0)).astype(np.float32)
    return (ref * np.exp(np.clip(output, -_MOST_GROWTH, _MOST_GROWTH))).astype(np.float32)


def relative_level(level: Floats, center: Floats, spread: Floats, transform: Transform) -> Floats:
    """Demand on the series' own scale, in spreads from its centre; unknown is 0, "as usual"."""
    scaled = level if transform == "log" else np.log(np.maximum(level, 0) + 0.5)
    return _neutral((scaled - center) / spread)


def _relative(level: Floats, state: SeriesState, transform: Transform) -> Floats:
    center, spread = (state.scalar(name)[:, None, None] for name in ("center", "spread"))
    return relative_level(level, center, spread, transform)


@lru_cache(maxsize=64)
def _calendar(spec: TierSpec, origin: np.datetime64) -> Floats:
    """[H, 5], not to be written to."""
    days = target_dates(spec.grain, spec.horizon, origin)
    year = 2 * np.pi * (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) / 365.25
    week = 2 * np.pi * season_position(spec, days) / max(spec.season, 1)
    ahead = np.arange(1, spec.horizon + 1) / spec.horizon
    columns = (np.sin(week), np.cos(week), np.sin(year), np.cos(year), ahead)
    return np.stack(columns, axis=1).astype(np.float32)
