"""How sure one is of a total: intervals at its own level, since quantiles do not add up.

The sum of many series' 95 % quantiles is reached only if all of them are high together; independent errors would cancel
out almost wholly. The truth lies between: what the whole retailer is off by does not cancel. A total's scale is made of
both parts, `variance + (common x mean)^2`, and how many scales the errors of past totals reached says how wide the
interval is (split conformal prediction with normalised residuals: Lei et al. 2018). Errors count on both sides: few
folds do not tell on which side the next one errs, and the interval stays around the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import TotalLevel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.features.totals import Groups, sum_by

Doubles = NDArray[np.float64]
Values = NDArray[np.floating[Any]]

_CENTRAL: Final = (0.5, 0.9)  # what lies between q25 and q75, and between q05 and q95
_NORMAL_90: Final = 3.2897  # standard deviations between q05 and q95 of a normal distribution
_PRIOR: Final = 150  # errors at which a cell's own width counts as much as that of all of them


@dataclass(frozen=True)
class SummedForecast:
    """Totals of one level, [G, H] each: G groups, H periods."""

    mean: Doubles
    variance: Doubles
    """of its sum if its series erred independently of each other"""
    actual: Doubles
    """NaN where nothing was observed; where only some series were, all three are of those"""

    @classmethod
    def of(cls, mean: Values, quantiles: Values, groups: Groups, actual: Values | None = None) -> Self:
        """The totals of series' forecasts, `mean` [S, H] and `quantiles` [S, H, 5]; `groups` is [S]."""
        seen = np.ones(mean.shape, dtype=bool) if actual is None else np.isfinite(actual)
        sd = (quantiles[..., -1] - quantiles[..., 0]).astype(np.float64) / _NORMAL_90
        happened = np.full(mean.shape, np.nan) if actual is None else np.asarray(actual)

        def total(values: Values) -> Doubles:
            return sum_by(np.where(seen, values, 0), groups).astype(np.float64)

        known = (total(np.ones(mean.shape)) > 0) & (actual is not None)
        return cls(total(mean), total(sd**2), np.where(known, total(happened), np.nan))

    def scale(self, common: float) -> Doubles:
        """[G, H] typical error of each total; 0 only where nothing is expected."""
        return np.sqrt(self.variance + (common * self.mean) ** 2)


@dataclass(frozen=True)
class LevelIntervals:
    """How far totals of one level were off."""

    common: float
    """typical error that all series of a total share, as a part of its mean"""
    widths: Doubles
    """[B, 2] scales around the mean within which half, and 90 %, of the errors lay, by horizon block"""


@dataclass(frozen=True)
class TotalIntervals:
    """Intervals of totals, fitted on the forecasts of folds."""

    blocks: tuple[int, ...]
    """last period of each horizon block, as in `inference.calibration`"""
    levels: Mapping[TotalLevel, LevelIntervals]

    def quantiles(self, level: TotalLevel, totals: SummedForecast) -> Doubles:
        """[G, H, 5] quantiles of each total, around its mean and never below 0."""
        fitted = self.levels[level]
        half, most = fitted.widths[_block(self.blocks, totals.mean.shape[1])].T
        steps = np.stack([-most, -half, np.zeros_like(half), half, most], axis=-1)
        return np.maximum(totals.mean[..., None] + totals.scale(fitted.common)[..., None] * steps, 0)

    def to_json(self) -> dict[str, Any]:
        levels = {k.value: {"common": v.common, "widths": v.widths.tolist()} for k, v in self.levels.items()}
        return {"blocks": list(self.blocks), "levels": levels}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        levels = {TotalLevel(k): LevelIntervals(v["common"], np.array(v["widths"])) for k, v in raw["levels"].items()}
        return cls(tuple(raw["blocks"]), levels)


def fit_total_intervals(
    folds: Mapping[TotalLevel, Sequence[SummedForecast]], blocks: tuple[int, ...]
) -> TotalIntervals:
    """Intervals of each level from totals of folds, whose forecasts saw nothing of what then happened.

    A block's widths are shrunk towards those of its level, and these towards those of all levels: a level may have
    few totals (the whole retailer is one). Raises NotEnoughHistoryError where no total was observed.
    """
    common = {level: _common(totals) for level, totals in folds.items()}
    errors = {level: _errors(totals, common[level], blocks) for level, totals in folds.items()}
    everything = np.concatenate([error for found in errors.values() for error in found])
    if not any(np.isfinite(totals.actual).any() for of_level in folds.values() for totals in of_level):
        raise NotEnoughHistoryError("no total was observed in the backtest folds; use fewer folds")
    # Demand that never changes is forecast without a doubt: no total has a scale to be off by.
    overall = _widths(everything) if len(everything) else np.zeros(len(_CENTRAL))
    levels = {}
    for level, by_block in errors.items():
        own = _shrunk(np.concatenate(by_block), overall)
        levels[level] = LevelIntervals(common[level], np.stack([_shrunk(error, own) for error in by_block]))
    return TotalIntervals(blocks, levels)


def _block(blocks: tuple[int, ...], horizon: int) -> NDArray[np.intp]:
    return np.minimum(np.searchsorted(blocks, np.arange(1, horizon + 1)), len(blocks) - 1)


def _common(folds: Sequence[SummedForecast]) -> float:
    """By the method of moments: what squared errors have beyond the series' own variances grows with the mean's
    square. Each total counts by its size."""
    square = share = 0.0
    for totals in folds:
        use = np.isfinite(totals.actual) & (totals.mean > 0)
        mean, variance, actual = totals.mean[use], totals.variance[use], totals.actual[use]
        square += float((((actual - mean) ** 2 - variance) / mean).sum())
        share += float(mean.sum())
    return float(np.sqrt(np.clip(square / share, 0, 1))) if share else 0.0


def _errors(folds: Sequence[SummedForecast], common: float, blocks: tuple[int, ...]) -> list[Doubles]:
    """Absolute errors of totals in scales, one array per horizon block."""
    found: list[list[Doubles]] = [[] for _ in blocks]
    for totals in folds:
        scale = totals.scale(common)
        use = np.isfinite(totals.actual) & (scale > 0)
        error = np.abs(totals.actual - totals.mean) / np.where(use, scale, 1)
        block = _block(blocks, totals.mean.shape[1])
        for b, part in enumerate(found):
            part.append(error[use & (block == b)])
    return [np.concatenate(part) for part in found]


def _widths(errors: Doubles) -> Doubles:
    """[2] the conformal quantiles: of n errors that which ceil((n + 1) p) of them do not exceed."""
    n = len(errors)
    share = np.minimum((n + 1) * np.array(_CENTRAL) / n, 1)
    return np.quantile(errors, share, method="inverted_cdf")


def _shrunk(errors: Doubles, parent: Doubles) -> Doubles:
    if not len(errors):
        return parent
    own = len(errors) / (len(errors) + _PRIOR)
    return own * _widths(errors) + (1 - own) * parent
