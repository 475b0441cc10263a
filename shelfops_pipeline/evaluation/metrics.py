"""Forecast metrics on arrays. Undefined is NaN, never 0; rows with a NaN actual are not scored. A forecast that is not
a number where there is an actual makes its metric NaN: leaving it out would score a model on its easy rows.

`actual` and forecasts are broadcastable arrays in units. Formulas: Hyndman and Koehler 2006 (MASE), Gneiting 2011
(which statistic each loss is minimised by); hit rates with ties as in Kolassa 2016.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Metric

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

NO_ROWS: Final = "no scored rows"
NO_DEMAND: Final = "actuals sum to 0"
NOT_A_NUMBER: Final = "a forecast is not a number"
NO_NAIVE_ERROR: Final = "no series with a seasonal naive error in its history"


@dataclass(frozen=True)
class Score:
    """A metric's value and the number of rows it rests on; NaN where undefined, with `why`."""

    value: float
    n: int
    why: str = ""


@dataclass(frozen=True)
class MeanLoss:
    """A metric that is a mean over rows."""

    loss: Callable[[Doubles, Doubles], Doubles]
    """(actual, forecast) -> loss of each row; 0 where they are equal"""
    column: Metric
    """The point forecast that it is scored on: the one that minimises it."""
    non_zero: bool = False
    """Scored only where there was demand."""
    root: bool = False
    """Is the square root of the mean what is reported?"""

    @property
    def why(self) -> str:
        """Why it is undefined when no row is left."""
        return "no non-zero actuals" if self.non_zero else NO_ROWS


def absolute(y: Doubles, f: Doubles) -> Doubles:
    """Per row, units."""
    return np.abs(y - f)


def squared(y: Doubles, f: Doubles) -> Doubles:
    """Per row, units squared."""
    return (y - f) ** 2


def squared_log(y: Doubles, f: Doubles) -> Doubles:
    """Per row, of log1p; a forecast below 0 counts as 0."""
    return (np.log1p(y) - np.log1p(np.maximum(f, 0))) ** 2


def pinball_loss(y: Doubles, q: Doubles, level: float | Doubles) -> Doubles:
    """Per row, units; `level` broadcasts with the rows."""
    return np.maximum(level * (y - q), (level - 1) * (y - q))


MEAN_LOSSES: Final = {
    "mae": MeanLoss(absolute, Metric.MAE),
    "mape": MeanLoss(lambda y, f: np.abs(y - f) / y, Metric.MAE, non_zero=True),
    "rmse": MeanLoss(squared, Metric.RMSE, root=True),
    "rmsle": MeanLoss(squared_log, Metric.RMSLE, root=True),
    "rmspe": MeanLoss(lambda y, f: ((y - f) / y) ** 2, Metric.RMSPE, non_zero=True, root=True),
}


def _rows(actual: Floats, *others: Floats) -> list[Doubles]:
    whole = np.broadcast_arrays(actual, *others)
    use = np.isfinite(whole[0])
    return [np.asarray(a[use], dtype=np.float64) for a in whole]


def _score(values: Doubles, why: str, after: Callable[[float], float] = float) -> Score:
    if len(values) == 0:
        return Score(float("nan"), 0, why)
    return _finite(after(float(values.mean())), len(values))


def _finite(value: float, n: int) -> Score:
    return Score(float(value), n) if np.isfinite(value) else Score(float("nan"), n, NOT_A_NUMBER)


def _mean(name: str, actual: Floats, forecast: Floats) -> Score:
    metric = MEAN_LOSSES[name]
    y, f = _rows(actual, forecast)
    if metric.non_zero:
        y, f = y[y > 0], f[y > 0]
    return _score(metric.loss(y, f), metric.why, np.sqrt if metric.root else float)


def _share(error: float, actual: Doubles) -> Score:
    if not actual.sum() > 0:
        return Score(float("nan"), len(actual), NO_DEMAND if len(actual) else NO_ROWS)
    return _finite(error / actual.sum(), len(actual))


def mae(actual: Floats, forecast: Floats) -> Score:
    """Mean absolute error, units."""
    return _mean("mae", actual, forecast)


def mape(actual: Floats, forecast: Floats) -> Score:
    """Mean absolute percentage error over non-zero actuals, as a share; n counts those."""
    return _mean("mape", actual, forecast)


def wape(actual: Floats, forecast: Floats) -> Score:
    """Sum of absolute errors over sum of actuals."""
    y, f = _rows(actual, forecast)
    return _share(np.abs(y - f).sum(), y)


def bias(actual: Floats, forecast: Floats) -> Score:
    """Sum of errors over sum of actuals; positive is too high."""
    y, f = _rows(actual, forecast)
    return _share((f - y).sum(), y)


def rmse(actual: Floats, forecast: Floats) -> Score:
    """Root mean squared error, units."""
    return _mean("rmse", actual, forecast)


def rmsle(actual: Floats, forecast: Floats) -> Score:
    """Root mean squared error of log1p."""
    return _mean("rmsle", actual, forecast)


def rmspe(actual: Floats, forecast: Floats) -> Score:
    """Root mean squared percentage error over non-zero actuals, as a share."""
    return _mean("rmspe", actual, forecast)


def mase(actual: Floats, forecast: Floats, scale: Floats) -> Score:
    """Mean over series [S, H] of MAE / in-sample MAE of the seasonal naive forecast (`scale` [S]); series whose
    scale is 0 or unknown are left out, n counts the others."""
    y, f = np.broadcast_arrays(np.asarray(actual, np.float64), forecast)
    seen = np.isfinite(y)
    count = seen.sum(axis=1)
    use = (count > 0) & np.isfinite(scale) & (scale > 0)
    error = np.abs(np.where(seen, y - f, 0)).sum(axis=1)
    per_series = error[use] / count[use] / scale[use]
    return _score(per_series, NO_NAIVE_ERROR)


def pinball(actual: Floats, quantile: Floats, level: float) -> Score:
    """Pinball loss of one quantile, units."""
    y, q = _rows(actual, quantile)
    return _score(pinball_loss(y, q, level), NO_ROWS)


def coverage(actual: Floats, low: Floats, high: Floats) -> Score:
    """Share of actuals inside [low, high]."""
    y, lo, hi = _rows(actual, low, high)
    return _score(np.where(np.isfinite(lo + hi), (y >= lo) & (y <= hi), np.nan), NO_ROWS)


def hit_rates(actual: Floats, quantile: Floats) -> tuple[Score, Score]:
    """(P(y < q), P(y <= q)): a calibrated quantile of level tau has the first below and the second above tau."""
    y, q = _rows(actual, quantile)
    known = np.isfinite(q)
    below, at_or_below = (np.where(known, hit, np.nan) for hit in (y < q, y <= q))
    return _score(below, NO_ROWS), _score(at_or_below, NO_ROWS)
