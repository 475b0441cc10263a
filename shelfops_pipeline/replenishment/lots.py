"""From the units that are wanted to an order that a supplier takes and a shelf can sell: packs, minimum, shelf life."""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment import counts
from shelfops_pipeline.replenishment.demand import Spread
from shelfops_pipeline.replenishment.economics import fresh_level, money_known
from shelfops_pipeline.replenishment.terms import Reason, Terms

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


def smallest_lot(terms: Terms) -> Doubles:
    """[n] the least that can be ordered: whole packs of at least the minimum; 1 where neither is known."""
    pack = _pack(terms)
    least = np.where(np.isfinite(terms.minimum_order), terms.minimum_order, 0.0)
    return np.maximum(np.ceil(least / pack), 1) * pack


def allowed(wanted: Doubles, left: Doubles, fresh: Spread, terms: Terms) -> tuple[Doubles, NDArray[np.int8]]:
    """(units to order, codes of `Reason`) of n series that want so many; NaN stays NaN.

    `left` is what will be left of the stock when the order comes, and `fresh` the demand within the order's shelf life.
    """
    pack, lot = _pack(terms), smallest_lot(terms)
    packed = np.ceil(wanted / pack) * pack
    raised = np.where(packed > 0, np.maximum(packed, lot), packed)
    capped = _sold_fresh(left, fresh, terms)
    quantity = np.where(np.isfinite(terms.shelf_life_days) & (capped < raised), capped, raised)
    reason = np.full(len(wanted), Reason.UNKNOWN_STOCK, dtype=np.int8)
    for applies, code in (
        (wanted <= 0, Reason.ENOUGH),
        (wanted > 0, Reason.BELOW_REORDER_POINT),
        (packed > wanted, Reason.CASE_PACK),
        (raised > packed, Reason.MINIMUM_ORDER),
        (quantity < raised, Reason.SHELF_LIFE),
    ):
        reason[applies] = code
    return quantity, reason


def _sold_fresh(left: Doubles, fresh: Spread, terms: Terms) -> Doubles:
    """[n] the most units, in whole packs, that are worth their cost within their shelf life beside what is `left`.

    Packs cannot be split: the last one is ordered where more is earned with it than without, and the supplier's least
    lot where it earns anything. Where price or cost is unknown, the nearest number of packs, if that is a lot.
    """
    pack, lot, known = _pack(terms), smallest_lot(terms), money_known(terms)
    left = np.nan_to_num(left)
    room = np.maximum(counts.quantile(fresh_level(terms), fresh.mean, fresh.variance) - left, 0)
    fewer = np.floor(room / pack) * pack

    def gain(units: Doubles) -> Doubles:
        sold = counts.expected_sales(left + units, fresh.mean, fresh.variance)
        sold = sold - counts.expected_sales(left, fresh.mean, fresh.variance)
        return np.where(known, terms.unit_price * sold - terms.unit_cost * units, np.nan)

    one_more = np.where(known, gain(fewer + pack) > gain(fewer), room - fewer >= pack / 2)
    most = np.where(one_more, fewer + pack, fewer)
    return np.where(most >= lot, most, np.where(gain(lot) > 0, lot, 0.0))


def _pack(terms: Terms) -> Doubles:
    return np.maximum(np.where(np.isfinite(terms.case_pack), terms.case_pack, 1.0), 1.0)
