"""Order-up-to levels: the way they must move, and what a supplier's terms do to the quantity."""

from dataclasses import replace
from datetime import date
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy.stats import nbinom

from shelfops_pipeline.replenishment.reorder import Demand, Economics, Reason, ReorderPlan, Stock, Terms, plan_orders

H = 10
MONDAY = date(2025, 3, 3)


def forecast(mean: Any, deviation: Any) -> Demand:
    """Normal demand per period of [n, H] means and deviations."""
    mean, deviation = np.broadcast_arrays(np.asarray(mean, np.float32), np.asarray(deviation, np.float32))
    z = np.array([NormalDist().inv_cdf(p) for p in (0.05, 0.25, 0.5, 0.75, 0.95)], np.float32)
    return Demand(mean, (mean[..., None] + deviation[..., None] * z).astype(np.float32))


def stock(n: int = 1, **values: Any) -> Stock:
    fields = {"on_hand": 20.0, "on_order": 0.0, "lead_time_days": 3.0, "lead_time_sd": 0.0, **values}
    return Stock(**{k: np.broadcast_to(np.asarray(v, np.float64), n).copy() for k, v in fields.items()})


def terms(n: int = 1, **values: Any) -> Terms:
    arrays = {k: np.broadcast_to(np.asarray(v), (n, *np.shape(v)[1:])).copy() for k, v in values.items()}
    return replace(Terms.unknown(n), **arrays)


def weekdays(*days: int) -> Any:
    return np.isin(np.arange(7), days)[None, :]


def plan(demand: Demand, held: Stock, on: Terms | None = None, level: float = 0.95, **more: Any) -> ReorderPlan:
    on = Terms.unknown(len(held.on_hand)) if on is None else on
    return plan_orders(demand, held, on, **{"service_level": level, "today": MONDAY, **more})


STEADY = forecast(np.full((1, H), 10.0), 4.0)


def enough(mean: float, deviation: float, level: float) -> float:
    """The least order-up-to level, from another implementation of the distribution."""
    variance = deviation**2
    return float(nbinom(mean**2 / (variance - mean), mean / variance).ppf(level))


def test_the_order_raises_the_position_to_the_order_up_to_level() -> None:
    made = plan(STEADY, stock(on_hand=12, on_order=5))
    assert made.protection_days[0] == 4
    assert made.demand[0] == pytest.approx(40)
    assert made.order_up_to[0] == enough(40, float(made.deviation[0]), 0.95)
    assert made.safety_stock[0] == made.order_up_to[0] - made.demand[0]
    assert made.quantity[0] == made.unconstrained_quantity[0] == made.order_up_to[0] - 17
    assert made.reason[0] == Reason.BELOW_REORDER_POINT
    calm = plan(STEADY, stock(on_hand=500))
    assert (calm.quantity[0], calm.reason[0]) == (0, Reason.ENOUGH)


def test_order_up_to_levels_grow_with_service_level_lead_time_and_its_variability() -> None:
    cases: tuple[list[dict[str, Any]], ...] = (
        [{"level": v} for v in (0.6, 0.9, 0.95, 0.99)],
        [{"held": stock(lead_time_days=v)} for v in (1, 3, 6)],
        [{"held": stock(lead_time_sd=v)} for v in (0, 1, 3)],
        [{"on": terms(review_days=float(v))} for v in (1, 3, 7)],
        [{"demand": forecast(np.full((1, H), 10.0), v)} for v in (4, 6, 9)],
        [{"demand": replace(STEADY, correlation=v)} for v in (0, 0.3, 0.6)],
    )
    for changes in cases:
        plans = [plan(**{"demand": STEADY, "held": stock(), **change}) for change in changes]
        levels = [float(p.order_up_to[0]) for p in plans]
        assert levels == sorted(set(levels)), changes


