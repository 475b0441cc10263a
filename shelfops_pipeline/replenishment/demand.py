"""Demand over a window of days, from the calibrated forecast: its mean and its variance.

The mean is the sum of the periods' means. The variance adds the periods' variances, the correlation of their forecast
errors, and the variability of the window's end: a random sum, E[L] Var(D) + E[D]^2 Var(L) where days are independent
(Silver, Pyke and Thomas 2017, section 6.10).
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import QUANTILES

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ERROR_CORRELATION: Final = 0.3
"""Correlation of the forecast errors of neighbouring periods, falling geometrically with distance: a forecast that is
low today tends to be low tomorrow. Measured on simulated retailers: days 0.2 to 0.4, weeks 0.1 to 0.5. What stands in
where no backtest is at hand to measure it (`error_correlation`)."""


@dataclass(frozen=True)
class Demand:
    """Calibrated forecast of n series and H periods."""

    mean: Floats
    """[n, H]"""
    quantiles: Floats
    """[n, H, 5] at contracts.columns.QUANTILES"""
    correlation: float = ERROR_CORRELATION
    """of the errors of neighbouring periods"""


@dataclass(frozen=True)
class Spread:
    """Mean and variance of demand, arrays of one shape."""

    mean: Doubles
    variance: Doubles


def period_deviation(forecast: Demand) -> Doubles:
    """[n, H] standard deviation of each period's demand from its central 90 % interval (a normal one is 3.29 wide)."""
    width = NormalDist().inv_cdf(QUANTILES[-1]) - NormalDist().inv_cdf(QUANTILES[0])
    interval = forecast.quantiles[..., -1] - forecast.quantiles[..., 0]
    # Where the interval is all zeros, sales are rare: the Poisson deviation is the least there can be.
    return np.maximum(interval / width, np.sqrt(np.maximum(forecast.mean, 0))).astype(np.float64)


def demand_between(forecast: Demand, start: Doubles, end: Doubles, end_sd: Doubles | None = None) -> Spread:
    """Each series' demand from `start` to `end` [n], in periods from the forecast's beginning; fractions count in part.

    `end_sd` is the standard deviation of `end`. Past the horizon, demand goes on at the horizon's mean rate. Within a
    period, variance grows in proportion to time: half a week is less sure than half of the week's deviation.
    """
    H = forecast.mean.shape[1]
    at = np.arange(H)
    share = np.clip(end[:, None] - at, 0, 1) - np.clip(start[:, None] - at, 0, 1)
    beyond = np.maximum(end - np.maximum(start, H), 0) / H
    deviation = period_deviation(forecast)
    mean = (forecast.mean * share).sum(axis=1, dtype=np.float64)
    variance = _summed_variance(deviation * np.sqrt(share), forecast.correlation)
    if beyond.any():
        mean = mean + forecast.mean.sum(axis=1, dtype=np.float64) * beyond
        variance = variance + _summed_variance(deviation, forecast.correlation) * beyond
    if end_sd is not None:
        variance = variance + (mean / np.maximum(end - start, 1e-6) * end_sd) ** 2
    return Spread(mean, variance)


def cumulative_demand(forecast: Demand) -> Spread:
    """[n, H] demand from the beginning of the forecast to the end of each period."""
    deviation = period_deviation(forecast)
    variance = np.empty_like(deviation)
    total, shared = np.zeros(len(deviation)), np.zeros(len(deviation))
    for h in range(deviation.shape[1]):
        total = total + deviation[:, h] ** 2 + 2 * deviation[:, h] * shared
        shared = forecast.correlation * (shared + deviation[:, h])
        variance[:, h] = total
    return Spread(np.cumsum(forecast.mean, axis=1, dtype=np.float64), variance)


def periods_of_supply(mean: Floats, on_hand: Doubles) -> Doubles:
    """[n] periods until expected demand `mean` [n, H] has used up the stock; a period counts in part, H is the most."""
    n, H = mean.shape
    used = np.concatenate([np.zeros((n, 1)), np.cumsum(mean, axis=1, dtype=np.float64)], axis=1)
    whole = (used[:, 1:] <= on_hand[:, None]).sum(axis=1)
    row, cut = np.arange(n), np.minimum(whole, H - 1)
    left, rate = np.clip(on_hand - used[row, cut], 0, None), mean[row, cut]
    part = np.divide(left, rate, out=np.zeros(n), where=(whole < H) & (rate > 0))
    return np.asarray(whole + part)


def error_correlation(actual: Floats, forecast: Demand) -> float:
    """Correlation of the standardised errors of neighbouring periods, over all series of a backtest [n, H].

    Periods without an actual (NaN) or without expected demand tell nothing. Raises ValueError where no neighbours are
    known. At most 0.9: of a forecast that is wrong by the same share every day, intervals of single days say little.
    """
    deviation = period_deviation(forecast)
    known = np.isfinite(actual) & (forecast.mean > 0)
    error = np.divide(actual - forecast.mean, deviation, out=np.zeros_like(deviation), where=known)
    pairs = known[:, 1:] & known[:, :-1]
    if not pairs.any():
        raise ValueError("no two neighbouring periods were observed: the correlation of errors cannot be measured")
    product = (error[:, 1:] * error[:, :-1])[pairs].mean()
    scale = (error[:, 1:][pairs] ** 2).mean() * (error[:, :-1][pairs] ** 2).mean()
    return float(np.clip(product / np.sqrt(max(scale, 1e-12)), 0, 0.9))


def _summed_variance(deviation: Doubles, correlation: float) -> Doubles:
    """[n] variance of the sum of H periods with these deviations [n, H]."""
    H = deviation.shape[1]
    distance = np.abs(np.subtract.outer(np.arange(H), np.arange(H)))
    return np.asarray(np.einsum("si,ij,sj->s", deviation, correlation**distance, deviation, optimize=True))
