"""`create_features()`: the training rows of a tier, a bounded random sample of series x origin x horizon."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.features.state import StateBuilder, forget_history
from shelfops_pipeline.inference.matrix import base_level, model_matrix
from shelfops_pipeline.inference.sequence import Scales, decoder_inputs, reference, static_inputs
from shelfops_pipeline.inference.state import SeriesState

Floats = NDArray[np.float32]

_MOST_ORIGINS = 80
_FORGET_SHARE = 0.1  # of the cold-start tier's training rows: shown as if the series were new


@dataclass(frozen=True)
class FeatureRows:
    """n training rows; columns of `matrix` as in `contracts.features.feature_names(spec)`."""

    matrix: Floats
    """[n, F]"""
    demand: Floats
    """[n] units"""
    base: Floats
    """[n] reference level in the model's scale"""
    series: NDArray[np.int32]
    origin: NDArray[np.int32]
    horizon: NDArray[np.int32]
    """[n] 1..H"""


@dataclass(frozen=True)
class SequenceWindows:
    """n training windows of the LSTM."""

    encoder: Floats
    decoder: Floats
    static: NDArray[np.int32]
    target: Floats
    """[n, H, 2] target relative to the reference, and its weight (0: not observed)."""


def create_features(
    panel: Panel, spec: TierSpec, transform: Transform, scales: Scales, max_rows: int, seed: int
) -> FeatureRows:
    """Training rows whose features were known at their origin and whose demand was observed later.

    Only observed targets are used; closed, unlisted and censored periods have no demand to learn from.
    Raises NotEnoughHistoryError when not one row results.
    """
    builder = StateBuilder(panel, spec, transform, scales)
    rng = np.random.default_rng(seed)
    origins = training_origins(panel.n_observed, spec)
    expected = sum(_targets(panel, t, spec.horizon)[1] for t in origins)
    share = min(1.0, max_rows / max(expected, 1))
    series_share = min(1.0, 2 * share)
    parts: list[FeatureRows] = []
    for state, rows, origin in _sampled_states(builder, origins, series_share, spec, transform, rng):
        demand, _ = _targets(panel, origin, spec.horizon)
        demand = demand[rows]
        chosen = np.isfinite(demand) & (rng.random(demand.shape) < share / series_share)
        if chosen.any():
            series, step = np.nonzero(chosen)
            parts.append(
                FeatureRows(
                    matrix=model_matrix(spec, state)[chosen],
                    demand=demand[chosen],
                    base=base_level(spec, state)[chosen],
                    series=rows[series].astype(np.int32),
                    origin=np.full(len(series), origin, dtype=np.int32),
                    horizon=(step + 1).astype(np.int32),
                )
            )
    if not parts:
        raise NotEnoughHistoryError(f"{panel.dataset}: no training row; every series is too short or unobserved")
    return FeatureRows(*(np.concatenate([getattr(p, f) for p in parts]) for f in FeatureRows.__dataclass_fields__))


def create_windows(
    panel: Panel, spec: TierSpec, transform: Transform, scales: Scales, max_windows: int, seed: int
) -> SequenceWindows:
    """Training windows of the LSTM: a random sample of (series, origin) with at least one observed target."""
    builder = StateBuilder(panel, spec, transform, scales)
    rng = np.random.default_rng(seed)
    origins = training_origins(panel.n_observed, spec)
    share = min(1.0, max_windows / max(len(origins) * panel.n_series, 1))
    parts: list[SequenceWindows] = []
    for state, rows, origin in _sampled_states(builder, origins, share, spec, transform, rng):
        demand = _targets(panel, origin, spec.horizon)[0][rows]
        use = np.isfinite(demand).any(axis=1)
        if use.any():
            state = state.take(np.flatnonzero(use))
            parts.append(
                SequenceWindows(
                    encoder=state.encoder,
                    decoder=decoder_inputs(spec, state, transform, scales),
                    static=static_inputs(spec, state),
                    target=_relative_target(spec, state, transform, demand[use]),
                )
            )
    if not parts:
        raise NotEnoughHistoryError(f"{panel.dataset}: no training window; every series is too short or unobserved")
    return SequenceWindows(
        *(np.concatenate([getattr(p, f) for p in parts]) for f in SequenceWindows.__dataclass_fields__)
    )


def training_origins(n_observed: int, spec: TierSpec) -> NDArray[np.intp]:
    """Origins spread evenly over the history, the last ones included: at most 80, the first late enough that the
    longest window (or two fifths of a short history) is filled."""
    first = min(max(*spec.level_windows, 3 * spec.season), int(0.4 * n_observed))
    step = max(1, -(-(n_observed - 1 - first) // _MOST_ORIGINS))
    return np.arange(n_observed - 2, max(first, 1) - 1, -step)[::-1]


def _sampled_states(
    builder: StateBuilder,
    origins: NDArray[np.intp],
    share: float,
    spec: TierSpec,
    transform: Transform,
    rng: np.random.Generator,
) -> Iterator[tuple[SeriesState, NDArray[np.intp], int]]:
    """For each origin a random sample of series: (their state, their rows in the panel, the origin)."""
    for origin in origins:
        rows = np.flatnonzero(rng.random(builder.panel.n_series) < share)
        if len(rows) == 0:
            continue
        state = builder.at(int(origin)).take(rows)
        if spec.tier is Tier.COLD_START:
            state = forget_history(state, rng.random(len(rows)) < _FORGET_SHARE, transform)
        yield state, rows, int(origin)


def _targets(panel: Panel, origin: int, horizon: int) -> tuple[Floats, int]:
    """([S, H] demand after the origin, NaN where not observed; number of observed values)."""
    out = np.full((panel.n_series, horizon), np.nan, dtype=np.float32)
    end = min(origin + 1 + horizon, panel.n_observed)
    out[:, : end - origin - 1] = panel.demand[:, origin + 1 : end]
    return out, int(np.isfinite(out).sum())


def _relative_target(spec: TierSpec, state: SeriesState, transform: Transform, demand: Floats) -> Floats:
    """log: (log1p(y) - base) / spread, weight 1. count: y / reference, weight sqrt(reference)."""
    ref, spread = reference(spec, state, transform)
    seen = np.isfinite(demand)
    y = np.where(seen, demand, 0)
    if transform == "log":
        return np.stack([(np.log1p(y) - ref) / spread * seen, seen.astype(np.float32)], axis=2)
    return np.stack([y / ref, np.sqrt(ref) * seen], axis=2).astype(np.float32)
