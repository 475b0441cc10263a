"""Forecast metrics on arrays. Undefined is NaN, never 0; rows with a NaN actual are not scored.

`actual` and forecasts are broadcastable arrays in units. Formulas: Hyndman and Koehler 2006 (MASE), Gneiting 2011
(which statistic each loss is minimised by); hit rates with ties as in Kolassa 2016.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """A metric's value and the number of rows it rests on; NaN where undefined, with `why`."""

    value: float
    n: int
    why: str = ""


def _rows(actual: Floats, *others: Floats) -> list[Doubles]:
    use = np.isfinite(actual)
    for other in others:
        use = use & np.isfinite(other)
    return [np.asarray(a, dtype=np.float64)[use] for a in (actual, *others)]


def _score(values: Doubles, why: str, after: Callable[[float], float] = float) -> Score:
    return Score(after(float(values.mean())), len(values)) if len(values) else Score(float("nan"), 0, why)


def mae(actual: Floats, forecast: Floats) -> Score:
    """Mean absolute error, units."""
    y, f = _rows(actual, forecast)
    return _score(np.abs(y - f), "no scored rows")


def mape(actual: Floats, forecast: Floats) -> Score:
    """Mean absolute percentage error over non-zero actuals, as a share; n counts those."""
    y, f = _rows(actual, forecast)
    y, f = y[y > 0], f[y > 0]
    return _score(np.abs(y - f) / y, "no non-zero actuals")


def wape(actual: Floats, forecast: Floats) -> Score:
    """Sum of absolute errors over sum of actuals."""
    y, f = _rows(actual, forecast)
    if not y.sum() > 0:
        return Score(float("nan"), len(y), "actuals sum to 0")
    return Score(float(np.abs(y - f).sum() / y.sum()), len(y))


def bias(actual: Floats, forecast: Floats) -> Score:
    """Sum of errors over sum of actuals; positive is too high."""
    y, f = _rows(actual, forecast)
    if not y.sum() > 0:
        return Score(float("nan"), len(y), "actuals sum to 0")
    return Score(float((f - y).sum() / y.sum()), len(y))


def rmse(actual: Floats, forecast: Floats) -> Score:
    """Root mean squared error, units."""
    y, f = _rows(actual, forecast)
    return _score((y - f) ** 2, "no scored rows", np.sqrt)


def rmsle(actual: Floats, forecast: Floats) -> Score:
    """Root mean squared error of log1p."""
    y, f = _rows(actual, forecast)
    return _score((np.log1p(y) - np.log1p(np.maximum(f, 0))) ** 2, "no scored rows", np.sqrt)


def rmspe(actual: Floats, forecast: Floats) -> Score:
    """Root mean squared percentage error over non-zero actuals, as a share."""
    y, f = _rows(actual, forecast)
    y, f = y[y > 0], f[y > 0]
    return _score(((y - f) / y) ** 2, "no non-zero actuals", np.sqrt)


def mase(actual: Floats, forecast: Floats, scale: Floats) -> Score:
    """Mean over series [S, H] of MAE / in-sample MAE of the seasonal naive forecast (`scale` [S]); series whose
    scale is 0 or unknown are left out, n counts the others."""
    error = np.abs(np.asarray(actual, np.float64) - forecast)
    seen = np.isfinite(error)
    count = seen.sum(axis=1)
    use = (count > 0) & np.isfinite(scale) & (scale > 0)
    per_series = np.where(seen, error, 0).sum(axis=1)[use] / count[use] / scale[use]
    return _score(per_series, "no series with a seasonal naive error in its history")


def pinball(actual: Floats, quantile: Floats, level: float) -> Score:
    """Pinball loss of one quantile, units."""
    y, q = _rows(actual, quantile)
    return _score(np.maximum(level * (y - q), (level - 1) * (y - q)), "no scored rows")


def coverage(actual: Floats, low: Floats, high: Floats) -> Score:
    """Share of actuals inside [low, high]."""
    y, lo, hi = _rows(actual, low, high)
    return _score(((y >= lo) & (y <= hi)).astype(np.float64), "no scored rows")


def hit_rates(actual: Floats, quantile: Floats) -> tuple[Score, Score]:
    """(P(y < q), P(y <= q)): a calibrated quantile of level tau has the first below and the second above tau."""
    y, q = _rows(actual, quantile)
    return _score((y < q).astype(np.float64), "no scored rows"), _score((y <= q).astype(np.float64), "no scored rows")
