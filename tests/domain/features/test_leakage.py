"""The future cannot be reached from the past: whatever happens after the origin, features and baselines stay put."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.evaluation.baselines import BaselineHistory
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.inference.sequence import decoder_inputs, static_inputs
from shelfops_pipeline.inference.state import SeriesState
from tests.domain.support import difficult_panel, spec_for

HORIZON = 6
SCALES = {"warmth": (0.3, 2.0)}
PANELS = {Grain.DAY: difficult_panel(Grain.DAY, 420, 30), Grain.WEEK: difficult_panel(Grain.WEEK, 64, 20)}

# The functions under test read module-level panels that no example changes.
quick = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def other_futures(draw: st.DrawFn) -> tuple[Panel, Panel, int]:
    """(panel, the same panel with another future, origin): demand, states and past channels differ at will after the
    origin, known-future channels after the horizon."""
    panel = PANELS[draw(st.sampled_from(list(Grain)))]
    origin = draw(st.integers(0, panel.n_observed - 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1.0, 1e4]))
    future, beyond = np.s_[:, origin + 1 :], np.s_[:, origin + 1 + HORIZON :]

    def noise(values: NDArray[np.float32]) -> NDArray[np.float32]:
        out = rng.poisson(scale, values.shape).astype(np.float32)
        out[rng.random(out.shape) < 0.2] = np.nan
        return out

    def changed(values: NDArray[np.float32], where: tuple[slice, slice]) -> NDArray[np.float32]:
        out = values.copy()
        out[where] = noise(values[where])
        return out

    state = panel.state.copy()
    state[future] = rng.integers(0, len(State) - 1, state[future].shape)
    other = replace(
        panel,
        demand=changed(panel.demand, future),
        state=state,
        channels={k: changed(v, beyond) for k, v in panel.channels.items()},
        past={k: changed(v, future) for k, v in panel.past.items()},
    )
    return panel, other, origin


def assert_same_state(a: SeriesState, b: SeriesState) -> None:
    assert a.origin == b.origin
    for name in a.layout.shapes:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize("tier", list(Tier))
@quick
@given(futures=other_futures())
def test_model_inputs_do_not_depend_on_the_future(
    tier: Tier, transform: Transform, futures: tuple[Panel, Panel, int]
) -> None:
    panel, other, origin = futures
    spec = spec_for(panel, tier, HORIZON)
    new = np.arange(panel.n_series) % 4 == origin % 4
    a, b = (StateBuilder(p, spec, transform, SCALES).at(origin, new) for p in (panel, other))
    assert_same_state(a, b)
    np.testing.assert_array_equal(model_matrix(spec, a), model_matrix(spec, b))
    np.testing.assert_array_equal(
        decoder_inputs(spec, a, transform, SCALES), decoder_inputs(spec, b, transform, SCALES)
    )
    np.testing.assert_array_equal(static_inputs(spec, a), static_inputs(spec, b))


@quick
@given(futures=other_futures())
def test_model_inputs_are_those_of_the_panel_as_it_was_known_at_the_origin(
    futures: tuple[Panel, Panel, int],
) -> None:
    panel, _, origin = futures
    spec = spec_for(panel, Tier.PRODUCTION, HORIZON)
    known = panel.as_of(origin, HORIZON)
    assert_same_state(*(StateBuilder(p, spec, "log", SCALES).at(origin) for p in (panel, known)))


@quick
@given(futures=other_futures())
def test_the_panel_as_of_an_origin_holds_nothing_of_the_future(futures: tuple[Panel, Panel, int]) -> None:
    panel, other, origin = futures
    a, b = panel.as_of(origin, HORIZON), other.as_of(origin, HORIZON)
    assert a.n_observed == origin + 1
    assert a.n_periods == origin + 1 + HORIZON
    assert np.isnan(a.demand[:, origin + 1 :]).all()
    for name in ("demand", "state", "dates"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("channels", "past"):
        for key, values in getattr(a, name).items():
            np.testing.assert_array_equal(values, getattr(b, name)[key])


@quick
@given(futures=other_futures())
def test_baselines_do_not_depend_on_the_future(futures: tuple[Panel, Panel, int]) -> None:
    panel, other, origin = futures
    season = 7 if panel.grain is Grain.DAY else 1
    a, b = BaselineHistory(panel, season), BaselineHistory(other, season)
    expected, got = a.forecast(origin, HORIZON), b.forecast(origin, HORIZON)
    for name, values in expected.items():
        np.testing.assert_array_equal(values, got[name], err_msg=name)
    np.testing.assert_array_equal(a.naive_error(origin), b.naive_error(origin))


@pytest.mark.parametrize("tier", list(Tier))
@settings(quick, max_examples=5)
@given(cut=st.integers(150, 410), factor=st.sampled_from([0.0, 3.0, 1e5]))
def test_training_rows_depend_on_later_demand_only_through_their_label(tier: Tier, cut: int, factor: float) -> None:
    panel = PANELS[Grain.DAY]
    spec = spec_for(panel, tier, HORIZON)
    demand = panel.demand.copy()
    demand[:, cut + 1 :] *= factor  # the same cells are observed, so the same rows are sampled
    a, b = (create_features(p, spec, "log", SCALES, 8_000, seed=3) for p in (panel, replace(panel, demand=demand)))
    for name in ("series", "origin", "horizon"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    past = a.origin <= cut
    np.testing.assert_array_equal(a.matrix[past], b.matrix[past])
    np.testing.assert_array_equal(a.base[past], b.base[past])
    seen = a.origin + a.horizon <= cut
    np.testing.assert_array_equal(a.demand[seen], b.demand[seen])
    np.testing.assert_allclose(b.demand[~seen], a.demand[~seen] * factor)


def test_training_rows_pair_each_label_with_the_demand_of_its_own_target_period() -> None:
    panel = PANELS[Grain.DAY]
    rows = create_features(panel, spec_for(panel, Tier.PRODUCTION, HORIZON), "log", SCALES, 5_000, seed=3)
    np.testing.assert_array_equal(rows.demand, panel.demand[rows.series, rows.origin + rows.horizon])
    assert len(rows.demand) > 1_000
