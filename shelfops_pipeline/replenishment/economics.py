"""What the money says: the service level of the newsvendor, the cycle stock of a costly order, the waste of fresh food.

Silver, Pyke and Thomas 2017: the economic order quantity (section 4.2), the critical ratio of a single order
(section 9.2), and the probability of a stockout per cycle at a cost per unit short (section 6.7, B2).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment import counts
from shelfops_pipeline.replenishment.demand import Spread
from shelfops_pipeline.replenishment.terms import Economics, Terms

Doubles = NDArray[np.float64]

DAYS_PER_YEAR: Final = 365.25
LEVELS: Final = (0.5, 0.995)
"""Least and most probability of no stockout that holding costs may ask for. A forecast knows little of the tail beyond;
and below one half, a shop would rather not sell the item."""
UNKNOWN_FRESH_LEVEL: Final = 0.5
SURELY_SOLD: Final = 0.05
"""Quantile of demand within shelf life up to which stock is held to save orders."""


def holding_cost(terms: Terms, economics: Economics) -> Doubles:
    """[n] per unit and day; NaN where the unit cost is unknown."""
    return terms.unit_cost * economics.holding_rate / DAYS_PER_YEAR


def cycle_stock(rate: Doubles, cycle_days: Doubles, terms: Terms, economics: Economics) -> Doubles:
    """[n] units above the reorder point that an order should bring, beyond what sells until the next one can be placed:
    up to the economic order quantity of demand at `rate` units per day. 0 where orders cost nothing extra."""
    held = holding_cost(terms, economics)
    known = np.isfinite(held) & (held > 0)
    economic = np.sqrt(np.divide(2 * economics.order_cost * rate, held, out=np.zeros_like(rate), where=known))
    return np.where(economic > 0, np.maximum(economic - rate * cycle_days, 0), 0.0)


def cycle_holding(rate: Doubles, extra: Doubles, cycle_days: Doubles, terms: Terms, economics: Economics) -> Doubles:
    """[n] what it costs to hold one more unit of safety until it is needed: for a cycle, which cycle stock prolongs."""
    length = cycle_days + np.divide(extra, rate, out=np.zeros_like(rate), where=rate > 0)
    return holding_cost(terms, economics) * length


def worth_having(terms: Terms, held: Doubles, needed: Spread, fresh: Spread, otherwise: float) -> Doubles:
    """[n] up to how many units it pays to have on hand and on order.

    The x-th unit earns its margin if demand until the delivery of the order after the next is x or more (`needed`);
    else it costs `held`; and its whole cost if demand does not come to x while it can be sold (`fresh`). Where price or
    cost is unknown, or the item earns nothing, demand is to be met with probability `otherwise`.
    """
    margin, known = terms.unit_price - terms.unit_cost, money_known(terms)
    perishes = known & np.isfinite(terms.shelf_life_days)
    earns, holds = np.where(known, margin, 0.0), np.where(known, held, 0.0)
    ratio = np.divide(earns, earns + holds, out=np.full_like(earns, otherwise), where=known)
    most = counts.quantile(np.where(known, np.clip(ratio, *LEVELS), otherwise), needed.mean, needed.variance)
    if not perishes.any():
        return most

    def pays(units: Doubles) -> NDArray[np.bool_]:
        enough = counts.at_most(units - 1, needed.mean, needed.variance)
        wasted = counts.at_most(units - 1, fresh.mean, fresh.variance)
        return np.asarray(~perishes | (earns * (1 - enough) >= holds * enough + terms.unit_cost * wasted))

    low, high = np.zeros_like(most), most
    while (high > low).any():
        middle = np.ceil((low + high) / 2)
        good = pays(middle)
        low, high = np.where(good, middle, low), np.where(good, high, np.minimum(middle - 1, high))
    return low


def money_known(terms: Terms) -> NDArray[np.bool_]:
    """[n] price and cost are known, and the item earns something."""
    return np.asarray(terms.unit_price > np.maximum(terms.unit_cost, 0))


def fresh_level(terms: Terms) -> Doubles:
    """[n] the quantile of demand within its shelf life up to which a unit is worth its cost: what is not sold by then
    is thrown away, so the critical ratio is margin against cost."""
    margin = terms.unit_price - terms.unit_cost
    unknown = np.full_like(margin, UNKNOWN_FRESH_LEVEL)
    ratio = np.divide(margin, terms.unit_price, out=unknown, where=money_known(terms))
    return np.clip(ratio, 0.01, 0.99)
