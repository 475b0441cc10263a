"""Policies in their stock rooms: none looks ahead, the tuned one is tuned, and knowing the truth is worth most."""

from dataclasses import replace

import numpy as np
import pytest

from shelfops_pipeline.replenishment.simulation import fixed_quantity
from shelfops_pipeline.replenishment.simulation.costs import outcome
from shelfops_pipeline.replenishment.simulation.fixed_quantity import FixedQuantity, recent_mean, tuned
from shelfops_pipeline.replenishment.simulation.order_up_to import OrderUpTo
from shelfops_pipeline.replenishment.simulation.plain_forecasts import SeasonalNaive, TrueRate
from shelfops_pipeline.replenishment.simulation.stock_room import Ledger, Policy, Seen, trade
from shelfops_pipeline.replenishment.simulation.world import World
from shelfops_pipeline.replenishment.terms import Economics

FIRST, LAST, WARM_UP = 280, 400, 14
MONEY = Economics(0.25, 0.25)


def policies(world: World) -> dict[str, Policy]:
    n = len(world.lead)
    return {
        "(s, Q)": FixedQuantity(world, np.full(n, 1.4), np.full(n, 1.0)),
        "naive": OrderUpTo(world, SeasonalNaive(world, 14), 0.95, MONEY),
        "truth": OrderUpTo(world, TrueRate(world, 14), 0.95, MONEY),
    }


@pytest.fixture(scope="module")
def ledgers(world: World) -> dict[str, Ledger]:
    return {name: trade(world, policy, FIRST, LAST) for name, policy in policies(world).items()}


@pytest.mark.parametrize("name", ["(s, Q)", "naive", "truth"])
def test_what_will_be_wanted_tomorrow_does_not_change_what_is_ordered_today(
    world: World, ledgers: dict[str, Ledger], name: str
) -> None:
    changed = world.demand.copy()
    changed[:, FIRST + 40 :] *= 3
    other = replace(world, demand=changed)
    ledger = trade(other, policies(other)[name], FIRST, FIRST + 60)
    same = ledgers[name].ordered[:, :41]
    np.testing.assert_array_equal(ledger.ordered[:, :41], same)
    assert (ledger.ordered[:, 41:60] != ledgers[name].ordered[:, 41:60]).any()


def test_orders_are_whole_packs_of_at_least_the_minimum(world: World, ledgers: dict[str, Ledger]) -> None:
    for name, ledger in ledgers.items():
        placed = ledger.ordered > 0
        assert placed.any(), name
        assert (ledger.ordered % world.terms.case_pack[:, None].astype(int) == 0).all(), name
        least = np.broadcast_to(world.terms.minimum_order[:, None], placed.shape)
        assert (ledger.ordered[placed] >= least[placed]).all(), name


def test_knowing_the_truth_costs_least(world: World, ledgers: dict[str, Ledger]) -> None:
    best = tuned(world, 100, FIRST, WARM_UP, MONEY)
    found = {**ledgers, "tuned": trade(world, best, FIRST, LAST)}
    cost = {n: outcome(world, ledger.since(FIRST + WARM_UP), MONEY).cost.sum() for n, ledger in found.items()}
    assert min(cost, key=lambda n: cost[n]) == "truth", cost
    assert cost["truth"] < 0.8 * cost["tuned"], cost


def test_the_tuned_factors_are_the_cheapest_of_the_grid_by_category(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixed_quantity, "REORDER_FACTORS", (0.5, 1.5))
    monkeypatch.setattr(fixed_quantity, "QUANTITY_FACTORS", (0.5, 2.0))
    best = tuned(world, 100, FIRST, WARM_UP, MONEY)
    told = world.trades[:, 72:100].any(axis=1)
    by_pair = {}
    for s in (0.5, 1.5):
        for q in (0.5, 2.0):
            policy = FixedQuantity(world, np.full(len(told), s), np.full(len(told), q))
            ledger = trade(world, policy, 100, FIRST).since(100 + WARM_UP)
            by_pair[s, q] = outcome(world, ledger, MONEY).cost
    for category in range(7):
        rows = np.flatnonzero(world.category == category)
        cheapest = min(by_pair, key=lambda pair: by_pair[pair][rows[told[rows]]].sum())
        assert {(best.reorder[r], best.quantity[r]) for r in rows} == {cheapest}, category


def test_the_mean_of_28_days_leaves_out_those_that_were_sold_out() -> None:
    sales, sold_out = np.zeros((2, 50), np.int64), np.zeros((2, 50), bool)
    sales[:, 12:40] = 4
    sales[0, 30:40], sold_out[0, 30:40] = 1, True
    sold_out[1] = True
    seen = Seen(40, sales, sold_out, np.zeros(2, np.int64), np.zeros(2, np.int64))
    assert recent_mean(seen).tolist() == [4, 4]


def test_the_costs_are_those_of_the_ledger_by_hand(world: World) -> None:
    ledger = Ledger(
        first=FIRST,
        demand=np.array([[5, 3]]),
        sales=np.array([[4, 3]]),
        received=np.array([[0, 0]]),
        wasted=np.array([[0, 2]]),
        on_hand=np.array([[6, 1]]),
        ordered=np.array([[12, 0]]),
        opening=np.array([10]),
    )
    one = world.take(np.array([0]))
    terms = replace(one.terms, unit_cost=np.array([2.0]), unit_price=np.array([3.0]))
    found = outcome(replace(one, terms=terms), ledger, Economics(0.3, 0.5))
    assert found.holding[0] == pytest.approx(7 * 2 * 0.3 / 365.25)
    assert (found.lost_margin[0], found.ordering[0], found.waste[0]) == (1, 0.5, 4)
    assert found.cost[0] == pytest.approx(5.5 + found.holding[0])
    assert (found.stockout_days[0], found.stock[0], found.wasted[0]) == (1, 3.5, 2)
