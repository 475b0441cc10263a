"""The physics of the stock room: units are conserved, age, and come when they were ordered for."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.simulation.stock_room import Ledger, Seen, trade
from shelfops_pipeline.replenishment.simulation.world import World

FIRST, LAST = 280, 380
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Whims:
    """Orders anything at any time."""

    seed: int

    def order(self, seen: Seen) -> Ints:
        rng = np.random.default_rng([self.seed, seen.today])
        return rng.poisson(12, len(seen.on_hand)) * (rng.random(len(seen.on_hand)) < 0.7)


@pytest.fixture(scope="module")
def ledger(world: World) -> Ledger:
    return trade(world, Whims(1), FIRST, LAST)


def test_units_that_came_were_sold_thrown_away_or_are_still_there(ledger: Ledger) -> None:
    came = ledger.opening + ledger.received.sum(axis=1)
    np.testing.assert_array_equal(came, ledger.sales.sum(axis=1) + ledger.wasted.sum(axis=1) + ledger.on_hand[:, -1])
    before = np.column_stack([ledger.opening, ledger.on_hand[:, :-1]])
    np.testing.assert_array_equal(ledger.on_hand, before - ledger.wasted + ledger.received - ledger.sales)
    assert (ledger.on_hand >= 0).all()


def test_customers_get_what_is_there_and_nothing_is_sold_behind_closed_doors(world: World, ledger: Ledger) -> None:
    days = slice(FIRST, LAST)
    np.testing.assert_array_equal(ledger.sales, np.minimum(ledger.demand, ledger.on_hand + ledger.sales))
    np.testing.assert_array_equal(ledger.demand, world.demand[:, days])
    assert ledger.sales[~world.trades[:, days]].sum() == 0
    assert (ledger.sales < ledger.demand).any()


def test_orders_are_placed_on_order_days_and_come_after_lead_time_and_delay(world: World, ledger: Ledger) -> None:
    weekday = (world.dates[FIRST:LAST].astype("datetime64[D]").astype(int) + 3) % 7
    assert (ledger.ordered > 0).any(axis=1).all()
    assert ledger.ordered[~world.terms.order_weekdays[:, weekday]].sum() == 0
    expected = np.zeros((len(world.lead), 2 * (LAST - FIRST)), np.int64)
    for s in range(len(world.lead)):
        expected[s, world.lead[s]] += world.on_order[s, FIRST - 1]
        for d in range(LAST - FIRST):
            expected[s, d + world.lead[s] + world.delay[s, FIRST + d]] += ledger.ordered[s, d]
    np.testing.assert_array_equal(ledger.received, expected[:, : LAST - FIRST])


def test_ageing_equals_a_naive_loop_over_batches(world: World, ledger: Ledger) -> None:
    wasted = np.zeros_like(ledger.wasted)
    for s in range(len(world.lead)):
        batches = [[FIRST - 1, int(ledger.opening[s])]]  # [day it came, units], oldest first
        for d in range(LAST - FIRST):
            today = FIRST + d
            old = [b for b in batches if today - b[0] >= world.shelf_life[s]]
            wasted[s, d] = sum(units for _, units in old)
            batches = [b for b in batches if b not in old] + [[today, int(ledger.received[s, d])]]
            to_sell = int(ledger.sales[s, d])
            for batch in batches:
                sold = min(batch[1], to_sell)
                batch[1] -= sold
                to_sell -= sold
            assert to_sell == 0
    np.testing.assert_array_equal(ledger.wasted, wasted)
    assert wasted[world.shelf_life <= 6].sum() > 0
    assert wasted[world.shelf_life > 100].sum() == 0


def test_a_policy_sees_sales_up_to_yesterday_and_the_stock_of_this_morning(world: World) -> None:
    shown: list[Seen] = []

    class Watch:
        def order(self, seen: Seen) -> Ints:
            shown.append(replace(seen, sales=seen.sales.copy(), sold_out=seen.sold_out.copy()))
            return Whims(1).order(seen)

    ledger = trade(world, Watch(), FIRST, FIRST + 20)
    for at, seen in enumerate(shown):
        assert seen.today == FIRST + at
        np.testing.assert_array_equal(seen.sales[:, :FIRST], world.sold[:, :FIRST])
        np.testing.assert_array_equal(seen.sales[:, FIRST : seen.today], ledger.sales[:, :at])
        assert seen.sales[:, seen.today :].sum() == 0
        assert not seen.sold_out[:, seen.today :].any()
        np.testing.assert_array_equal(seen.on_hand, ledger.on_hand[:, at] + ledger.sales[:, at])


def test_the_ledger_of_later_days_begins_with_the_stock_they_began_with(ledger: Ledger) -> None:
    later = ledger.since(FIRST + 28)
    assert later.first == FIRST + 28
    assert later.sales.shape[1] == LAST - FIRST - 28
    np.testing.assert_array_equal(later.opening, ledger.on_hand[:, 27])
    assert ledger.since(FIRST).opening is ledger.opening
