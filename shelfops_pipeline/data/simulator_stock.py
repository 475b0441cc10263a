"""The simulated stock room: deliveries, sales limited by what is there, and a naive order-up-to policy.

The policy knows nothing of promotions or seasons, so it runs out of stock: stockouts censor sales.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from shelfops_pipeline.data.simulator_plan import Bools, Floats, Ints, Plan, weekdays

Units = NDArray[np.int32]
_MAX_LEAD: Final = 16
_SMOOTHING: Final = 0.06
_RETURN_SHARE: Final = 0.004
_START_DAYS: Final = 14


@dataclass(frozen=True)
class Suppliers:
    """[number of suppliers] each; deliveries take `lead` days plus a Poisson delay of mean `delay`."""

    ids: NDArray[np.str_]
    lead: Ints
    delay: Floats
    order_days: Bools
    """[suppliers, 7], Monday first."""


@dataclass(frozen=True)
class Stock:
    """What happened, [S, days] each."""

    sales: Units
    returns: Units
    on_hand: Units
    on_order: Units


def make_suppliers(rng: Generator, n: int) -> Suppliers:
    """Suppliers with one, two, three or six order days a week."""
    patterns = np.array(
        [[1, 1, 1, 1, 1, 1, 0], [1, 0, 1, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]],
        dtype=bool,
    )
    kind = np.arange(n) % len(patterns)
    return Suppliers(
        ids=np.array([f"SUP{k:02d}" for k in range(1, n + 1)]),
        lead=np.array([1, 2, 3, 5])[kind] + rng.integers(0, 2, n),
        delay=rng.uniform(0.1, 0.8, n),
        order_days=patterns[kind],
    )


def run_stock(rng: Generator, plan: Plan, suppliers: Suppliers, demand: Units) -> Stock:
    """Trade `demand` [S, days] day by day. Loops over days only; every day is arrays over series."""
    n_series, n_days = demand.shape
    supplier = plan.items.supplier[plan.item_of]
    pack = plan.items.case_pack[plan.item_of]
    minimum = plan.items.minimum_order[plan.item_of]
    lead = suppliers.lead[supplier]
    cover = lead + 7 / suppliers.order_days.sum(axis=1)[supplier]
    order_day = suppliers.order_days[supplier][:, weekdays(plan.dates[:n_days])]
    trades = (plan.open[plan.store_of] & plan.listed)[:, :n_days]
    first = np.argmax(plan.listed, axis=1)
    expected = _opening_rate(plan)
    delay = np.minimum(
        rng.poisson(suppliers.delay[supplier][:, None], (n_series, n_days)), _MAX_LEAD - 1 - lead[:, None]
    )
    brings_back = rng.random((n_series, n_days)) < _RETURN_SHARE

    stock = Stock(*(np.zeros((n_series, n_days), np.int32) for _ in range(4)))
    on_hand = np.zeros(n_series, np.int64)
    due = np.zeros((n_series, _MAX_LEAD), np.int64)
    mean = expected.copy()
    rows = np.arange(n_series)
    for day in range(n_days):
        slot = day % _MAX_LEAD
        opening = np.where(first == day, _packs(expected * cover * 2 + 1, pack), 0)
        on_hand = on_hand + due[:, slot] + opening
        due[:, slot] = 0
        sold = np.minimum(demand[:, day], on_hand)
        bought_before = stock.sales[:, day - 1] > 0 if day else np.zeros(n_series, dtype=bool)
        back = brings_back[:, day] & trades[:, day] & bought_before
        on_hand = on_hand - sold + back
        mean = np.where(trades[:, day], (1 - _SMOOTHING) * mean + _SMOOTHING * sold, mean)
        target = mean * cover * 1.15 + np.sqrt(mean * cover) + 0.3
        short = np.maximum(target - on_hand - due.sum(axis=1), 0)
        order = np.where(short > 0, np.maximum(_packs(short, pack), minimum), 0)
        order *= order_day[:, day] & plan.listed[:, day]
        due[rows, (day + lead + delay[:, day]) % _MAX_LEAD] += order
        stock.sales[:, day], stock.returns[:, day] = sold, back
        stock.on_hand[:, day], stock.on_order[:, day] = on_hand, due.sum(axis=1)
    return stock


def _packs(units: Floats, pack: Ints) -> Ints:
    return (np.ceil(units / pack) * pack).astype(np.int64)


def _opening_rate(plan: Plan) -> Floats:
    """Mean rate of the first two weeks on sale: what a buyer would guess."""
    started = plan.listed & (np.cumsum(plan.listed, axis=1) <= _START_DAYS)
    return np.asarray((plan.rate * started).sum(axis=1) / started.sum(axis=1), dtype=np.float64)
