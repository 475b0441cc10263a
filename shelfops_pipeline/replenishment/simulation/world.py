"""The retailer that policies are replayed on: what customers will want, and how suppliers deliver."""

from dataclasses import dataclass, fields, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.simulator_plan import CATEGORIES
from shelfops_pipeline.replenishment.terms import Terms

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_DELAYS: Final = 9  # the stream of random numbers of this module; `Simulator` has those up to 6


@dataclass(frozen=True)
class World:
    """n series, T days from the first of the retailer's history to the last that is planned.

    `demand` is what nobody may see: policies are shown sales.
    """

    dates: NDArray[np.datetime64]
    """[T]"""
    demand: Ints
    """[n, T] units wanted; 0 where the store is closed"""
    rate: Doubles
    """[n, T] what `demand` was drawn around, as unseen"""
    variance: Doubles
    trades: Bools
    """[n, T] listed in an open store"""
    sold: Ints
    """[n, days of history] what the retailer sold with the stock that it had, net of returns"""
    on_hand: Ints
    """[n, days of history] at the end of each day"""
    on_order: Ints
    lead: Ints
    """[n] days from the order to the delivery, apart from delays"""
    delay: Ints
    """[n, T] days that an order placed on that day comes late"""
    mean_delay: Doubles
    """[n]"""
    category: Ints
    """[n] index into simulator_plan.CATEGORIES"""
    shelf_life: Ints
    terms: Terms

    def take(self, rows: Ints) -> Self:
        """The world of some of its series; one may come several times."""
        changed = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("dates", "terms")}
        terms = Terms(*(getattr(self.terms, f.name)[rows] for f in fields(self.terms)))
        return replace(self, **changed, terms=terms)


def world_of(simulator: Simulator) -> World:
    """The world behind a simulated retailer."""
    plan, suppliers, stock = simulator.plan, simulator.supply, simulator.stock
    item, supplier = plan.item_of, plan.items.supplier[plan.item_of]
    n, T = plan.rate.shape
    life = np.array([c.shelf_life for c in CATEGORIES])[plan.items.category[item]]
    rng = np.random.default_rng([simulator.seed, _DELAYS])
    unknown = np.full(n, np.nan)
    return World(
        dates=simulator.dates,
        demand=simulator.true_demand.astype(np.int64),
        rate=simulator.true_rate,
        variance=simulator.true_variance,
        trades=plan.open[plan.store_of] & plan.listed,
        sold=np.maximum(stock.sales - stock.returns, 0).astype(np.int64),
        on_hand=stock.on_hand.astype(np.int64),
        on_order=stock.on_order.astype(np.int64),
        lead=suppliers.lead[supplier],
        delay=rng.poisson(suppliers.delay[supplier][:, None], (n, T)).astype(np.int64),
        mean_delay=suppliers.delay[supplier],
        category=plan.items.category[item],
        shelf_life=life,
        terms=Terms(
            minimum_order=plan.items.minimum_order[item].astype(np.float64),
            case_pack=plan.items.case_pack[item].astype(np.float64),
            presentation_minimum=unknown,
            shelf_life_days=life.astype(np.float64),
            unit_cost=plan.items.cost[item],
            unit_price=plan.items.price[item],
            order_weekdays=suppliers.order_days[supplier],
            cutoff_hour=np.full(n, 14.0),
            review_days=unknown,
        ),
    )
