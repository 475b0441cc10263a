"""What the money says: the service level of the newsvendor, the cycle stock of a costly order, the waste of fresh food.

Silver, Pyke and Thomas 2017: the economic order quantity (section 4.2), the critical ratio of a single order
(section 9.2), and the probability of a stockout per cycle at a cost per unit short (section 6.7, B2).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.terms import Economics, Terms

Doubles = NDArray[np.float64]

DAYS_PER_YEAR: Final = 365.25
LEVELS: Final = (0.5, 0.995)
"""Least and most that the money may ask for. A forecast knows little of the tail beyond; and below one half, a shop
would rather not sell the item."""
UNKNOWN_FRESH_LEVEL: Final = 0.5


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


def target_level(
    rate: Doubles, extra: Doubles, cycle_days: Doubles, terms: Terms, economics: Economics, otherwise: float
) -> Doubles:
    """[n] probability of no stockout per cycle at which one more unit of safety costs what it earns: margin against
    holding it for a cycle. `otherwise` where price or cost is unknown, or the item earns nothing."""
    margin = terms.unit_price - terms.unit_cost
    known = np.isfinite(margin) & (margin > 0)
    length = cycle_days + np.divide(extra, rate, out=np.zeros_like(rate), where=rate > 0)
    held = holding_cost(terms, economics) * length
    ratio = np.divide(margin, margin + held, out=np.full_like(margin, otherwise), where=known)
    return np.where(known, np.clip(ratio, *LEVELS), otherwise)


def fresh_level(terms: Terms) -> Doubles:
    """[n] the quantile of demand within its shelf life up to which a unit is worth its cost: what is not sold by then
    is thrown away, so the critical ratio is margin against cost."""
    known = np.isfinite(terms.unit_price) & np.isfinite(terms.unit_cost) & (terms.unit_price > 0)
    ratio = np.divide(
        terms.unit_price - terms.unit_cost,
        terms.unit_price,
        out=np.full_like(terms.unit_price, UNKNOWN_FRESH_LEVEL),
        where=known,
    )
    return np.clip(ratio, 0.01, 0.99)
