"""The state: packed and unpacked without loss, overridden only where asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.contracts.columns import ON_PROMOTION, OPEN, PRICE, Grain, Tier
from shelfops_pipeline.contracts.spec import TierSpec, tier_spec
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.state import Layout, SeriesState
from tests.domain.support import blank_state, difficult_panel, small_spec, spec_for

H = 5


@pytest.fixture(scope="module", params=[(g, t) for g in Grain for t in Tier], ids=lambda p: f"{p[0]}-{p[1]}")
def state(request: pytest.FixtureRequest) -> tuple[SeriesState, TierSpec]:
    grain, tier = request.param
    panel = difficult_panel(grain, 430 if grain is Grain.DAY else 64)
    spec = spec_for(panel, tier, H)
    made = StateBuilder(panel, spec, "log", {}).at(panel.n_observed - 1)
    assert (made.shift == 0).all()
    made.shift[:] = np.random.default_rng(0).normal(size=made.shift.shape)
    return made, spec


def arrays(state: SeriesState) -> dict[str, np.ndarray]:
    return {name: getattr(state, name) for name in state.layout.shapes}


def test_packing_and_unpacking_lose_nothing(state: tuple[SeriesState, TierSpec]) -> None:
    original, spec = state
    payloads = original.pack()
    again = SeriesState.unpack(spec, original.origin, payloads)
    assert again.layout == original.layout
    assert again.grain == original.grain
    for name, values in arrays(original).items():
        np.testing.assert_array_equal(getattr(again, name), values)
    np.testing.assert_array_equal(again.target_dates, original.target_dates)


def test_unpacked_series_are_in_the_order_of_their_payloads(state: tuple[SeriesState, TierSpec]) -> None:
    original, spec = state
    payloads = original.pack()
    some = SeriesState.unpack(spec, original.origin, [payloads[5], payloads[0]])
    expected = original.take(np.array([5, 0]))
    for name, values in arrays(expected).items():
        np.testing.assert_array_equal(getattr(some, name), values)


def test_a_payload_of_another_size_is_refused() -> None:
    spec, other = small_spec(H), small_spec(H + 1)
    payload = blank_state(other, 1).pack()
    with pytest.raises(ValueError, match=r"payload holds .* numbers, the layout"):
        SeriesState.unpack(spec, np.datetime64("2025-03-02"), payload)


@given(
    changes=st.dictionaries(
        st.sampled_from([OPEN, ON_PROMOTION, PRICE]),
        st.lists(st.tuples(st.integers(1, H), st.floats(0, 100, width=32)), min_size=1, max_size=3),
    ),
    row=st.integers(0, 3),
)
def test_an_override_changes_the_named_cells_and_nothing_else(
    changes: dict[str, list[tuple[int, float]]], row: int
) -> None:
    spec = small_spec(H, channels=(OPEN, ON_PROMOTION, PRICE))
    before, after = blank_state(spec, 4, center=3.0), blank_state(spec, 4, center=3.0)
    after.override(row, changes)
    expected = before.channels.copy()
    for name, values in changes.items():
        for h, value in values:
            expected[row, spec.channels.index(name), spec.lead_in + h - 1] = value
    np.testing.assert_array_equal(after.channels, expected)
    for name in ("scalars", "seasonal", "seasonal_promo", "by_horizon", "encoder", "shift"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_an_override_of_an_unknown_channel_names_it() -> None:
    with pytest.raises(KeyError, match="weather"):
        blank_state(small_spec(H), 1).override(0, {"weather": [(1, 20.0)]})


@pytest.mark.parametrize("h", [0, -1, H + 1])
def test_an_override_outside_the_horizon_is_refused(h: int) -> None:
    state = blank_state(small_spec(H), 1)
    before = state.channels.copy()
    with pytest.raises(IndexError, match="horizon"):
        state.override(0, {OPEN: [(h, 0.0)]})
    np.testing.assert_array_equal(state.channels, before)


def test_target_periods_follow_the_origin_by_days_or_by_weeks() -> None:
    daily = blank_state(small_spec(3), 1, origin="2025-02-27")
    assert [str(d) for d in daily.target_dates] == ["2025-02-28", "2025-03-01", "2025-03-02"]
    weekly = blank_state(tier_spec(Tier.COLD_START, Grain.WEEK, 2, 60, (OPEN,), (), ("store_id",)), 1, "2025-02-24")
    assert [str(d) for d in weekly.target_dates] == ["2025-03-03", "2025-03-10"]


def test_only_periods_known_to_be_shut_count_as_closed() -> None:
    state = blank_state(small_spec(3), 2)
    state.channel(OPEN)[0, -3:] = [0, np.nan, 1]
    np.testing.assert_array_equal(state.closed(), [[True, False, False], [False, False, False]])
    assert not blank_state(small_spec(3, channels=(PRICE,)), 2).closed().any()


def test_layouts_of_different_tiers_differ() -> None:
    assert Layout.of(small_spec(H)) == Layout.of(small_spec(H))
    assert Layout.of(small_spec(H)) != Layout.of(small_spec(H, Tier.PRODUCTION))
