"""Two contestants on identical rows: errors, bias and coverage, each with the interval of a paired block bootstrap.

Blocks of seven periods of a fold, all series together, are drawn with replacement: errors of neighbouring days and of
one day's stores are alike, so single rows would make the intervals too narrow (Künsch 1989).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.evaluation.groups import SeriesDimension
from shelfops_pipeline.inference.predict import Forecast

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

COVERAGE: Final = 0.9
BLOCK_PERIODS: Final = 7
_RESAMPLES: Final = 2_000
_TAIL: Final = 0.05
"""Share of resamples below an interval, and above it."""


@dataclass(frozen=True)
class Side:
    """One contestant's forecasts, [S, H] for each fold."""

    median: Sequence[Floats]
    mean: Sequence[Floats]
    low: Sequence[Floats] | None = None
    """5 and 95 % quantiles; None of a baseline"""
    high: Sequence[Floats] | None = None

    @classmethod
    def of(cls, forecasts: Sequence[Forecast]) -> Self:
        """What is scored of a model: the median by MAE, the mean by bias, the outer quantiles by coverage."""
        return cls(
            [f.points[Metric.MAE] for f in forecasts],
            [f.points[Metric.RMSE] for f in forecasts],
            [f.quantiles[..., 0] for f in forecasts],
            [f.quantiles[..., -1] for f in forecasts],
        )

    def cut(self, periods: int) -> Self:
        """The first periods ahead."""
        parts = (self.median, self.mean, self.low, self.high)
        return type(self)(*(None if p is None else [a[:, :periods] for a in p] for p in parts))  # type: ignore[arg-type]

    @property
    def periods(self) -> int:
        return self.median[0].shape[1]


@dataclass(frozen=True)
class Measure:
    """A metric of both contestants over some rows; NaN where undefined."""

    candidate: float
    rival: float
    off: float
    """how far the candidate is from what it should be: |bias|, or how far 0.9 lies outside of what is covered"""
    change: float
    """of the MAE: candidate / rival; of bias and coverage: `off` less the rival's"""
    low: float
    high: float
    rows: int
    share: float = 1.0
    """of all demand"""


@dataclass(frozen=True)
class Comparison:
    """All that the gate looks at."""

    mae: Measure
    bias: Measure
    coverage: Measure
    groups: dict[str, dict[str, Measure]]
    """dimension → group → MAE, of large groups; their intervals hold all together (Bonferroni)"""
    demand: float
    blocks: int


@dataclass(frozen=True)
class GroupSize:
    """Which groups are looked at."""

    share: float
    """of all demand, at least"""
    rows: int
    """scored, at least"""


def compare_sides(
    actual: Sequence[Floats], ours: Side, theirs: Side, dimensions: Sequence[SeriesDimension], size: GroupSize
) -> Comparison:
    """Compare on every observed row. A forecast that is no number makes its metric NaN: leaving it out would score a
    model on its easy rows."""
    seen = [np.isfinite(y).astype(np.float64) for y in actual]
    demand = [np.where(np.isfinite(y), y, 0).astype(np.float64) for y in actual]
    errors = [[_where(y, np.abs(y - f)) for y, f in zip(actual, s.median, strict=True)] for s in (ours, theirs)]
    rows, volume = _blocks(seen), _blocks(demand)
    weights = _weights(len(rows))
    large = [(d, _large(seen, demand, d, size)) for d in dimensions if len(d.labels) > 1]
    tail = _TAIL / max(sum(len(shares) for _, shares in large), 1)
    return Comparison(
        mae=_mae(weights, _blocks(errors[0]), _blocks(errors[1]), rows),
        bias=_bias(weights, actual, ours, theirs, volume, rows),
        coverage=_coverage(weights, actual, ours, theirs, rows),
        groups={d.name: _groups(weights, errors, seen, d, shares, tail) for d, shares in large},
        demand=float(volume.sum()),
        blocks=len(rows),
    )


def _where(actual: Floats, values: Floats | Doubles) -> Doubles:
    """[S, H] values of observed rows; 0 elsewhere."""
    return np.where(np.isfinite(actual), values, 0).astype(np.float64)


def _by_block(values: Doubles) -> Doubles:
    return np.add.reduceat(values, np.arange(0, values.shape[1], BLOCK_PERIODS), axis=1)


def _blocks(values: Sequence[Doubles]) -> Doubles:
    """[B] sums over each block of each fold."""
    return np.concatenate([_by_block(v.sum(axis=0, keepdims=True))[0] for v in values])


