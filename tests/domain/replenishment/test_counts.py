"""The distribution of demand over an interval, against scipy's own and against arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from shelfops_pipeline.replenishment.counts import at_most, expected_sales, quantile


def one(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([value], dtype=np.float64)


@given(st.floats(0.01, 500), st.floats(1.05, 8), st.integers(0, 1000))
def test_it_is_the_negative_binomial_of_the_mean_and_variance(mean: float, ratio: float, units: int) -> None:
    expected = nbinom(mean / (ratio - 1), 1 / ratio).cdf(units)
    assert at_most(one(units), one(mean), one(mean * ratio))[0] == pytest.approx(expected, abs=1e-9)


def test_no_more_variance_than_the_mean_is_a_poisson_distribution() -> None:
    units = np.arange(0, 20.0)
    for variance in (0.0, 3.0, 5.0):
        np.testing.assert_allclose(at_most(units, one(5.0), one(variance)), poisson(5).cdf(units), atol=1e-5)


@given(st.floats(0, 300), st.floats(1, 8), st.floats(0.01, 0.999))
def test_a_quantile_is_the_fewest_units_that_are_enough(mean: float, ratio: float, level: float) -> None:
    found = quantile(one(level), one(mean), one(mean * ratio))
    assert found[0] == np.round(found[0])
    assert at_most(found, one(mean), one(mean * ratio))[0] >= level
    assert at_most(found - 1, one(mean), one(mean * ratio))[0] < level


def test_no_demand_needs_nothing_and_unknown_stock_has_no_probability() -> None:
    assert quantile(one(0.99), one(0), one(0))[0] == 0
    assert at_most(one(0), one(0), one(0))[0] == 1
    assert at_most(one(-1), one(0), one(0))[0] == 0
    assert np.isnan(at_most(one(np.nan), one(3), one(4))[0])


def test_slow_sales_have_a_probability_of_none_at_all() -> None:
    assert at_most(one(0), one(0.2), one(0.3))[0] == pytest.approx(nbinom(0.4, 2 / 3).pmf(0))
    assert quantile(one(0.8), one(0.2), one(0.3))[0] == 0


@given(st.floats(0.05, 60), st.floats(1.05, 6), st.integers(0, 90))
def test_expected_sales_are_the_smaller_of_demand_and_stock(mean: float, ratio: float, units: int) -> None:
    demand = np.arange(0, 2_000)
    chance = nbinom(mean / (ratio - 1), 1 / ratio).pmf(demand)
    expected = (np.minimum(demand, units) * chance).sum()
    assert expected_sales(one(units), one(mean), one(mean * ratio))[0] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert expected_sales(one(units), one(0), one(0))[0] == 0
