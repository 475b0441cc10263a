"""Demand over a window: sums against brute force, and correlation against simulation."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.replenishment.demand import (
    ERROR_CORRELATION,
    Demand,
    cumulative_demand,
    demand_between,
    error_correlation,
    period_deviation,
    periods_of_supply,
)

H = 10


def forecast(mean: Any, deviation: Any) -> Demand:
    """Normal demand per period of [n, H] means and deviations."""
    mean, deviation = np.broadcast_arrays(np.asarray(mean, np.float32), np.asarray(deviation, np.float32))
    z = np.array([NormalDist().inv_cdf(p) for p in (0.05, 0.25, 0.5, 0.75, 0.95)], np.float32)
    return Demand(mean, (mean[..., None] + deviation[..., None] * z).astype(np.float32))


STEADY = forecast(np.full((1, H), 10.0), 4.0)


def brute(means: list[float], deviations: list[float], start: float, end: float, end_sd: float) -> tuple[float, float]:
    """(mean, variance); past the horizon, demand goes on at the mean rate of the horizon."""
    shares = [max(min(end, i + 1) - max(start, i), 0) for i in range(len(means))]

    def within(shares: list[float]) -> tuple[float, float]:
        mean, variance = sum(m * s for m, s in zip(means, shares, strict=True)), 0.0
        for i, (a, p) in enumerate(zip(deviations, shares, strict=True)):
            for j, (b, q) in enumerate(zip(deviations, shares, strict=True)):
                variance += a * b * (p * q) ** 0.5 * ERROR_CORRELATION ** abs(i - j)
        return mean, variance

    (mean, variance), (whole, of_whole) = within(shares), within([1.0] * len(means))
    more = max(end - max(start, len(means)), 0) / len(means)
    mean, variance = mean + more * whole, variance + more * of_whole
    return mean, variance + (mean / (end - start) * end_sd) ** 2


@given(
    st.lists(st.floats(0, 50, width=32), min_size=H, max_size=H),
    st.lists(st.floats(8, 20, width=32), min_size=H, max_size=H),
    st.floats(0, 2 * H),
    st.floats(0.25, 2 * H),
    st.floats(0, 5),
)
def test_demand_over_a_window_equals_brute_force(
    means: list[float], deviations: list[float], start: float, length: float, end_sd: float
) -> None:
    got = demand_between(
        forecast([means], [deviations]), np.array([start]), np.array([start + length]), np.array([end_sd])
    )
    expected = brute(means, deviations, start, start + length, end_sd)
    assert (got.mean[0], got.variance[0]) == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_variance_of_demand_matches_simulated_correlated_days() -> None:
    distance = np.abs(np.subtract.outer(np.arange(H), np.arange(H)))
    days = np.random.default_rng(0).multivariate_normal(np.full(H, 10), 16 * ERROR_CORRELATION**distance, 20_000)
    spread = demand_between(STEADY, np.zeros(1), np.array([5.0]))
    assert spread.variance[0] ** 0.5 == pytest.approx(days[:, :5].sum(axis=1).std(), rel=0.03)


def test_a_random_lead_time_adds_its_variance_as_simulated() -> None:
    rng = np.random.default_rng(1)
    lead = rng.choice([2, 3, 4], 40_000)
    independent = Demand(STEADY.mean, STEADY.quantiles, correlation=0.0)
    days = rng.normal(10, 4, (len(lead), 4))
    total = np.where(np.arange(4) < lead[:, None], days, 0).sum(axis=1)
    spread = demand_between(independent, np.zeros(1), np.array([3.0]), np.array([lead.std()]))
    assert spread.mean[0] == pytest.approx(total.mean(), rel=0.01)
    assert spread.variance[0] ** 0.5 == pytest.approx(total.std(), rel=0.02)


def test_demand_so_far_is_the_window_that_begins_with_the_forecast() -> None:
    rng = np.random.default_rng(2)
    demand = forecast(rng.uniform(5, 20, (3, H)), rng.uniform(5, 9, (3, H)))
    total = cumulative_demand(demand)
    for h in range(H):
        window = demand_between(demand, np.zeros(3), np.full(3, h + 1.0))
        np.testing.assert_allclose(total.mean[:, h], window.mean, rtol=1e-6)
        np.testing.assert_allclose(total.variance[:, h], window.variance, rtol=1e-6)


def test_deviation_comes_from_the_interval_and_is_at_least_that_of_rare_sales() -> None:
    assert period_deviation(STEADY)[0, 0] == pytest.approx(4, rel=1e-4)
    rare = Demand(np.full((1, H), 0.04, np.float32), np.zeros((1, H, 5), np.float32))
    assert period_deviation(rare)[0, 0] == pytest.approx(0.2)


def test_a_lead_time_of_days_is_as_uncertain_by_weekly_as_by_daily_forecasts() -> None:
    days = np.full((1, 28), 10.0)
    start = np.zeros(1)
    daily = demand_between(forecast(days, 4.0), start, np.array([3.0]))
    week = demand_between(forecast(days, 4.0), start, np.array([7.0]))
    weekly = forecast(np.full((1, 4), week.mean[0]), float(week.variance[0] ** 0.5))
    in_weeks = demand_between(weekly, start, np.array([3 / 7]))
    assert in_weeks.mean[0] == pytest.approx(daily.mean[0])
    assert in_weeks.variance[0] ** 0.5 == pytest.approx(daily.variance[0] ** 0.5, rel=0.1)


def test_supply_counts_a_part_of_a_period_and_skips_those_without_demand() -> None:
    mean = np.array([[10, 20, 0, 40]], np.float32)
    for on_hand, periods in ((-3, 0), (0, 0), (5, 0.5), (10, 1), (20, 1.5), (30, 3), (50, 3.5), (70, 4), (99, 4)):
        assert periods_of_supply(mean, np.array([float(on_hand)]))[0] == pytest.approx(periods), on_hand


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7])
def test_correlation_of_errors_is_measured_on_what_was_observed(correlation: float) -> None:
    rng, n = np.random.default_rng(3), 2_000
    distance = np.abs(np.subtract.outer(np.arange(H), np.arange(H)))
    actual = rng.multivariate_normal(np.full(H, 50.0), 100 * correlation**distance, n).astype(np.float32)
    actual[rng.random(actual.shape) < 0.2] = np.nan
    demand = forecast(np.full((n, H), 50.0), 10.0)
    assert error_correlation(actual, demand) == pytest.approx(correlation, abs=0.03)
    with pytest.raises(ValueError, match="no two neighbouring periods"):
        error_correlation(np.full_like(actual, np.nan), demand)
