"""The policy of `plan_orders` in a replay, fed by any forecaster."""

from dataclasses import dataclass, fields
from datetime import date
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.demand import Demand
from shelfops_pipeline.replenishment.reorder import Economics, Stock, Terms, plan_orders
from shelfops_pipeline.replenishment.simulation.stock_room import Seen
from shelfops_pipeline.replenishment.simulation.world import World

Ints = NDArray[np.int64]


class Forecaster(Protocol):
    """Says every morning what will be wanted."""

    def forecast(self, seen: Seen) -> Demand:
        """Of all series, from `seen.today` on."""
        ...


@dataclass(frozen=True)
class OrderUpTo:
    """Orders what `plan_orders` says on the suppliers' days."""

    world: World
    forecaster: Forecaster
    service_level: float
    economics: Economics

    def order(self, seen: Seen) -> Ints:
        """Quantities of the series that can be ordered today."""
        world, out = self.world, np.zeros(len(seen.on_hand), np.int64)
        today: date = world.dates[seen.today].astype("datetime64[D]").item()
        rows = np.flatnonzero(world.terms.order_weekdays[:, today.weekday()])
        if len(rows) == 0:
            return out
        demand = self.forecaster.forecast(seen)
        delay = world.mean_delay[rows]
        plan = plan_orders(
            Demand(demand.mean[rows], demand.quantiles[rows], demand.correlation),
            Stock(
                seen.on_hand[rows].astype(np.float64),
                seen.on_order[rows].astype(np.float64),
                world.lead[rows] + delay,
                np.sqrt(delay),
            ),
            Terms(*(getattr(world.terms, f.name)[rows] for f in fields(Terms))),
            service_level=self.service_level,
            today=today,
            economics=self.economics,
        )
        out[rows] = plan.quantity.astype(np.int64)
        return out
