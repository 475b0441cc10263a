"""Totals of series: sums by hand, what they are sums of, and what a total knows of the days to come."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE
from shelfops_pipeline.data.panel import Panel, State, Static
from shelfops_pipeline.features.totals import PROMOTED_SHARE, groups_of, sum_by, totals_of
from tests.domain.support import chain_panel, difficult_panel, with_store_totals

Floats = NDArray[np.float32]
STORE, CATEGORY = 1, 0  # a store that never closes


@pytest.fixture
def chain() -> Panel:
    """Three stores, eight items in two categories: six totals of four series."""
    return chain_panel()


def found(panel: Panel) -> tuple[Panel, NDArray[np.intp]]:
    made = totals_of(panel)
    assert made is not None
    return made


def members(panel: Panel, store: int = STORE, category: int = CATEGORY) -> NDArray[np.intp]:
    """The rows of a department."""
    return np.flatnonzero((panel.static["store_id"].codes == store) & (panel.static["category"].codes == category))


def with_demand(panel: Panel, rows: NDArray[np.intp], days: slice, value: float) -> Panel:
    """The panel with another demand in some cells; NaN is unknown."""
    demand, state = panel.demand.copy(), panel.state.copy()
    demand[rows, days] = value
    state[rows, days] = State.UNKNOWN if np.isnan(value) else State.OBSERVED
    return replace(panel, demand=demand, state=state)


def loop(panel: Panel, groups: NDArray[np.intp]) -> Floats:
    """[G, T] totals by naive loops: the sum of what is known, without days of next to nothing."""
    out = np.full((groups.max() + 1, panel.n_periods), np.nan, np.float32)
    for g in range(len(out)):
        for t in range(panel.n_periods):
            values = [panel.demand[s, t] for s in range(panel.n_series) if groups[s] == g]
            known = [v for v in values if not np.isnan(v)]
            if known:
                out[g, t] = sum(known)
        median = np.median(out[g][np.isfinite(out[g])])
        for t in range(panel.n_periods):
            if median >= 20 and out[g, t] < 0.05 * median:
                out[g, t] = np.nan
    return out


def test_totals_are_the_sums_of_what_is_known(chain: Panel) -> None:
    holes = np.random.default_rng(1).random(chain.demand.shape) < 0.4
    demand, state = chain.demand.copy(), chain.state.copy()
    demand[holes] = np.nan
    state[holes & (state == State.OBSERVED)] = State.UNKNOWN
    demand[members(chain, 2, 1), 50] = 0
    panel = replace(chain, demand=demand, state=state)
    totals, groups = found(panel)
    expected = loop(panel, groups)
    assert totals.n_series == 6
    assert np.isnan(expected[:, : panel.n_observed]).sum() > 20
    np.testing.assert_allclose(totals.demand, expected, rtol=1e-5)
    np.testing.assert_array_equal(np.isfinite(totals.demand), totals.state == State.OBSERVED)


def test_sums_by_group_take_rows_in_any_order_and_skip_what_is_not_known() -> None:
    values = np.array([[1, np.nan], [10, 20], [2, np.nan], [30, np.nan]], np.float32)
    np.testing.assert_array_equal(sum_by(values, np.array([1, 0, 1, 0])), [[40, 20], [3, 0]])


def test_sums_over_more_periods_than_are_summed_at_once_are_the_same(chain: Panel) -> None:
    groups = np.random.default_rng(2).permutation(np.arange(chain.n_series) % 5)
    known = np.nan_to_num(chain.demand)
    np.testing.assert_allclose(sum_by(chain.demand, groups), [known[groups == g].sum(axis=0) for g in range(5)])


def test_a_total_is_a_store_and_the_finest_attribute_that_its_items_share(chain: Panel) -> None:
    groups = groups_of(chain)
    assert groups is not None
    store, category = chain.static["store_id"].codes, chain.static["category"].codes
    for g in range(6):
        assert len({(store[s], category[s]) for s in np.flatnonzero(groups == g)}) == 1
    assert len(np.unique(groups)) == 6


def test_items_of_no_category_are_a_group_of_their_own(chain: Panel) -> None:
    static = chain.static["category"]
    none = replace(
        chain, static=chain.static | {"category": Static(np.where(static.codes == 1, -1, 0), static.categories)}
    )
    np.testing.assert_array_equal(np.bincount(found(none)[1]), [4] * 6)


def test_an_attribute_that_an_item_has_in_one_store_only_groups_no_items(chain: Panel) -> None:
    shelf = Static(np.random.default_rng(0).integers(0, 2, chain.n_series).astype(np.int32), ("left", "right"))
    static = {k: v for k, v in chain.static.items() if k != "category"} | {"shelf": shelf}
    groups = groups_of(replace(chain, static=static))
    np.testing.assert_array_equal(groups, chain.static["store_id"].codes)


def test_a_finer_attribute_that_leaves_too_few_series_to_a_total_is_not_used(chain: Panel) -> None:
    brand = Static(chain.static["item_id"].codes // 2, ("a", "b", "c", "d"))
    groups = groups_of(replace(chain, static=chain.static | {"brand": brand}))
    assert groups is not None
    assert groups.max() + 1 == 6  # by category; by brand it would be twelve totals of two series


@pytest.mark.parametrize("items", [3, 4])
def test_there_are_no_totals_of_fewer_than_four_series(items: int) -> None:
    assert (totals_of(chain_panel(items=items)) is None) is (items < 4)


def test_a_retailer_with_one_item_per_store_has_no_totals() -> None:
    assert totals_of(chain_panel(stores=9, items=1)) is None
    assert totals_of(difficult_panel()) is None


def test_a_day_on_which_a_department_sold_next_to_nothing_teaches_nothing(chain: Panel) -> None:
    rows = members(chain)
    shut = with_demand(chain, rows, np.s_[70:71], 0.0)
    totals, groups = found(shut)
    assert np.isnan(totals.demand[groups[rows[0]], 70])
    assert totals.state[groups[rows[0]], 70] == State.UNKNOWN
    assert np.isfinite(totals.demand[groups[rows[0]], [69, 71]]).all()


def test_a_small_total_may_be_zero_by_chance() -> None:
    """Its days without a sale are demand; without them it would look larger than it is."""
    small = chain_panel(rate=0.3, items=12, seed=1)
    totals, groups = found(small)
    observed = np.isfinite(sum_by(small.demand, groups)) & (sum_by(np.isfinite(small.demand), groups) > 0)
    np.testing.assert_array_equal(np.isfinite(totals.demand), observed)
    assert (totals.demand == 0).sum() > 10


def test_a_closed_store_has_no_total_and_future_days_have_none_either(chain: Panel) -> None:
    totals, groups = found(chain)
    shut = groups[members(chain, 0)[0]]
    sunday = np.flatnonzero(np.arange(chain.n_observed) % 7 == 6)
    assert (totals.state[shut, sunday] == State.CLOSED).all()
    assert np.isnan(totals.demand[shut, sunday]).all()
    assert (totals.state[:, chain.n_observed :] == State.FUTURE).all()
    assert totals.n_observed == chain.n_observed


def test_of_promotions_a_total_knows_the_share_and_of_the_store_what_holds_for_all(chain: Panel) -> None:
    totals, groups = found(chain)
    assert set(totals.channels) == {OPEN, HOLIDAY, PROMOTED_SHARE, "warmth"}
    assert PRICE not in totals.channels
    rows = members(chain)
    g = groups[rows[0]]
    np.testing.assert_allclose(totals.channels[PROMOTED_SHARE][g], chain.channels[ON_PROMOTION][rows].mean(axis=0))
    for name in (OPEN, HOLIDAY, "warmth"):
        np.testing.assert_allclose(totals.channels[name][g], chain.channels[name][rows[0]], rtol=1e-6)
    assert set(totals.static) == {"store_id", "category", "region"}
    assert totals.static["category"].codes[g] == CATEGORY
    assert totals.store_ids[g] == f"S{STORE}"


def test_a_covariate_that_is_not_known_is_not_known_of_the_total_either(chain: Panel) -> None:
    rows = members(chain)
    warmth, promo = chain.channels["warmth"].copy(), chain.channels[ON_PROMOTION].copy()
    warmth[rows, -3:] = np.nan
    promo[rows[:2], -1] = np.nan
    promo[rows[2:], -1] = [1, 0]
    totals, groups = found(replace(chain, channels=chain.channels | {"warmth": warmth, ON_PROMOTION: promo}))
    g = groups[rows[0]]
    assert np.isnan(totals.channels["warmth"][g, -3:]).all()
    assert np.isfinite(totals.channels["warmth"][g, :-3]).all()
    assert totals.channels[PROMOTED_SHARE][g, -1] == 0.5


def test_store_totals_with_a_longer_history_are_preferred(chain: Panel) -> None:
    panel = with_store_totals(chain)
    totals, groups = found(panel)
    assert totals.n_observed == 400 + chain.n_observed
    np.testing.assert_array_equal(totals.store_ids[groups], panel.store_ids)
    assert panel.store_totals is not None
    np.testing.assert_allclose(totals.demand, panel.store_totals.demand, rtol=1e-6)


@pytest.mark.parametrize("factor", [1.7, 0.01])
def test_store_totals_of_other_units_or_more_items_are_brought_to_the_level_of_the_series(
    chain: Panel, factor: float
) -> None:
    plain, scaled = (found(with_store_totals(chain, f))[0] for f in (1.0, factor))
    np.testing.assert_allclose(scaled.demand, plain.demand, rtol=1e-4)


def test_the_level_of_store_totals_is_that_of_the_days_on_which_both_are_known(chain: Panel) -> None:
    panel = with_store_totals(chain, 2.0)
    assert panel.store_totals is not None
    demand = panel.store_totals.demand.copy()
    demand[:, 400:500] = np.nan
    state = np.where(np.isfinite(demand), panel.store_totals.state, State.UNKNOWN).astype(np.uint8)
    state[:, panel.store_totals.n_observed :] = State.FUTURE
    gap = replace(panel, store_totals=replace(panel.store_totals, demand=demand, state=state))
    np.testing.assert_allclose(
        found(gap)[0].demand[:, :400], found(with_store_totals(chain))[0].demand[:, :400], rtol=1e-4
    )


def test_a_day_of_next_to_nothing_in_a_store_total_teaches_nothing(chain: Panel) -> None:
    panel = with_store_totals(chain)
    assert panel.store_totals is not None
    demand = panel.store_totals.demand.copy()
    demand[1, 120] = 0
    totals, _ = found(replace(panel, store_totals=replace(panel.store_totals, demand=demand)))
    assert np.isnan(totals.demand[1, 120])
    assert totals.state[1, 120] == State.UNKNOWN


def test_a_store_of_which_no_total_is_known_leaves_all_to_the_sums_of_series(chain: Panel) -> None:
    panel = with_store_totals(chain)
    assert panel.store_totals is not None
    panel = replace(panel, store_totals=panel.store_totals.take(np.array([0, 2])))
    totals, groups = found(panel)
    assert totals.store_totals is None
    assert groups.max() + 1 == 6
    assert totals.n_observed == chain.n_observed


def test_some_of_the_series_have_no_store_totals(chain: Panel) -> None:
    assert with_store_totals(chain).take(np.arange(4)).store_totals is None
