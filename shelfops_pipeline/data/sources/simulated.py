"""The simulated retailer as a source: the embedded default, and the one whose true demand is known."""

from datetime import date
from typing import Literal

import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, Grain
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.data.tables import between


class Simulated:
    """A `Simulator` behind the `Source` interface; it runs when first read."""

    name = "simulated"
    grain = Grain.DAY
    absence: Literal["zero", "missing"] = "zero"
    rules = RowRules(items_complete=True)

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def span(self) -> tuple[date, date]:
        """First and last simulated day of trade."""
        return self.simulator.start, self.simulator.end

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """Daily rows of every listed item in every open store, zero sales and a little dirt included."""
        return between(self.simulator.transactions, start, end)

    def inventory(self, start: date, end: date) -> pd.DataFrame:
        """Stock at the end of each day."""
        return between(self.simulator.inventory, start, end, DATE)

    def reference(self) -> Reference:
        """Everything that describes the retailer, with plans beyond the last day."""
        world = self.simulator
        return Reference(
            stores=world.stores_table,
            items=world.items_table,
            calendar=world.calendar,
            covariates=world.covariates,
            suppliers=world.suppliers,
        )