def test_the_chance_of_a_stockout_falls_with_stock_and_is_about_even_at_expected_demand() -> None:
    chances = [float(plan(STEADY, stock(on_hand=v)).stockout_probability[0]) for v in (0, 20, 30, 40, 60)]
    assert chances == sorted(chances, reverse=True)
    assert chances[2] == pytest.approx(0.45, abs=0.03)  # the distribution is skewed, and stock of 30 serves 30
    assert chances[0] > 0.99
    assert chances[-1] < 0.01


def test_what_is_on_order_counts_against_a_stockout() -> None:
    assert (
        plan(STEADY, stock(on_hand=10, on_order=30)).stockout_probability
        == plan(STEADY, stock(on_hand=40)).stockout_probability
    )


def test_unknown_stock_makes_no_plan_and_unknown_lead_times_count_as_a_week() -> None:
    unknown = plan(STEADY, stock(on_hand=np.nan))
    for name in (
        "quantity",
        "unconstrained_quantity",
        "days_of_supply",
        "stockout_probability",
        "stockout_date_probability",
        "overstock_units",
    ):
        assert np.isnan(getattr(unknown, name)[0]), name
    assert np.isnat(unknown.stockout_date[0])
    assert unknown.reason[0] == Reason.UNKNOWN_STOCK
    assert np.isfinite(unknown.order_up_to[0])
    assert np.isnan(plan(STEADY, stock(on_order=np.nan)).quantity[0])
    week, silent = (plan(STEADY, stock(lead_time_days=v, lead_time_sd=w)) for v, w in ((7, 0), (np.nan, np.nan)))
    assert week.order_up_to == silent.order_up_to


def test_days_of_supply_count_the_days_that_stock_lasts_up_to_the_horizon() -> None:
    held = stock(4, on_hand=[0, 10, 39, 1000])
    demand = forecast(np.full((4, H), 10.0), 4.0)
    assert plan(demand, held).days_of_supply.tolist() == [0, 1, 3, H]


def test_an_item_that_nobody_will_buy_is_not_about_to_run_out() -> None:
    closed = Demand(np.zeros((1, H), np.float32), np.zeros((1, H, 5), np.float32))
    for on_hand in (0.0, 5.0):
        made = plan(closed, stock(on_hand=on_hand), terms(presentation_minimum=8.0))
        assert made.stockout_probability[0] == 0
        assert made.quantity[0] == 0
        assert np.isnat(made.stockout_date[0])
    assert plan(closed, stock(on_hand=-2)).stockout_probability[0] == 1  # owed already


def test_a_lead_time_past_the_horizon_is_not_cut_off_at_it() -> None:
    long = plan(STEADY, stock(lead_time_days=2 * H))
    assert long.demand[0] == pytest.approx(10 * (2 * H + 1))
    assert long.deviation[0] > plan(STEADY, stock(lead_time_days=H)).deviation[0]


def test_weekly_forecasts_cover_lead_times_that_are_given_in_days() -> None:
    weekly = plan(STEADY, stock(lead_time_days=14, lead_time_sd=7, on_hand=25), period_days=7)
    assert weekly.demand[0] == pytest.approx(30)  # two weeks, and one until the next look
    assert weekly.days_of_supply[0] == 17  # half of the third week
    assert weekly.order_date[0] == np.datetime64("2025-03-03")
    assert weekly.delivery_date[0] == np.datetime64("2025-03-17")
    assert np.datetime64("2025-03-17") <= weekly.stockout_date[0] < np.datetime64("2025-03-24")


