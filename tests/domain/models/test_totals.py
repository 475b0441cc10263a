"""Totals forecast at their own level: what they come from, and how far the members' sums lie from them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.contracts.columns import ON_PROMOTION, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.totals import sum_by, totals_of
from shelfops_pipeline.models.totals import Totals, totals_recipe
from tests.domain.support import chain_panel, difficult_panel, with_store_totals

H = 7
Floats = NDArray[np.float32]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def chain() -> Panel:
    return chain_panel()


def made(panel: Panel, horizon: int = H) -> Totals:
    totals = Totals.of(panel, horizon)
    assert totals is not None
    return totals


def two_totals(forecast: list[float], groups: tuple[int, ...] = (0, 0, 1, 1)) -> Totals:
    """Two totals over two periods; each number holds for both periods."""
    return Totals(np.array(groups), np.repeat(np.array(forecast, np.float32)[:, None], 2, axis=1))


def test_members_moved_by_their_whole_shift_add_up_to_the_totals() -> None:
    totals = two_totals([12.0, 90.0])
    member = np.array([[2, 3], [4, 5], [50, 60], [10, 90]], np.float32)
    moved = member * np.exp(totals.shift(member))
    np.testing.assert_allclose(sum_by(moved, totals.groups), totals.forecast, rtol=1e-5)
    np.testing.assert_allclose(moved[0] / moved[1], member[0] / member[1], rtol=1e-5)  # shares stay as they were


def test_half_the_shift_halves_the_distance_on_the_log_scale() -> None:
    totals = two_totals([22.5, 22.5])
    member = np.full((4, 2), 5.0, np.float32)
    moved = member * np.exp(0.5 * totals.shift(member))
    np.testing.assert_allclose(sum_by(moved, totals.groups), 15.0, rtol=1e-5)  # between 10 and 22.5


def test_where_either_is_nothing_there_is_no_shift() -> None:
    closed = np.array([[0, 3], [0, 3], [5, 5], [5, 5]], np.float32)
    shift = two_totals([10.0, 0.0]).shift(closed)
    np.testing.assert_array_equal(shift[:2, 0], 0)  # members say closed
    np.testing.assert_array_equal(shift[2:], 0)  # the total says closed
    assert (shift[:2, 1] != 0).all()


def test_a_total_of_another_quantity_moves_a_member_by_a_factor_of_three_at_most() -> None:
    shift = two_totals([1e6, 1e-1 + 1e-3]).shift(np.full((4, 2), 50.0, np.float32))
    np.testing.assert_allclose(np.exp(shift[:, 0]), [3, 3, 1 / 3, 1 / 3], rtol=1e-5)


def test_each_member_has_its_own_shift_in_the_order_of_the_members() -> None:
    totals = two_totals([8.0, 8.0])
    low, high = np.full((4, 2), 2.0, np.float32), np.full((4, 2), 8.0, np.float32)
    shifts = totals.shifts({"lstm": high, "xgboost": low})
    assert shifts.shape == (4, len(MEMBERS), 2)
    np.testing.assert_allclose(shifts[:, MEMBERS.index("xgboost")], np.log(2), rtol=1e-5)
    np.testing.assert_allclose(shifts[:, MEMBERS.index("lstm")], -np.log(2), rtol=1e-5)


def test_totals_are_forecast_for_every_period_and_closed_days_sell_nothing(chain: Panel) -> None:
    totals = made(chain)
    assert totals.forecast.shape == (6, H)
    panel, groups = totals_of(chain) or (chain, totals.groups)
    np.testing.assert_array_equal(totals.groups, groups)
    sunday = (chain.n_observed + np.arange(H)) % 7 == 6
    store = panel.static["store_id"].codes
    assert (totals.forecast[store == 0][:, sunday] == 0).all()
    assert (totals.forecast[store != 0] > 0).all()
    assert (totals.shift(np.ones((chain.n_series, H), np.float32))[:8, sunday] == 0).all()


@pytest.mark.usefixtures("whole_totals")
def test_the_forecast_of_totals_is_near_what_they_sell(chain: Panel) -> None:
    """On a plain chain, where the days of the week and the level are all there is to know."""
    origin = chain.n_observed - 1 - H
    totals = made(chain.as_of(origin, H))
    actual = sum_by(chain.demand[:, origin + 1 : origin + 1 + H], totals.groups)
    assert np.abs(totals.forecast - actual).sum() < 0.15 * actual.sum()  # measured 0.12; chance alone: 0.12


def test_totals_are_the_same_every_time_and_leave_the_panel_as_it_was(chain: Panel) -> None:
    before = chain.demand.copy()
    a, b = made(chain), made(chain)
    np.testing.assert_array_equal(a.forecast, b.forecast)
    np.testing.assert_array_equal(chain.demand, before)


def test_a_series_that_was_never_sold_takes_part_in_its_total_and_leaves_it_finite(chain: Panel) -> None:
    demand, state = chain.demand.copy(), chain.state.copy()
    demand[3, : chain.n_observed] = np.nan
    state[3, : chain.n_observed] = 1
    totals = made(replace(chain, demand=demand, state=state))
    member = np.ones((chain.n_series, H), np.float32)
    member[3] = 0
    shift = totals.shift(member)
    assert np.isfinite(shift).all()
    np.testing.assert_array_equal(shift[3], shift[1])  # that of its neighbour
    assert (np.exp(shift[3]) * member[3] == 0).all()


def test_a_department_that_never_sold_anything_moves_nobody(chain: Panel) -> None:
    rows = (chain.static["store_id"].codes == 1) & (chain.static["category"].codes == 0)
    demand = chain.demand.copy()
    demand[np.ix_(rows, np.arange(chain.n_observed))] = 0
    totals = made(replace(chain, demand=demand))
    shift = totals.shift(np.where(rows[:, None], np.float32(0), np.full((chain.n_series, H), 5, np.float32)))
    assert np.isfinite(totals.forecast).all()
    assert (shift[rows] == 0).all()
    assert (shift[~rows] != 0).any()


def test_store_totals_are_learned_from_over_their_whole_history(chain: Panel) -> None:
    """A month of items and a year more of totals: only the totals can have the long windows of the production tier."""
    short = chain_panel(periods=35)
    panel = with_store_totals(short)
    assert panel.store_totals is not None
    assert totals_recipe(panel.store_totals, H).spec.tier is Tier.PRODUCTION
    assert totals_recipe(short, H).spec.tier is Tier.COLD_START
    totals = made(panel)
    assert totals.forecast.shape == (3, H)
    np.testing.assert_array_equal(totals.groups, short.static["store_id"].codes)


@pytest.mark.parametrize("panel", [difficult_panel(), chain_panel(periods=10)], ids=["few series", "ten days"])
def test_without_enough_to_learn_from_there_are_no_totals(panel: Panel) -> None:
    assert Totals.of(panel, H) is None


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 1e4]), stores=st.booleans())
def test_what_happens_after_the_origin_changes_no_total_forecast(
    chain: Panel, seed: int, scale: float, stores: bool
) -> None:
    origin, rng = 60, np.random.default_rng(seed)
    panel = with_store_totals(chain, extra=364) if stores else chain

    def noise(values: Floats, first: int) -> Floats:
        out = values.copy()
        out[:, first:] = rng.poisson(scale, out[:, first:].shape)
        return out

    promo = noise(panel.channels[ON_PROMOTION], origin + 1 + H)
    other = replace(panel, demand=noise(panel.demand, origin + 1), channels=panel.channels | {ON_PROMOTION: promo})
    if other.store_totals is not None:
        later = noise(other.store_totals.demand, 364 + origin + 1)
        other = replace(other, store_totals=replace(other.store_totals, demand=later))
    a, b = (made(p.as_of(origin, H)) for p in (panel, other))
    np.testing.assert_array_equal(a.forecast, b.forecast)
    np.testing.assert_array_equal(a.groups, b.groups)
