"""The rival that shops use: an (s, Q) policy on a 28-day mean, its factors tuned for total cost on an earlier year.

When the stock on hand and on order is below s days' worth of the mean, order the fewest lots of Q that bring it to s or
above (Silver, Pyke and Thomas 2017, section 6.5: (s, nQ)). Both are factors of times: s of lead time plus review
period, Q of the review period; by category, for which a buyer would have a rule.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.simulation.costs import outcome
from shelfops_pipeline.replenishment.simulation.stock_room import Seen, trade
from shelfops_pipeline.replenishment.simulation.world import World
from shelfops_pipeline.replenishment.terms import Economics

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

MEAN_DAYS: Final = 28
REORDER_FACTORS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.4, 2.8, 3.4)
QUANTITY_FACTORS: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 13.0)


@dataclass(frozen=True)
class FixedQuantity:
    """An (s, nQ) policy of n series."""

    world: World
    reorder: Doubles
    """[n] s, as a factor of the 28-day mean over lead time and review period"""
    quantity: Doubles
    """[n] Q, as a factor of the 28-day mean over the review period"""

    def order(self, seen: Seen) -> Ints:
        """Lots of Q, rounded up to packs and the minimum."""
        terms, world = self.world.terms, self.world
        review = 7 / terms.order_weekdays.sum(axis=1)
        mean = recent_mean(seen)
        point = self.reorder * mean * (world.lead + world.mean_delay + review)
        lot = np.maximum(np.ceil(self.quantity * mean * review / terms.case_pack), 1) * terms.case_pack
        lot = np.maximum(lot, terms.minimum_order)
        short = point - seen.on_hand - seen.on_order
        return np.where(short > 0, np.ceil(short / lot) * lot, 0).astype(np.int64)


def recent_mean(seen: Seen) -> Doubles:
    """[n] units per day over the last 28 days that the item was not sold out on; of all, where it always was."""
    window = slice(max(seen.today - MEAN_DAYS, 0), seen.today)
    sales, told = seen.sales[:, window], ~seen.sold_out[:, window]
    n = told.sum(axis=1)
    plain = sales.mean(axis=1)
    return np.where(n > 0, (sales * told).sum(axis=1) / np.maximum(n, 1), plain)


def tuned(world: World, first: int, last: int, warm_up: int, economics: Economics) -> FixedQuantity:
    """The policy whose factors would have cost least on days `first` + `warm_up` to `last`, by category.

    Only series that were on sale on the first day are looked at. All Q of an s are traded at once.
    """
    told = np.flatnonzero(world.trades[:, max(first - MEAN_DAYS, 0) : first].any(axis=1))
    n, each = len(told), len(QUANTITY_FACTORS)
    tiled = world.take(np.tile(told, each))
    q = np.repeat(QUANTITY_FACTORS, n)
    costs = []
    for s in REORDER_FACTORS:
        ledger = trade(tiled, FixedQuantity(tiled, np.full(len(q), s), q), first, last).since(first + warm_up)
        costs.append(outcome(tiled, ledger, economics).cost.reshape(each, n))
    cost = np.concatenate(costs)
    pairs = np.array([(s, q) for s in REORDER_FACTORS for q in QUANTITY_FACTORS])
    categories = np.unique(world.category)
    of = np.stack([cost[:, world.category[told] == c].sum(axis=1) for c in categories], axis=1)
    best = np.zeros(int(categories.max()) + 1, dtype=np.int64)
    best[categories] = of.argmin(axis=0)
    chosen = pairs[best[world.category]]
    return FixedQuantity(world, chosen[:, 0], chosen[:, 1])
