"""`create_features()`: the training rows of a tier, a bounded random sample of series x origin x horizon."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.features.arrays import spacious
from shelfops_pipeline.features.sample import Draw, draw_rows, draw_windows
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.matrix import base_level, model_matrix
from shelfops_pipeline.inference.sequence import Scales, decoder_inputs, decoder_width, reference, static_inputs
from shelfops_pipeline.inference.state import Layout, SeriesState

Floats = NDArray[np.float32]

_MOST_ORIGINS = 120


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

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Rows of several sets of series as they would have been made of all series at once: by origin, series and
        horizon."""
        if len(parts) == 1:
            return parts[0]
        keys = [np.concatenate([getattr(part, name) for part in parts]) for name in ("horizon", "series", "origin")]
        place = np.empty(len(keys[0]), dtype=np.intp)
        place[np.lexsort(keys)] = np.arange(len(place))
        ends = np.cumsum([len(part.demand) for part in parts])[:-1]
        joined: list[NDArray[Any]] = []
        for name in cls.__dataclass_fields__:
            values = [getattr(part, name) for part in parts]
            out = spacious((len(place), *values[0].shape[1:]), values[0].dtype)
            for to, some in zip(np.split(place, ends), values, strict=True):
                out[to] = some
            joined.append(out)
        return cls(*joined)


@dataclass(frozen=True)
class SequenceWindows:
    """n training windows of the LSTM."""

    encoder: Floats
    decoder: Floats
    static: NDArray[np.int32]
    target: Floats
    """[n, H, 2] target relative to the reference, and its weight (0: not observed)."""


def create_features(
    panel: Panel,
    spec: TierSpec,
    transform: Transform,
    scales: Scales,
    max_rows: int,
    seed: int,
    block: int | None = None,
    series: slice | None = None,
) -> FeatureRows:
    """Training rows whose features were known at their origin and whose demand was observed later.

    Only observed targets are used; closed, unlisted and censored periods have no demand to learn from. Memory is that
    of the rows and of one block of series (`StateBuilder`), on which the rows do not depend. With `series`, the rows of
    those alone, out of the same sample of the whole panel: `FeatureRows.join` makes one of several.
    Raises NotEnoughHistoryError when not one row results from the whole panel.
    """
    draws = draw_rows(panel, spec, training_origins(panel.n_observed, spec), max_rows, seed)
    if not draws:
        raise NotEnoughHistoryError(f"{panel.dataset}: no training row; every series is too short or unobserved")
    if series is not None:
        draws = [draw.within(series) for draw in draws]
    ends = _ends(draws)
    n = int(ends[-1][-1])
    matrix = spacious((n, len(feature_names(spec))))
    base = np.empty(n, dtype=np.float32)
    requests = [draw.request for draw in draws]
    for k, part, state in StateBuilder(panel, spec, transform, scales, block, series).over(requests):
        chosen = draws[k].chosen[part]
        to = slice(ends[k][part.start], ends[k][part.stop])
        matrix[to] = model_matrix(spec, state)[chosen]
        base[to] = base_level(spec, state)[chosen]
    return FeatureRows(matrix, np.concatenate([draw.demand[draw.chosen] for draw in draws]), base, *_labels(draws))


def create_windows(
    panel: Panel,
    spec: TierSpec,
    transform: Transform,
    scales: Scales,
    max_windows: int,
    seed: int,
    block: int | None = None,
) -> SequenceWindows:
    """Training windows of the LSTM: a random sample of (series, origin) with at least one observed target.

    Raises NotEnoughHistoryError when not one window results.
    """
    draws = draw_windows(panel, spec, training_origins(panel.n_observed, spec), max_windows, seed)
    if not draws:
        raise NotEnoughHistoryError(f"{panel.dataset}: no training window; every series is too short or unobserved")
    ends = np.cumsum([0, *(len(draw.request.rows) for draw in draws)])
    n, H = int(ends[-1]), spec.horizon
    encoder = np.empty((n, *Layout.of(spec).encoder), dtype=np.float32)
    decoder = np.empty((n, H, decoder_width(spec)), dtype=np.float32)
    static = np.empty((n, len(spec.static)), dtype=np.int32)
    target = np.empty((n, H, 2), dtype=np.float32)
    requests = [draw.request for draw in draws]
    for k, part, state in StateBuilder(panel, spec, transform, scales, block).over(requests):
        to = slice(ends[k] + part.start, ends[k] + part.stop)
        encoder[to] = state.encoder
        decoder[to] = decoder_inputs(spec, state, transform, scales)
        static[to] = static_inputs(spec, state)
        target[to] = _relative_target(spec, state, transform, draws[k].demand[part])
    return SequenceWindows(encoder, decoder, static, target)


def training_origins(n_observed: int, spec: TierSpec) -> NDArray[np.intp]:
    """Origins spread evenly over the history, the last ones included: about 120, the first late enough that the longest
    window (or two fifths of a short history) is filled. Never whole seasons apart: with one weekday for all origins a
    tree could not tell the horizon from the weekday of the target."""
    first = min(max(*spec.level_windows, 3 * spec.season), int(0.4 * n_observed))
    step = max(1, -(-(n_observed - 1 - first) // _MOST_ORIGINS))
    if spec.season > 1 and step % spec.season == 0:
        step -= 1
    return np.arange(n_observed - 2, max(first, 1) - 1, -step)[::-1]


def _ends(draws: list[Draw]) -> list[NDArray[np.intp]]:
    """For each draw, [n + 1] where the rows of each of its series begin in the result."""
    counts = [draw.chosen.sum(axis=1) for draw in draws]
    starts = np.cumsum([0, *(int(c.sum()) for c in counts)])
    return [start + np.concatenate([[0], np.cumsum(c)]) for start, c in zip(starts, counts, strict=False)]


def _labels(draws: list[Draw]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """(series, origin, horizon) of every row."""
    series, origin, horizon = [], [], []
    for draw in draws:
        at, step = np.nonzero(draw.chosen)
        series.append(draw.request.rows[at])
        origin.append(np.full(len(at), draw.request.origin))
        horizon.append(step + 1)
    return tuple(np.concatenate(v).astype(np.int32) for v in (series, origin, horizon))  # type: ignore[return-value]


def _relative_target(spec: TierSpec, state: SeriesState, transform: Transform, demand: Floats) -> Floats:
    """log: (log1p(y) - base) / spread, weight 1. count: y / reference, weight sqrt(reference)."""
    ref, spread = reference(spec, state, transform)
    seen = np.isfinite(demand)
    y = np.where(seen, demand, 0)
    if transform == "log":
        return np.stack([(np.log1p(y) - ref) / spread * seen, seen.astype(np.float32)], axis=2)
    return np.stack([y / ref, np.sqrt(ref) * seen], axis=2).astype(np.float32)