def _weights(blocks: int) -> Doubles:
    """[1 + R, B] how often each block is drawn; once each in the first row, which gives the estimate itself."""
    draws = np.random.default_rng(0).integers(0, blocks, (_RESAMPLES, blocks))
    flat = (draws + blocks * np.arange(_RESAMPLES)[:, None]).ravel()
    counts = np.bincount(flat, minlength=_RESAMPLES * blocks).reshape(_RESAMPLES, blocks)
    return np.concatenate([np.ones((1, blocks)), counts])


def _ratio(top: Doubles, bottom: Doubles) -> Doubles:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _interval(samples: Doubles, tail: float = _TAIL) -> tuple[float, float]:
    """Of the resamples, the first being the estimate; NaN where none is defined."""
    drawn = samples[1:][np.isfinite(samples[1:])]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _mae(
    weights: Doubles, ours: Doubles, theirs: Doubles, rows: Doubles, share: float = 1.0, tail: float = _TAIL
) -> Measure:
    a, b, n = weights @ ours, weights @ theirs, weights @ rows
    ratio = _ratio(a, b)
    mine, other = (float(_ratio(e[:1], n[:1])[0]) for e in (a, b))
    return Measure(mine, other, float("nan"), float(ratio[0]), *_interval(ratio, tail), int(n[0]), share)


def _bias(
    weights: Doubles, actual: Sequence[Floats], ours: Side, theirs: Side, volume: Doubles, rows: Doubles
) -> Measure:
    signed = [_blocks([_where(y, f - y) for y, f in zip(actual, s.mean, strict=True)]) for s in (ours, theirs)]
    a, b = (_ratio(weights @ s, weights @ volume) for s in signed)
    change = np.abs(a) - np.abs(b)
    return Measure(float(a[0]), float(b[0]), abs(float(a[0])), float(change[0]), *_interval(change), int(rows.sum()))


def _coverage(weights: Doubles, actual: Sequence[Floats], ours: Side, theirs: Side, rows: Doubles) -> Measure:
    n = weights @ rows
    a, off = _covered(weights, actual, ours, n)
    b, other = _covered(weights, actual, theirs, n)
    change = off - other
    return Measure(float(a[0]), float(b[0]), float(off[0]), float(change[0]), *_interval(change), int(rows.sum()))


def _covered(weights: Doubles, actual: Sequence[Floats], side: Side, n: Doubles) -> tuple[Doubles, Doubles]:
    """(share inside the 90 % interval, how far 0.9 lies outside of what it may be).

    Of whole units many lie on a bound: a calibrated interval covers at most 0.9 without its bounds and at least 0.9
    with them (Kolassa 2016), so that only less than that, or more, is off.
    """
    if side.low is None or side.high is None:
        return np.full_like(n, np.nan), np.full_like(n, np.nan)
    bounds = list(zip(actual, side.low, side.high, strict=True))
    known = [np.where(np.isfinite(lo + hi), 1.0, np.nan) for _, lo, hi in bounds]
    closed = [_where(y, k * ((y >= lo) & (y <= hi))) for k, (y, lo, hi) in zip(known, bounds, strict=True)]
    inner = [_where(y, k * ((y > lo) & (y < hi))) for k, (y, lo, hi) in zip(known, bounds, strict=True)]
    with_bounds, without = (_ratio(weights @ _blocks(v), n) for v in (closed, inner))
    return with_bounds, np.maximum(np.maximum(COVERAGE - with_bounds, without - COVERAGE), 0)


def _large(
    seen: Sequence[Doubles], demand: Sequence[Doubles], dimension: SeriesDimension, size: GroupSize
) -> dict[int, float]:
    """Group → share of all demand, of groups that are large enough, the largest first."""
    rows, volume = (_by_group(v, dimension).sum(axis=0) for v in (seen, demand))
    share = _ratio(volume, np.full_like(volume, volume.sum()))
    large = np.flatnonzero((share >= size.share) & (rows >= size.rows))
    return {int(g): float(share[g]) for g in large[np.argsort(-share[large], kind="stable")]}


def _groups(
    weights: Doubles,
    errors: Sequence[Sequence[Doubles]],
    seen: Sequence[Doubles],
    dimension: SeriesDimension,
    shares: dict[int, float],
    tail: float,
) -> dict[str, Measure]:
    ours, theirs, rows = (_by_group(v, dimension) for v in (*errors, seen))
    return {
        dimension.labels[g]: _mae(weights, ours[:, g], theirs[:, g], rows[:, g], share, tail)
        for g, share in shares.items()
    }


def _by_group(values: Sequence[Doubles], dimension: SeriesDimension) -> Doubles:
    """[B, G] sums over each block of each fold, by group of series."""
    parts = []
    for per_fold, codes in zip(values, dimension.codes, strict=True):
        blocks = _by_block(per_fold)
        total = np.zeros((len(dimension.labels), blocks.shape[1]))
        np.add.at(total, codes, blocks)
        parts.append(total.T)
    return np.concatenate(parts)