def test_an_order_waits_for_the_suppliers_day_and_must_last_until_the_delivery_of_the_one_after() -> None:
    for days, hour, order, protection in (
        (weekdays(0, 3), 8, "2025-03-03", 3 + 3),  # Monday: today; the next on Thursday
        (weekdays(0, 3), 14, "2025-03-06", 7 + 3),  # past the cut-off: Thursday; the next on Monday
        (weekdays(1), 8, "2025-03-04", 8 + 3),
        (weekdays(), 8, "2025-03-03", 1 + 3),
        (weekdays(), 14, "2025-03-04", 2 + 3),
    ):
        made = plan(STEADY, stock(), terms(order_weekdays=days, cutoff_hour=14.0), hour=hour)
        assert made.order_date[0] == np.datetime64(order), (days, hour)
        assert made.delivery_date[0] == np.datetime64(order) + 3
        assert made.protection_days[0] == protection
        assert made.demand[0] == pytest.approx(10 * protection, rel=1e-6)


def test_a_weekly_look_skips_order_days_within_the_week() -> None:
    made = plan(STEADY, stock(), terms(order_weekdays=weekdays(0, 3), review_days=7.0))
    assert made.protection_days[0] == 7 + 3


def test_orders_are_whole_packs_and_at_least_the_minimum() -> None:
    short = plan(STEADY, stock()).quantity[0]
    packs = plan(STEADY, stock(), terms(case_pack=12.0))
    assert packs.quantity[0] == 12 * np.ceil(short / 12)
    assert packs.reason[0] == Reason.CASE_PACK
    assert packs.unconstrained_quantity[0] == short
    least = plan(STEADY, stock(), terms(case_pack=12.0, minimum_order=100.0))
    assert (least.quantity[0], least.reason[0]) == (108, Reason.MINIMUM_ORDER)
    assert plan(STEADY, stock(on_hand=500), terms(minimum_order=100.0)).quantity[0] == 0


def test_the_shelf_is_never_planned_below_the_presentation_minimum() -> None:
    plain, full = plan(STEADY, stock()), plan(STEADY, stock(), terms(presentation_minimum=60.0))
    assert full.order_up_to[0] == 40 + 60
    assert plan(STEADY, stock(), terms(presentation_minimum=1.0)).order_up_to == plain.order_up_to


def test_no_more_is_ordered_than_is_worth_its_cost_within_shelf_life() -> None:
    fresh: dict[str, Any] = {"shelf_life_days": 2.0, "unit_cost": 1.0}
    held = stock(on_hand=0)
    dear, cheap = (plan(STEADY, held, terms(unit_price=v, **fresh)) for v in (2.0, 1.2))
    assert cheap.quantity[0] < dear.quantity[0] < plan(STEADY, held).quantity[0]
    assert dear.quantity[0] == pytest.approx(20, abs=2)  # margin equals cost: the median of two days
    assert dear.reason[0] == cheap.reason[0] == Reason.SHELF_LIFE
    assert plan(STEADY, held, terms(shelf_life_days=30.0)).reason[0] == Reason.BELOW_REORDER_POINT
    left = plan(STEADY, stock(on_hand=0, on_order=38), terms(unit_price=2.0, **fresh))  # 8 of these will be left
    assert 0 < left.quantity[0] <= dear.quantity[0] - 8
    old = plan(STEADY, stock(on_hand=38), terms(unit_price=2.0, **fresh))  # they will be thrown away, but for 20
    assert old.quantity[0] == dear.quantity[0]


def test_packs_and_lots_that_perish_are_ordered_where_they_earn_more_than_they_waste() -> None:
    fresh: dict[str, Any] = {"shelf_life_days": 2.0, "unit_cost": 1.0, "unit_price": 2.0}  # room for about 20
    for pack, quantity in ((12.0, 24), (30.0, 30), (60.0, 0)):  # 30 sell 20 for 40; 60 would cost more than that
        made = plan(STEADY, stock(on_hand=0), terms(case_pack=pack, **fresh))
        assert made.quantity[0] == quantity, pack
    for least, quantity in ((30.0, 30), (50.0, 0)):
        made = plan(STEADY, stock(on_hand=0), terms(minimum_order=least, **fresh))
        assert made.quantity[0] == quantity, least
    for pack, quantity in ((12.0, 24), (30.0, 30), (60.0, 0)):  # the nearest number where the money is unknown
        made = plan(STEADY, stock(on_hand=0), terms(case_pack=pack, shelf_life_days=2.0))
        assert made.quantity[0] == quantity, pack


