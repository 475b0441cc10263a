"""Demand over an interval as a count: the negative binomial distribution of a mean and a variance.

A normal distribution reaches below zero and has no tail where sales are slow; a negative binomial one is skewed, gives
zero its own probability, and is the Poisson distribution where the variance equals the mean, and close to a gamma where
both are large (Silver, Pyke and Thomas 2017, section 7.8; Agrawal and Smith 1996). Less variance than the mean counts
as the mean. All functions work on arrays that broadcast; 0 mean is no demand for certain.
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_LEAST_EXCESS = 1e-6  # of the variance over the mean, as a share: a Poisson distribution for all purposes


def at_most(units: Doubles, mean: Doubles, variance: Doubles) -> Doubles:
    """Probability that demand is at most so many units; fractions of a unit interpolate. 0 below zero, NaN for NaN."""
    from scipy.special import betainc

    size, share = _shape(mean, variance)
    chance = betainc(size, np.maximum(units, 0) + 1, share)
    return np.where(np.isnan(units), np.nan, np.where(units < 0, 0.0, np.where(mean > 0, chance, 1.0)))


def expected_sales(units: Doubles, mean: Doubles, variance: Doubles) -> Doubles:
    """Expected smaller one of demand and so many units: what they will sell. By k f(k; r) = mean f(k - 1; r + 1)."""
    from scipy.special import betainc

    size, share = _shape(mean, variance)
    whole = np.maximum(units, 0)
    below = np.where(whole > 0, betainc(size + 1, whole, share), 0.0)
    return np.where(mean > 0, mean * below + whole * (1 - betainc(size, whole + 1, share)), 0.0)


def quantile(level: Doubles, mean: Doubles, variance: Doubles) -> Doubles:
    """The fewest whole units that demand stays within with probability `level` (< 1), by bisection."""
    mean, variance, level = np.broadcast_arrays(mean, variance, level)
    high = np.ceil(mean + 10 * np.sqrt(np.maximum(variance, mean)) + 10)
    while (short := at_most(high, mean, variance) < level).any():
        high = np.where(short, 2 * high, high)
    low = np.full(high.shape, -1.0)  # demand is at most -1 with probability 0
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = at_most(middle, mean, variance) >= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)


def _shape(mean: Doubles, variance: Doubles) -> tuple[Doubles, Doubles]:
    """(size, probability of success) of the negative binomial distribution; (1, 1) where there is no demand."""
    safe = np.where(mean > 0, mean, 1.0)
    excess = np.where(mean > 0, np.maximum((variance - mean) / safe, _LEAST_EXCESS), 1.0)  # as a share of the mean
    return safe / excess, 1 / (1 + excess)
