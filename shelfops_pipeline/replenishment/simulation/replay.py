"""One retailer, four policies, each in its own stock room: what they sold, held, threw away and cost."""

from dataclasses import asdict, dataclass, field, replace
from typing import Final

import numpy as np

from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.simulator_plan import CATEGORIES
from shelfops_pipeline.data.sources.simulated import Simulated
from shelfops_pipeline.models.fit import Progress, quiet
from shelfops_pipeline.replenishment.simulation.costs import Outcome, outcome
from shelfops_pipeline.replenishment.simulation.fitted import FittedForecaster
from shelfops_pipeline.replenishment.simulation.fixed_quantity import tuned
from shelfops_pipeline.replenishment.simulation.order_up_to import Forecaster, OrderUpTo
from shelfops_pipeline.replenishment.simulation.plain_forecasts import SeasonalNaive, TrueRate
from shelfops_pipeline.replenishment.simulation.stock_room import Policy, trade
from shelfops_pipeline.replenishment.simulation.world import World, world_of
from shelfops_pipeline.replenishment.terms import Economics

SEEDS: Final = (1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049, 1051, 1061)
"""Of the retailers that are scored, chosen before the first of them was looked at."""
OURS, FIXED_QUANTITY, NAIVE, TRUE_RATE = "shelfops", "(s, Q), tuned", "seasonal naive", "true rate"
POLICIES: Final = (OURS, FIXED_QUANTITY, NAIVE, TRUE_RATE)
EVERYTHING: Final = "all"

_YEAR: Final = 365
_WARM_UP: Final = 28
_HORIZON: Final = 14  # lead time, delay and review period together are at most that


@dataclass(frozen=True)
class Trial:
    """What is replayed."""

    stores: int = 4
    items: int = 42
    days: int = 182
    """that are scored, after a warm-up of four weeks; before them lie two years of history"""
    economics: Economics = field(default_factory=lambda: Economics(holding_rate=0.25, order_cost=0.25))
    service_level: float = 0.95
    """where the money does not say better"""
    folds: int = 2
    effort: float = 0.2


@dataclass(frozen=True)
class Account:
    """Totals of one policy in one retailer, of one category or of everything."""

    seed: int
    policy: str
    category: str
    demand: float
    sales: float
    stockout_days: float
    open_days: float
    stock: float
    wasted: float
    holding: float
    lost_margin: float
    ordering: float
    waste: float

    @property
    def cost(self) -> float:
        return self.holding + self.lost_margin + self.ordering + self.waste

    @property
    def fill_rate(self) -> float:
        return self.sales / self.demand


def replay(seed: int, trial: Trial, policies: tuple[str, ...] = POLICIES, progress: Progress = quiet) -> list[Account]:
    """Trade the scored days of the retailer of `seed` under each policy."""
    first = 2 * _YEAR
    last = first + _WARM_UP + trial.days
    simulator = Simulator(
        stores=trial.stores, items=trial.items, days=first, seed=seed, future_days=last - first + _HORIZON
    )
    world = world_of(simulator)
    accounts: list[Account] = []
    for name in policies:
        progress(name)
        policy = _policy(name, world, simulator, trial)
        ledger = trade(world, policy, first, last).since(first + _WARM_UP)
        accounts += _accounts(seed, name, world, outcome(world, ledger, trial.economics))
    return accounts


def history_panel(simulator: Simulator, world: World) -> Panel:
    """The retailer's history through the gates, as a training reads it; without what is known of the past only (the
    customers counted), which the replay does not go on counting."""
    panel = load_panel(Simulated(simulator), max_quarantined_share=0.05).panel
    series = simulator.series
    if len(world.lead) != panel.n_series or (panel.store_ids + panel.item_ids != series.sum(axis=1)).any():
        raise RuntimeError("the panel's series are not those of the simulator, in its order")
    return replace(panel, past={})


def _policy(name: str, world: World, simulator: Simulator, trial: Trial) -> Policy:
    if name == FIXED_QUANTITY:
        return tuned(world, _YEAR, 2 * _YEAR, _WARM_UP, trial.economics)
    forecaster: Forecaster
    if name == OURS:
        panel = history_panel(simulator, world)
        forecaster = FittedForecaster(panel, _HORIZON, trial.folds, simulator.seed, trial.effort)
    elif name == NAIVE:
        forecaster = SeasonalNaive(world, _HORIZON)
    else:
        forecaster = TrueRate(world, _HORIZON)
    return OrderUpTo(world, forecaster, trial.service_level, trial.economics)


def _accounts(seed: int, policy: str, world: World, result: Outcome) -> list[Account]:
    values = asdict(result)
    groups = {EVERYTHING: np.ones(len(world.category), bool)}
    groups |= {category.name: world.category == k for k, category in enumerate(CATEGORIES)}
    return [
        Account(seed, policy, name, **{k: float(v[rows].sum()) for k, v in values.items()})
        for name, rows in groups.items()
    ]
