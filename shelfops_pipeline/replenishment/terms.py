"""What a plan of orders is made from and what it says: arrays of n series, aligned with the forecast's rows."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Dates = NDArray[np.datetime64]


@dataclass(frozen=True)
class Stock:
    """Stock of n series at the beginning of the forecast. NaN: unknown."""

    on_hand: Doubles
    on_order: Doubles
    lead_time_days: Doubles
    lead_time_sd: Doubles


@dataclass(frozen=True)
class Terms:
    """On which terms n series are ordered and sold. NaN: unknown."""

    minimum_order: Doubles
    """units per order"""
    case_pack: Doubles
    """units that are ordered together"""
    presentation_minimum: Doubles
    """units that should lie on the shelf when a delivery comes"""
    shelf_life_days: Doubles
    """days that a unit can be sold, beginning with that of its delivery"""
    unit_cost: Doubles
    unit_price: Doubles
    order_weekdays: NDArray[np.bool_]
    """[n, 7], Monday first; none: any day"""
    cutoff_hour: Doubles
    """hour of an order day from which on orders are those of the next one"""
    review_days: Doubles
    """days between two looks at the stock; unknown: a period of the forecast"""

    @classmethod
    def unknown(cls, n: int) -> Self:
        """The terms of n series of which nothing is known."""
        blank = np.full(n, np.nan)
        days = np.zeros((n, 7), dtype=bool)
        return cls(blank, blank, blank, blank, blank, blank, days, blank, blank)


@dataclass(frozen=True)
class Economics:
    """What stock costs, in the currency of unit costs."""

    holding_rate: float = 0.25
    """of the unit cost, per year: capital, space, handling, shrinkage"""
    order_cost: float = 0.0
    """per line of an order: what it takes to place, receive and shelve it, whatever its quantity"""


class Reason(IntEnum):
    """Why a plan's quantity is what it is; the last that applies."""

    UNKNOWN_STOCK = 0
    ENOUGH = 1  # the stock position is at or above the reorder point
    BELOW_REORDER_POINT = 2  # ordered up to the order-up-to level
    CASE_PACK = 3  # rounded up to whole packs
    MINIMUM_ORDER = 4  # raised to the supplier's minimum
    SHELF_LIFE = 5  # lowered: more would not be sold while it is fresh


@dataclass(frozen=True)
class ReorderPlan:
    """Of n series; quantities in units."""

    demand: Doubles
    """expected over the protection interval"""
    deviation: Doubles
    """its standard deviation"""
    safety_stock: Doubles
    """reorder point less expected demand"""
    service_level: Doubles
    """probability of no stockout per order cycle that the reorder point gives"""
    reorder_point: Doubles
    """an order is due when the position is below it"""
    order_up_to: Doubles
    quantity: Doubles
    """to order on `order_date`: whole packs, at least the minimum, capped by shelf life; NaN where stock is unknown"""
    unconstrained_quantity: Doubles
    """the same without packs, minimum and shelf life"""
    days_of_supply: Doubles
    """whole days that the stock on hand lasts at expected demand, at most the horizon; NaN where unknown"""
    stockout_probability: Doubles
    """that demand until the next possible delivery exceeds the stock on hand and on order; NaN where unknown"""
    stockout_date: Dates
    """[D] the first day by which the stock on hand and on order has more likely than not run out, if no more is
    ordered; NaT: none within the horizon, or stock unknown"""
    stockout_date_probability: Doubles
    """of having run out by that day, or by the end of the horizon where there is none; NaN where unknown"""
    overstock_units: Doubles
    """units on hand and on order above anything that an order would have led to; NaN where unknown"""
    order_date: Dates
    """[D] when the next order can be placed"""
    delivery_date: Dates
    """[D] when it is expected"""
    protection_days: Doubles
    """until the delivery of the order after it: what this order must last for"""
    reason: NDArray[np.int8]
    """codes of `Reason`"""