def test_margin_against_holding_cost_sets_the_service_level_where_they_are_known() -> None:
    known = terms(unit_cost=10.0, unit_price=15.0, order_weekdays=weekdays(0))
    held = 10 * 0.25 * 7 / 365.25
    made = plan(STEADY, stock(), known, economics=Economics(holding_rate=0.25))
    assert made.order_up_to[0] == enough(100, float(made.deviation[0]), 5 / (5 + held))
    assert made.service_level[0] == pytest.approx(5 / (5 + held), abs=0.002)
    poor = replace(known, unit_price=np.array([10.001]))
    assert plan(STEADY, stock(), poor).service_level[0] == pytest.approx(0.5, abs=0.03)
    loss = replace(known, unit_price=np.array([9.0]))
    for without in (terms(), terms(unit_cost=10.0), loss):
        weekly = replace(without, order_weekdays=weekdays(0))
        made = plan(STEADY, stock(), weekly, 0.9)
        assert made.order_up_to[0] == enough(100, float(made.deviation[0]), 0.9)


def test_a_line_that_costs_something_is_ordered_less_often_and_larger() -> None:
    known = terms(unit_cost=10.0, unit_price=15.0)
    free, dear = (plan(STEADY, stock(), known, economics=Economics(0.25, v)) for v in (0, 5))
    economic = (2 * 5 * 10 / (10 * 0.25 / 365.25)) ** 0.5
    assert free.order_up_to == free.reorder_point
    assert dear.order_up_to[0] - dear.reorder_point[0] == pytest.approx(economic - 10, abs=1)
    between = stock(on_hand=float(dear.reorder_point[0]))
    assert plan(STEADY, between, known, economics=Economics(0.25, 5)).quantity[0] == 0


def test_a_stockout_is_dated_to_the_day_that_makes_it_more_likely_than_not() -> None:
    for on_hand, day in ((0, 3), (15, 4), (25, 5), (85, 11)):
        made = plan(STEADY, stock(on_hand=on_hand))
        assert made.stockout_date[0] == np.datetime64("2025-03-01") + (day - 1), on_hand
        assert 0.5 < made.stockout_date_probability[0] <= 1
    safe = plan(STEADY, stock(on_hand=130))
    assert np.isnat(safe.stockout_date[0])
    assert 0 < safe.stockout_date_probability[0] < 0.5


def test_overstock_is_what_no_order_would_have_led_to() -> None:
    up_to = float(plan(STEADY, stock()).order_up_to[0])
    assert plan(STEADY, stock(on_hand=4 * up_to)).overstock_units[0] == 0
    assert plan(STEADY, stock(on_hand=4 * up_to, on_order=7)).overstock_units[0] == 7
    slow = forecast(np.full((1, H), 0.01), 0.1)
    assert plan(slow, stock(on_hand=24), terms(case_pack=24.0)).overstock_units[0] == 0


def test_series_are_planned_independently_of_each_other() -> None:
    both = forecast(np.array([[10.0] * H, [3.0] * H]), 2.0)
    held, on = stock(2, on_hand=[5, 50]), terms(2, case_pack=[6.0, 1.0])
    together = plan(both, held, on)
    for s in range(2):
        part = Stock(*(getattr(held, f)[s : s + 1] for f in Stock.__dataclass_fields__))
        own = Terms(*(getattr(on, f)[s : s + 1] for f in Terms.__dataclass_fields__))
        alone = plan(Demand(both.mean[s : s + 1], both.quantiles[s : s + 1]), part, own)
        for name in ReorderPlan.__dataclass_fields__:
            np.testing.assert_allclose(
                getattr(alone, name)[0].astype(float), getattr(together, name)[s].astype(float), err_msg=name
            )
