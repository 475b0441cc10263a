"""What to order: order-up-to levels from the calibrated forecast, and the quantity that a supplier's terms allow.

A periodic-review (R, s, S) policy (Silver, Pyke and Thomas 2017, ch. 6): the reorder point s protects against demand
until the delivery of the order after the next one; where a line of an order has a cost of its own, S is above it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment import counts
from shelfops_pipeline.replenishment.demand import (
    Demand,
    Spread,
    cumulative_demand,
    demand_between,
    periods_of_supply,
)
from shelfops_pipeline.replenishment.economics import SURELY_SOLD, cycle_holding, cycle_stock, worth_having
from shelfops_pipeline.replenishment.lots import allowed, smallest_lot
from shelfops_pipeline.replenishment.order_days import next_order_days
from shelfops_pipeline.replenishment.terms import Economics, Reason, ReorderPlan, Stock, Terms

__all__ = ["Demand", "Economics", "Reason", "ReorderPlan", "Stock", "Terms", "plan_orders"]

Doubles = NDArray[np.float64]

DEFAULT_LEAD_DAYS = 7.0
OVERSTOCK_FACTOR = 4.0  # stock position against the order-up-to level


def plan_orders(
    demand: Demand,
    stock: Stock,
    terms: Terms,
    *,
    service_level: float,
    today: date,
    period_days: int = 1,
    economics: Economics = Economics(),  # noqa: B008  (frozen)
    hour: float = 0.0,
) -> ReorderPlan:
    """What to order at `hour` of `today`, the first day of the forecast; unknown lead times count as 7 days.

    `service_level` is the target probability of no stockout per order cycle of series whose price and cost are unknown;
    the others have that at which one more unit costs as much to hold as it earns. `period_days` is the length of a
    forecast period: 7 for weekly forecasts.
    """
    cycle = _cycle(demand, stock, terms, today, period_days, hour)
    level, point, up_to = _levels(cycle, terms, economics, service_level)
    usable = _usable(cycle, stock, terms)
    short = np.where(usable < point, np.ceil(up_to - usable), 0.0)
    wanted = np.where(np.isnan(stock.on_hand + stock.on_order), np.nan, short)
    quantity, reason = allowed(wanted, np.maximum(usable - cycle.exposed.mean, 0), cycle.fresh, terms)
    base = np.datetime64(today, "D")
    return ReorderPlan(
        demand=cycle.protected.mean,
        deviation=np.sqrt(cycle.protected.variance),
        safety_stock=point - cycle.protected.mean,
        service_level=level,
        reorder_point=point,
        order_up_to=up_to,
        quantity=quantity,
        unconstrained_quantity=wanted,
        order_date=base + cycle.order_in.astype(np.int64),
        delivery_date=base + np.ceil(cycle.delivered).astype(np.int64),
        protection_days=cycle.protection,
        reason=reason,
        **_outlook(demand, stock, cycle, up_to, smallest_lot(terms), today, period_days),
    )


def _outlook(
    demand: Demand, stock: Stock, cycle: "_Cycle", up_to: Doubles, lot: Doubles, today: date, period_days: int
) -> dict[str, Any]:
    """The fields of a plan that say what becomes of the stock if nothing more is ordered."""
    position = stock.on_hand + stock.on_order
    run_out, chance = _stockout(demand, position, today, period_days)
    lasting = np.floor(periods_of_supply(demand.mean, stock.on_hand) * period_days + 1e-6)
    most = np.maximum(OVERSTOCK_FACTOR * np.maximum(up_to, 1), up_to + lot)
    return {
        "days_of_supply": np.where(np.isfinite(stock.on_hand), lasting, np.nan),
        "stockout_probability": 1 - counts.at_most(position, cycle.exposed.mean, cycle.exposed.variance),
        "stockout_date": run_out,
        "stockout_date_probability": chance,
        "overstock_units": np.maximum(position - most, 0),
    }


@dataclass(frozen=True)
class _Cycle:
    """Days from today, and demand in between."""

    order_in: Doubles
    next_in: Doubles
    """until the order after it"""
    delivered: Doubles
    protection: Doubles
    """until the delivery of the order after it"""
    exposed: Spread
    """demand until the delivery, which no order can serve"""
    protected: Spread
    fresh: Spread
    """demand within the shelf life of what is delivered"""
    lasting: Spread
    """demand from now to the end of that shelf life"""
    kept: Spread
    """demand within the shelf life of what is on hand, were it fresh"""


def _cycle(demand: Demand, stock: Stock, terms: Terms, today: date, period_days: int, hour: float) -> _Cycle:
    lead, lead_sd = _known(stock.lead_time_days, DEFAULT_LEAD_DAYS), _known(stock.lead_time_sd, 0.0)
    review = _known(terms.review_days, period_days)
    order_in, next_in = next_order_days(terms.order_weekdays, terms.cutoff_hour, review, today, hour)
    delivered, protection, now = order_in + lead, next_in + lead, np.zeros_like(lead)
    last = delivered + _known(terms.shelf_life_days, 0)

    def between(start: Doubles, end: Doubles, end_sd: Doubles) -> Spread:
        return demand_between(demand, start / period_days, end / period_days, end_sd / period_days)

    return _Cycle(
        order_in=order_in,
        next_in=next_in,
        delivered=delivered,
        protection=protection,
        exposed=between(now, delivered, lead_sd),
        protected=between(now, protection, lead_sd),
        fresh=between(delivered, last, now),
        lasting=between(now, last, lead_sd),
        kept=between(now, last - delivered, now),
    )


def _levels(
    cycle: _Cycle, terms: Terms, economics: Economics, service_level: float
) -> tuple[Doubles, Doubles, Doubles]:
    """(service level, reorder point, order-up-to level)."""
    mean, variance, days = cycle.protected.mean, cycle.protected.variance, cycle.next_in - cycle.order_in
    rate = mean / cycle.protection
    extra = np.round(cycle_stock(rate, days, terms, economics))
    held = cycle_holding(rate, extra, days, terms, economics)
    point = worth_having(terms, held, cycle.protected, cycle.lasting, service_level)
    shown = np.where(mean > 0, np.ceil(mean + _known(terms.presentation_minimum, 0)), 0)
    point = np.where(terms.presentation_minimum > 0, np.maximum(point, shown), point)
    surely = counts.quantile(np.full_like(mean, SURELY_SOLD), cycle.lasting.mean, cycle.lasting.variance)
    fresh = np.where(np.isfinite(terms.shelf_life_days), np.maximum(surely - point, 0), np.inf)
    return counts.at_most(point, mean, variance), point, point + np.minimum(extra, fresh)


def _usable(cycle: _Cycle, stock: Stock, terms: Terms) -> Doubles:
    """[n] units on hand and on order, without those on hand that will be thrown away before they are sold (Broekmeulen
    and van Donselaar 2009); their ages are not known, so they count as fresh. What is on order counts in full: orders
    are capped by their shelf life when they are made (`lots.allowed`), and when the parts of them come is not known."""
    perishes = np.isfinite(terms.shelf_life_days)
    return np.where(perishes, np.minimum(stock.on_hand, cycle.kept.mean), stock.on_hand) + stock.on_order


def _stockout(
    demand: Demand, position: Doubles, today: date, period_days: int
) -> tuple[NDArray[np.datetime64], Doubles]:
    """(day by which it is more likely than not that demand has exceeded the position, probability of that)."""
    total = cumulative_demand(demand)
    chance = 1 - counts.at_most(position[:, None], total.mean, total.variance)
    likely = chance > 0.5
    some, period = likely.any(axis=1), np.argmax(likely, axis=1)
    row = np.arange(len(position))
    before = np.where(period > 0, chance[row, np.maximum(period - 1, 0)], 0.0)
    part = (0.5 - before) / np.maximum(chance[row, period] - before, 1e-9)  # of the period, until it was even
    within = np.clip(np.ceil(np.nan_to_num(part) * period_days) - 1, 0, period_days - 1)
    day = np.datetime64(today, "D") + (period * period_days + within).astype(np.int64)
    last = np.where(some, chance[row, period], chance[:, -1])
    return np.where(some, day, np.datetime64("NaT", "D")), last


def _known(values: Doubles, otherwise: float) -> Doubles:
    return np.where(np.isfinite(values), values, otherwise)
