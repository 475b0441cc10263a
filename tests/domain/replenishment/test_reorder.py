"""Order-up-to levels: sums against brute force, and the way they must move."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.replenishment.reorder import (
    ERROR_CORRELATION,
    Demand,
    ReorderPlan,
    Stock,
    demand_over,
    period_deviation,
    periods_of_supply,
    plan_orders,
)

H = 10


def forecast(mean: Any, deviation: Any) -> Demand:
    """Normal demand per period of [n, H] means and deviations."""
    mean, deviation = np.broadcast_arrays(np.asarray(mean, np.float32), np.asarray(deviation, np.float32))
    z = np.array([NormalDist().inv_cdf(p) for p in (0.05, 0.25, 0.5, 0.75, 0.95)], np.float32)
    return Demand(mean, (mean[..., None] + deviation[..., None] * z).astype(np.float32))


def stock(n: int = 1, **values: Any) -> Stock:
    fields = {"on_hand": 20.0, "on_order": 0.0, "lead_time_days": 3.0, "lead_time_sd": 0.0, **values}
    return Stock(**{k: np.broadcast_to(np.asarray(v, np.float64), n).copy() for k, v in fields.items()})


def plan(demand: Demand, held: Stock, level: float = 0.95, review: int = 1, **more: Any) -> ReorderPlan:
    return plan_orders(demand, held, level, review, **more)


STEADY = forecast(np.full((1, H), 10.0), 4.0)


def brute(means: list[float], deviations: list[float], periods: float, lead_sd: float) -> tuple[float, float]:
    shares = [min(max(periods - i, 0), 1) for i in range(len(means))]
    mean = sum(m * s for m, s in zip(means, shares, strict=True))
    variance = 0.0
    for i, (a, p) in enumerate(zip(deviations, shares, strict=True)):
        for j, (b, q) in enumerate(zip(deviations, shares, strict=True)):
            variance += a * b * (p * q) ** 0.5 * ERROR_CORRELATION ** abs(i - j)
    if periods > len(means):
        mean, variance = mean * periods / len(means), variance * periods / len(means)
    return mean, (variance + (mean / periods * lead_sd) ** 2) ** 0.5


@given(
    st.lists(st.floats(0, 50, width=32), min_size=H, max_size=H),
    st.lists(st.floats(8, 20, width=32), min_size=H, max_size=H),
    st.floats(0.25, 2 * H),
    st.floats(0, 5),
)
def test_demand_over_an_interval_equals_brute_force(
    means: list[float], deviations: list[float], periods: float, lead_sd: float
) -> None:
    got = demand_over(forecast([means], [deviations]), np.array([periods]), np.array([lead_sd]))
    assert [float(v[0]) for v in got] == pytest.approx(brute(means, deviations, periods, lead_sd), rel=1e-3, abs=1e-3)


def test_variance_of_demand_matches_simulated_correlated_days() -> None:
    distance = np.abs(np.subtract.outer(np.arange(H), np.arange(H)))
    days = np.random.default_rng(0).multivariate_normal(np.full(H, 10), 16 * ERROR_CORRELATION**distance, 20_000)
    _, deviation = demand_over(STEADY, np.array([5.0]), np.zeros(1))
    assert deviation[0] == pytest.approx(days[:, :5].sum(axis=1).std(), rel=0.03)


def test_deviation_comes_from_the_interval_and_is_at_least_that_of_rare_sales() -> None:
    assert period_deviation(STEADY)[0, 0] == pytest.approx(4, rel=1e-4)
    rare = Demand(np.full((1, H), 0.04, np.float32), np.zeros((1, H, 5), np.float32))
    assert period_deviation(rare)[0, 0] == pytest.approx(0.2)


def test_the_order_raises_the_position_to_the_order_up_to_level() -> None:
    made = plan(STEADY, stock(on_hand=12, on_order=5))
    demand, deviation = brute([10] * H, [4] * H, 4, 0)
    assert made.demand[0] == pytest.approx(demand)
    assert made.order_up_to[0] == np.ceil(demand + NormalDist().inv_cdf(0.95) * deviation)
    assert made.quantity[0] == made.order_up_to[0] - 17
    assert plan(STEADY, stock(on_hand=500)).quantity[0] == 0


def test_order_up_to_levels_grow_with_service_level_lead_time_and_its_variability() -> None:
    for changes in (
        [{"level": v} for v in (0.6, 0.9, 0.95, 0.99)],
        [{"held": stock(lead_time_days=v)} for v in (1, 3, 6)],
        [{"held": stock(lead_time_sd=v)} for v in (0, 1, 3)],
        [{"review": v} for v in (1, 3, 7)],
        [{"demand": forecast(np.full((1, H), 10.0), v)} for v in (4, 6, 9)],
    ):
        plans = [plan(**{"demand": STEADY, "held": stock(), **change}) for change in changes]
        levels = [float(p.order_up_to[0]) for p in plans]
        assert levels == sorted(set(levels)), changes


def test_the_chance_of_a_stockout_falls_with_stock_and_is_even_at_expected_demand() -> None:
    chances = [float(plan(STEADY, stock(on_hand=v)).stockout_probability[0]) for v in (0, 20, 30, 40, 60)]
    assert chances == sorted(chances, reverse=True)
    assert chances[2] == pytest.approx(0.5, abs=1e-3)
    assert chances[0] > 0.99
    assert chances[-1] < 0.01


def test_what_is_on_order_counts_against_a_stockout() -> None:
    assert (
        plan(STEADY, stock(on_hand=10, on_order=30)).stockout_probability
        == plan(STEADY, stock(on_hand=40)).stockout_probability
    )


def test_unknown_stock_makes_no_plan_and_unknown_lead_times_count_as_a_week() -> None:
    unknown = plan(STEADY, stock(on_hand=np.nan))
    for values in (unknown.quantity, unknown.days_of_supply, unknown.stockout_probability):
        assert np.isnan(values[0])
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
        made = plan(closed, stock(on_hand=on_hand))
        assert made.stockout_probability[0] == 0
        assert made.quantity[0] == 0
    assert plan(closed, stock(on_hand=-2)).stockout_probability[0] == 1  # owed already


def test_a_lead_time_past_the_horizon_is_not_cut_off_at_it() -> None:
    long = plan(STEADY, stock(lead_time_days=2 * H))
    assert long.demand[0] == pytest.approx(10 * (2 * H + 1))
    assert long.deviation[0] > plan(STEADY, stock(lead_time_days=H)).deviation[0]


def test_weekly_forecasts_cover_lead_times_that_are_given_in_days() -> None:
    weekly = plan(STEADY, stock(lead_time_days=14, lead_time_sd=7, on_hand=25), review=7, period_days=7)
    assert weekly.demand[0] == pytest.approx(30)  # two weeks and one of review
    assert weekly.deviation[0] == pytest.approx(brute([10] * H, [4] * H, 3, 1)[1], rel=1e-4)
    assert weekly.days_of_supply[0] == 17  # half of the third week


def test_a_lead_time_of_days_is_as_uncertain_by_weekly_as_by_daily_forecasts() -> None:
    days = np.full((1, 28), 10.0)
    daily = demand_over(forecast(days, 4.0), np.array([3.0]), np.zeros(1))
    week = demand_over(forecast(days, 4.0), np.array([7.0]), np.zeros(1))
    weekly = forecast(np.full((1, 4), week[0]), float(week[1][0]))
    in_weeks = demand_over(weekly, np.array([3 / 7]), np.zeros(1))
    assert in_weeks[0] == pytest.approx(daily[0])
    assert in_weeks[1] == pytest.approx(daily[1], rel=0.1)


def test_supply_counts_a_part_of_a_period_and_skips_those_without_demand() -> None:
    mean = np.array([[10, 20, 0, 40]], np.float32)
    for on_hand, periods in ((-3, 0), (0, 0), (5, 0.5), (10, 1), (20, 1.5), (30, 3), (50, 3.5), (70, 4), (99, 4)):
        assert periods_of_supply(mean, np.array([float(on_hand)]))[0] == pytest.approx(periods), on_hand


def test_series_are_planned_independently_of_each_other() -> None:
    both = forecast(np.array([[10.0] * H, [3.0] * H]), 2.0)
    held = stock(2, on_hand=[5, 50])
    together = plan(both, held)
    for s in range(2):
        part = Stock(*(getattr(held, f)[s : s + 1] for f in Stock.__dataclass_fields__))
        alone = plan(Demand(both.mean[s : s + 1], both.quantiles[s : s + 1]), part)
        for name in ReorderPlan.__dataclass_fields__:
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[s])
