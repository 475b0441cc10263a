"""Order-up-to levels from the calibrated forecast.

Demand over the protection interval (lead time plus review period) is a distribution, not a sum of point forecasts:
its mean is the sum of the periods' means; its variance adds their variances, their correlation, and the variability of
the lead time (Silver, Pyke and Thomas 2017, ch. 6).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import QUANTILES

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ERROR_CORRELATION = 0.3
"""Correlation of the forecast errors of neighbouring periods, falling geometrically with distance: a forecast that is
low today tends to be low tomorrow. Measured on simulated retailers: days 0.2 to 0.4, weeks 0.1 to 0.5."""


@dataclass(frozen=True)
class Demand:
    """Calibrated forecast of n series and H periods."""

    mean: Floats
    """[n, H]"""
    quantiles: Floats
    """[n, H, 5] at contracts.columns.QUANTILES"""


@dataclass(frozen=True)
class Stock:
    """Stock position of n series, aligned with the forecast's rows. NaN: unknown."""

    on_hand: Doubles
    on_order: Doubles
    lead_time_days: Doubles
    lead_time_sd: Doubles


@dataclass(frozen=True)
class ReorderPlan:
    """Per series, in units."""

    demand: Doubles
    """expected over the protection interval"""
    deviation: Doubles
    """its standard deviation"""
    order_up_to: Doubles
    quantity: Doubles
    """to order now; NaN where the stock is unknown"""
    days_of_supply: Doubles
    """whole days that the stock on hand lasts at expected demand, at most the horizon; NaN where unknown"""
    stockout_probability: Doubles
    """that demand over the lead time exceeds the stock on hand and on order; NaN where unknown"""


def plan_orders(
    forecast: Demand, stock: Stock, service_level: float, review_days: int, period_days: int = 1
) -> ReorderPlan:
    """Order-up-to levels for a target probability of no stockout per order cycle. Unknown lead times count as 7 days.

    `period_days` is the length of a forecast period: 7 for weekly forecasts.
    """
    lead = np.where(np.isfinite(stock.lead_time_days), stock.lead_time_days, 7.0) / period_days
    lead_sd = np.where(np.isfinite(stock.lead_time_sd), stock.lead_time_sd, 0.0) / period_days
    demand, deviation = demand_over(forecast, lead + review_days / period_days, lead_sd)
    up_to = np.ceil(demand + NormalDist().inv_cdf(service_level) * deviation)
    position = stock.on_hand + stock.on_order
    lasting = np.floor(periods_of_supply(forecast.mean, stock.on_hand) * period_days + 1e-6)
    return ReorderPlan(
        demand=demand,
        deviation=deviation,
        order_up_to=up_to,
        quantity=np.maximum(up_to - position, 0),
        days_of_supply=np.where(np.isfinite(stock.on_hand), lasting, np.nan),
        stockout_probability=_exceeding(position, *demand_over(forecast, lead, lead_sd)),
    )


def periods_of_supply(mean: Floats, on_hand: Doubles) -> Doubles:
    """[n] periods until expected demand `mean` [n, H] has used up the stock; a period counts in part, H is the most."""
    n, H = mean.shape
    used = np.concatenate([np.zeros((n, 1)), np.cumsum(mean, axis=1, dtype=np.float64)], axis=1)
    whole = (used[:, 1:] <= on_hand[:, None]).sum(axis=1)
    row, cut = np.arange(n), np.minimum(whole, H - 1)
    left, rate = np.clip(on_hand - used[row, cut], 0, None), mean[row, cut]
    part = np.divide(left, rate, out=np.zeros(n), where=(whole < H) & (rate > 0))
    return np.asarray(whole + part)


def demand_over(forecast: Demand, periods: Doubles, lead_sd: Doubles) -> tuple[Doubles, Doubles]:
    """(mean, standard deviation) of each series' demand over its first `periods` (fractions count in part).

    `lead_sd` is the standard deviation of that number. Past the horizon, demand goes on at the horizon's mean rate.
    Within a period, variance grows in proportion to time: half a week is less sure than half of the week's deviation.
    """
    H = forecast.mean.shape[1]
    share = np.clip(periods[:, None] - np.arange(H), 0, 1)
    beyond = np.maximum(periods / H, 1)
    mean = (forecast.mean * share).sum(axis=1, dtype=np.float64) * beyond
    deviation = period_deviation(forecast) * np.sqrt(share)
    distance = np.abs(np.subtract.outer(np.arange(H), np.arange(H)))
    variance = np.einsum("si,ij,sj->s", deviation, ERROR_CORRELATION**distance, deviation, optimize=True) * beyond
    rate = mean / np.maximum(periods, 1e-6)
    return mean, np.sqrt(variance + (rate * lead_sd) ** 2)


def period_deviation(forecast: Demand) -> Doubles:
    """[S, H] standard deviation of each period's demand from its central 90 % interval (a normal one is 3.29 wide)."""
    width = NormalDist().inv_cdf(QUANTILES[-1]) - NormalDist().inv_cdf(QUANTILES[0])
    interval = forecast.quantiles[..., -1] - forecast.quantiles[..., 0]
    # Where the interval is all zeros, sales are rare: the Poisson deviation is the least there can be.
    return np.maximum(interval / width, np.sqrt(np.maximum(forecast.mean, 0))).astype(np.float64)


def _exceeding(position: Doubles, demand: Doubles, deviation: Doubles) -> Doubles:
    """Probability that normal demand is above the position; yes or no where nothing is uncertain (no demand, or no lead
    time); NaN where the position is unknown."""
    from scipy.special import ndtr

    uncertain = deviation > 0
    chance = ndtr((demand - position) / np.where(uncertain, deviation, 1))
    return np.where(np.isnan(position), np.nan, np.where(uncertain, chance, position < demand))
