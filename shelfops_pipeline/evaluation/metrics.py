"""Forecast metrics on arrays. Undefined is NaN, never 0; rows with a NaN actual are not scored. A forecast that is not
a number where there is an actual makes its metric NaN: leaving it out would score a model on its easy rows.

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
    whole = np.broadcast_arrays(actual, *others)
    use = np.isfinite(whole[0])
    return [np.asarray(a[use], dtype=np.float64) for a in whole]


def _score(values: Doubles, why: str, after: Callable[[float], float] = float) -> Score:
    if len(values) == 0:
        return Score(float("nan"), 0, why)
    return _finite(after(float(values.mean())), len(values))


def _finite(value: float, n: int) -> Score:
    return Score(float(value), n) if np.isfinite(value) else Score(float("nan"), n, "a forecast is not a number")


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
    return _finite(np.abs(y - f).sum() / y.sum(), len(y))


def bias(actual: Floats, forecast: Floats) -> Score:
    """Sum of errors over sum of actuals; positive is too high."""
    y, f = _rows(actual, forecast)
    if not y.sum() > 0:
        return Score(float("nan"), len(y), "actuals sum to 0")
    return _finite((f - y).sum() / y.sum(), len(y))


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
    y, f = np.broadcast_arrays(np.asarray(actual, np.float64), forecast)
    seen = np.isfinite(y)
    count = seen.sum(axis=1)
    use = (count > 0) & np.isfinite(scale) & (scale > 0)
    error = np.abs(np.where(seen, y - f, 0)).sum(axis=1)
    per_series = error[use] / count[use] / scale[use]
    return _score(per_series, "no series with a seasonal naive error in its history")


def pinball(actual: Floats, quantile: Floats, level: float) -> Score:
    """Pinball loss of one quantile, units."""
    y, q = _rows(actual, quantile)
    return _score(np.maximum(level * (y - q), (level - 1) * (y - q)), "no scored rows")


def coverage(actual: Floats, low: Floats, high: Floats) -> Score:
    """Share of actuals inside [low, high]."""
    y, lo, hi = _rows(actual, low, high)
    return _score(np.where(np.isfinite(lo + hi), (y >= lo) & (y <= hi), np.nan), "no scored rows")


def hit_rates(actual: Floats, quantile: Floats) -> tuple[Score, Score]:
    """(P(y < q), P(y <= q)): a calibrated quantile of level tau has the first below and the second above tau."""
    y, q = _rows(actual, quantile)
    known = np.isfinite(q)
    below, at_or_below = (np.where(known, hit, np.nan) for hit in (y < q, y <= q))
    return _score(below, "no scored rows"), _score(at_or_below, "no scored rows")
