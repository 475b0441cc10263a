"""What a ledger comes to: service, stock, waste, and money."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.economics import holding_cost
from shelfops_pipeline.replenishment.simulation.stock_room import Ledger
from shelfops_pipeline.replenishment.simulation.world import World
from shelfops_pipeline.replenishment.terms import Economics

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """[n] of each series, summed over the ledger's days."""

    demand: Doubles
    sales: Doubles
    stockout_days: Doubles
    """days on which a customer left without"""
    open_days: Doubles
    stock: Doubles
    """units on hand at the end of the day, mean over days"""
    wasted: Doubles
    holding: Doubles
    """money, as are those below"""
    lost_margin: Doubles
    ordering: Doubles
    waste: Doubles

    @property
    def cost(self) -> Doubles:
        """[n] holding, lost margin, ordering and waste."""
        return self.holding + self.lost_margin + self.ordering + self.waste


def outcome(world: World, ledger: Ledger, economics: Economics) -> Outcome:
    """The ledger's service and costs. What was not sold loses its regular margin; what is thrown away, its cost; every
    line of an order costs the same."""
    terms, lost = world.terms, ledger.demand - ledger.sales
    last = ledger.first + ledger.demand.shape[1]
    return Outcome(
        demand=ledger.demand.sum(axis=1).astype(np.float64),
        sales=ledger.sales.sum(axis=1).astype(np.float64),
        stockout_days=(lost > 0).sum(axis=1).astype(np.float64),
        open_days=world.trades[:, ledger.first : last].sum(axis=1).astype(np.float64),
        stock=ledger.on_hand.mean(axis=1),
        wasted=ledger.wasted.sum(axis=1).astype(np.float64),
        holding=ledger.on_hand.sum(axis=1) * holding_cost(terms, economics),
        lost_margin=lost.sum(axis=1) * (terms.unit_price - terms.unit_cost),
        ordering=(ledger.ordered > 0).sum(axis=1) * economics.order_cost,
        waste=ledger.wasted.sum(axis=1) * terms.unit_cost,
    )
