"""Training rows and windows: which are made, how many, and what they hold."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.features import arrays
from shelfops_pipeline.features.create import FeatureRows, create_features, create_windows, training_origins
from shelfops_pipeline.features.likes import NEW_ITEM, NEW_SERIES, NEW_STORE
from shelfops_pipeline.features.sample import draw_new, ways_to_be_new
from shelfops_pipeline.features.state import Request, StateBuilder
from shelfops_pipeline.inference.matrix import base_level, model_matrix
from shelfops_pipeline.inference.sequence import reference
from tests.domain.support import LATE, NEW, REGULAR, difficult_panel, small_spec, spec_for

H = 6


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


@given(st.integers(1, 3000), st.sampled_from(list(Tier)))
def test_training_origins_are_bounded_reach_the_last_label_and_never_whole_seasons_apart(n: int, tier: Tier) -> None:
    spec = small_spec(tier=tier)
    origins = training_origins(n, spec)
    assert len(origins) <= 140  # 120, or one step in seven more
    assert (np.diff(origins) > 0).all()
    assert (np.diff(origins) % spec.season > 0).all()
    if n > 2:
        assert origins[-1] == n - 2
        assert origins[0] >= 1


def test_rows_hold_only_observed_targets(panel: Panel) -> None:
    rows = create_features(panel, spec_for(panel, Tier.PRODUCTION, H), "log", {}, 50_000, seed=1)
    assert (panel.state[rows.series, rows.origin + rows.horizon] == State.OBSERVED).all()
    assert np.isfinite(rows.demand).all()
    assert rows.horizon.min() == 1
    assert rows.horizon.max() == H


def test_the_sample_has_about_the_size_asked_for(panel: Panel) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    sizes = [len(create_features(panel, spec, "log", {}, n, seed=1).demand) for n in (300, 1000)]
    assert sizes[0] == pytest.approx(300, rel=0.35)
    assert sizes[1] == pytest.approx(1000, rel=0.2)


def test_rows_are_those_of_the_state_at_their_origin(panel: Panel) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    rows = create_features(panel, spec, "count", {}, 300, seed=1)
    builder = StateBuilder(panel, spec, "count", {})
    for i in range(0, len(rows.demand), 40):
        state = builder.at(int(rows.origin[i])).take(np.array([rows.series[i]]))
        np.testing.assert_array_equal(model_matrix(spec, state)[0, rows.horizon[i] - 1], rows.matrix[i])
        assert rows.base[i] == base_level(spec, state)[0, rows.horizon[i] - 1]


def test_equal_seeds_give_equal_samples_and_others_do_not(panel: Panel) -> None:
    spec = spec_for(panel, Tier.COLD_START, H)
    a, b, c = (create_features(panel, spec, "log", {}, 500, seed=s).matrix for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert a.shape != c.shape or not np.array_equal(a, c, equal_nan=True)


def test_about_a_tenth_of_the_cold_start_rows_are_shown_as_new_series(panel: Panel) -> None:
    shares = {}
    for tier in Tier:
        spec = spec_for(panel, tier, H)
        rows = create_features(panel, spec, "log", {}, 50_000, seed=1)
        column = feature_names(spec).index("history")
        shares[tier] = float((rows.matrix[rows.series == REGULAR, column] == 0).mean())
    assert shares[Tier.PRODUCTION] == 0
    assert 0.03 < shares[Tier.COLD_START] < 0.2


@pytest.mark.parametrize("transform", ["log", "count"])
def test_a_series_comes_in_whole_units_until_a_fraction_was_sold(panel: Panel, transform: Transform) -> None:
    demand = np.rint(panel.demand)
    day = int(np.flatnonzero(np.isfinite(demand[REGULAR]))[-5])
    demand[REGULAR, day] = 2.5
    cut_up = replace(panel, demand=demand)
    builder = StateBuilder(cut_up, spec_for(cut_up, Tier.PRODUCTION, H), transform, {})
    before, after = (builder.at(origin).scalar("whole") for origin in (day - 1, day))
    seen = np.isfinite(demand[:, : day + 1]).any(axis=1)
    assert (before[REGULAR], after[REGULAR]) == (1, 0)
    assert (np.delete(after, REGULAR)[np.delete(seen, REGULAR)] == 1).all()
    assert np.isnan(after[~seen]).all()
    assert not seen[NEW]


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize("grain", list(Grain))
def test_a_forgotten_series_looks_like_one_that_never_sold(grain: Grain, transform: Transform) -> None:
    """Its own demand is in nothing that is said of it, not even in the level of its store or its category."""
    panel = difficult_panel(grain, 430 if grain is Grain.DAY else 64)
    spec = spec_for(panel, Tier.COLD_START, H)
    origin = panel.n_observed - 1
    new = np.arange(panel.n_series) == REGULAR
    builder = StateBuilder(panel, spec, transform, {})
    state, forgotten = builder.at(origin), builder.at(origin, new)
    demand, cells = panel.demand.copy(), panel.state.copy()
    demand[REGULAR], cells[REGULAR, : panel.n_observed] = np.nan, State.NOT_LISTED
    never = StateBuilder(replace(panel, demand=demand, state=cells), spec, transform, {}).at(origin)
    for name in state.layout.shapes:
        got, expected, before = (getattr(v, name) for v in (forgotten, never, state))
        np.testing.assert_allclose(got[REGULAR], expected[REGULAR], rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(got[~new], before[~new], err_msg=name)
    assert np.isnan(forgotten.scalar(f"category_level_{spec.month}")[REGULAR])  # the only one of its category here
    assert np.isfinite(state.scalar(f"category_level_{spec.month}")[REGULAR])
    assert forgotten.scalar("fallback_level")[REGULAR] == forgotten.scalar("likes_level")[REGULAR]


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize("key", ["item_id", "store_id"])
def test_a_series_whose_item_or_store_is_forgotten_looks_like_one_of_an_item_or_store_that_never_sold(
    key: str, transform: Transform
) -> None:
    panel = difficult_panel()
    spec = spec_for(panel, Tier.COLD_START, H)
    origin = panel.n_observed - 1
    codes = panel.static[key].codes
    gone = codes == codes[REGULAR]
    demand, cells = panel.demand.copy(), panel.state.copy()
    demand[gone] = np.nan
    cells[gone, : panel.n_observed] = State.NOT_LISTED
    never = StateBuilder(replace(panel, demand=demand, state=cells), spec, transform, {}).at(origin)
    builder = StateBuilder(panel, spec, transform, {})
    marks = np.where(gone, NEW_ITEM if key == "item_id" else NEW_STORE, 0)
    state, forgotten = builder.at(origin), builder.at(origin, marks)
    for name in state.layout.shapes:
        got, expected, before = (getattr(v, name) for v in (forgotten, never, state))
        np.testing.assert_allclose(got[gone], expected[gone], rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(got[~gone], before[~gone], err_msg=name)
    for name in (f"{key.removesuffix('_id')}_level_{spec.month}", f"static_{key}"):
        assert np.isnan(forgotten.scalar(name)[gone]).all(), name
        assert np.isfinite(state.scalar(name)[gone]).all(), name
    alone = builder.at(origin, np.where(np.arange(len(gone)) == REGULAR, NEW_SERIES, 0))
    assert np.isfinite(alone.scalar(f"static_{key}")[REGULAR])  # known from other stores, or by other items


def test_series_items_and_stores_are_shown_as_new_in_their_shares_and_the_only_one_of_its_kind_never(
    panel: Panel,
) -> None:
    shares = {NEW_SERIES: 0.2, NEW_ITEM: 0.1, NEW_STORE: 0.3}
    drawn = draw_new(panel, shares, 20_000, np.random.default_rng(1))
    assert {mark: pytest.approx(float((drawn == mark).mean()), abs=0.02) for mark in (0, *shares)} == {0: 0.4, **shares}
    one_store = panel.take(panel.store_ids == "S0")
    one_item = panel.take(panel.item_ids == "bun")
    assert ways_to_be_new(panel) == (NEW_SERIES, NEW_ITEM, NEW_STORE)
    assert ways_to_be_new(one_store) == (NEW_SERIES, NEW_ITEM)
    assert ways_to_be_new(one_item) == (NEW_SERIES, NEW_STORE)
    drawn = draw_new(one_store, shares, 20_000, np.random.default_rng(1))
    assert float((drawn == NEW_SERIES).mean()) == pytest.approx(0.5, abs=0.02)
    assert set(drawn) == {0, NEW_SERIES, NEW_ITEM}


def test_training_rows_of_a_series_shown_as_new_do_not_know_its_demand(panel: Panel) -> None:
    spec = spec_for(panel, Tier.COLD_START, H)
    demand = panel.demand.copy()
    demand[REGULAR] *= 50
    a, b = (create_features(p, spec, "log", {}, 50_000, seed=1) for p in (panel, replace(panel, demand=demand)))
    names = feature_names(spec)
    new = (a.series == REGULAR) & (a.matrix[:, names.index("history")] == 0)
    assert new.sum() > 20
    np.testing.assert_allclose(a.matrix[new], b.matrix[new], rtol=1e-4, atol=1e-4)
    assert not np.allclose(a.demand[new], b.demand[new])


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize("tier", list(Tier))
def test_rows_and_windows_do_not_depend_on_the_size_of_the_blocks(
    panel: Panel, tier: Tier, transform: Transform
) -> None:
    spec = spec_for(panel, tier, H)
    whole = create_features(panel, spec, transform, {}, 1000, 1), create_windows(panel, spec, transform, {}, 100, 1)
    rows = create_features(panel, spec, transform, {}, 1000, 1, block=2)
    windows = create_windows(panel, spec, transform, {}, 100, 1, block=2)
    for one, other in zip(whole, (rows, windows), strict=True):
        for name in one.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize("tier", list(Tier))
def test_rows_of_shards_of_series_are_together_those_of_all_of_them(
    panel: Panel, tier: Tier, transform: Transform
) -> None:
    spec = spec_for(panel, tier, H)
    whole = create_features(panel, spec, transform, {}, 1000, 1)
    for cuts in ((0, 9), (0, 4, 9), (0, 1, 2, 8, 9)):
        shards = [slice(*ends) for ends in pairwise(cuts)]
        parts = [create_features(panel, spec, transform, {}, 1000, 1, series=series) for series in shards]
        assert all(np.isin(part.series, np.arange(9)[series]).all() for part, series in zip(parts, shards, strict=True))
        joined = FeatureRows.join(parts[::-1])
        for name in whole.__dataclass_fields__:
            assert getattr(whole, name).tobytes() == getattr(joined, name).tobytes(), name


def test_rows_too_large_for_memory_lie_in_a_file_and_are_the_same(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    whole = create_features(panel, spec, "log", {}, 1000, 1)
    monkeypatch.setattr(arrays, "_LARGE", 1_000)
    halves = [create_features(panel, spec, "log", {}, 1000, 1, series=series) for series in (slice(0, 4), slice(4, 9))]
    for rows in (create_features(panel, spec, "log", {}, 1000, 1), FeatureRows.join(halves)):
        assert isinstance(rows.matrix, np.memmap)
        assert rows.matrix.tobytes() == whole.matrix.tobytes()


def test_memory_does_not_grow_with_the_number_of_series() -> None:
    panel = difficult_panel(periods=120)

    def peak(copies: int) -> int:
        many = panel.take(np.tile(np.arange(panel.n_series), copies))
        spec = spec_for(many, Tier.PRODUCTION, H)
        tracemalloc.start()
        create_features(many, spec, "log", {}, 300, 1, 128)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(120) < 1.3 * peak(20)


def test_requests_out_of_order_are_refused(panel: Panel) -> None:
    builder = StateBuilder(panel, spec_for(panel, Tier.COLD_START, H), "log", {})
    request = Request(50, np.array([0]), np.array([False]))
    for requests in ([replace(request, origin=60), request], [request, request]):
        with pytest.raises(ValueError, match="in the order of their origins"):
            next(builder.over(requests))


@pytest.mark.parametrize("transform", ["log", "count"])
def test_window_targets_turn_back_into_the_demand_they_were_made_of(panel: Panel, transform: Transform) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    windows = create_windows(panel, spec, transform, {}, 10_000, seed=1)
    seen = windows.target[..., 1] > 0
    assert seen.any(axis=1).all()
    assert windows.encoder.shape[1:] == (spec.encoder_length, 2 + len(spec.channels))
    assert windows.static.min() >= 0
    assert (windows.target[..., 0][~seen] == 0).all()
    # So many windows are asked for that all are made: by origin, those series with an observed target.
    builder, k = StateBuilder(panel, spec, transform, {}), 0
    for t in training_origins(panel.n_observed, spec):
        ref, spread = reference(spec, builder.at(int(t)), transform)
        y = np.full((panel.n_series, H), np.nan, np.float32)
        known = panel.demand[:, t + 1 : min(t + 1 + H, panel.n_observed)]
        y[:, : known.shape[1]] = known
        for s in np.flatnonzero(np.isfinite(y).any(axis=1)):
            target, weight = windows.target[k].T
            np.testing.assert_array_equal(weight > 0, np.isfinite(y[s]))
            demand = np.expm1(ref[s] + spread[s] * target) if transform == "log" else ref[s] * target
            np.testing.assert_allclose(demand[weight > 0], y[s][weight > 0], rtol=1e-3, atol=1e-3)
            k += 1
    assert k == len(windows.target)


@pytest.mark.parametrize("transform", ["log", "count"])
def test_network_inputs_are_finite_and_bounded_for_every_kind_of_series(panel: Panel, transform: Transform) -> None:
    windows = create_windows(panel, spec_for(panel, Tier.PRODUCTION, H), transform, {"warmth": (0, 0.01)}, 10_000, 1)
    for values in (windows.encoder, windows.decoder):
        assert np.isfinite(values).all()
        assert np.abs(values).max() <= 8
    assert np.isfinite(windows.target).all()


def test_a_panel_of_one_period_says_that_it_is_too_short() -> None:
    panel = difficult_panel(periods=50).as_of(0, H)
    spec = spec_for(panel, Tier.COLD_START, H)
    with pytest.raises(NotEnoughHistoryError, match="no training row"):
        create_features(panel, spec, "log", {}, 100, seed=1)
    with pytest.raises(NotEnoughHistoryError, match="no training window"):
        create_windows(panel, spec, "log", {}, 100, seed=1)


def test_a_panel_in_which_nothing_was_observed_says_so() -> None:
    panel = difficult_panel(periods=60).take(np.array([NEW]))
    spec = spec_for(panel, Tier.COLD_START, H)
    with pytest.raises(NotEnoughHistoryError, match="too short or unobserved"):
        create_features(panel, spec, "log", {}, 100, seed=1)
    with pytest.raises(NotEnoughHistoryError, match="too short or unobserved"):
        create_windows(panel, spec, "log", {}, 100, seed=1)


def test_weekly_rows_are_made_like_daily_ones() -> None:
    panel = difficult_panel(Grain.WEEK, 64)
    rows = create_features(panel, spec_for(panel, Tier.PRODUCTION, H), "log", {}, 50_000, seed=1)
    np.testing.assert_array_equal(rows.demand, panel.demand[rows.series, rows.origin + rows.horizon])
    assert NEW not in rows.series
    assert LATE in rows.series
