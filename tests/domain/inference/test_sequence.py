"""The network's inputs are bounded and neutral where nothing is known; its output turns into demand within bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE
from shelfops_pipeline.inference.sequence import (
    channel_input,
    decoder_inputs,
    decoder_width,
    demand_from_reference,
    relative_level,
    static_inputs,
)
from tests.domain.support import blank_state, small_spec

NAN = np.nan
ONE = np.array([[1.0]], np.float32)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (OPEN, [1, 0, NAN], [0, 1, 0]),
        (ON_PROMOTION, [1, 0, NAN], [1, 0, 0]),
        (HOLIDAY, [0, 3, NAN], [0, 1, 0]),
        (PRICE, [4, 2, NAN], [1, 0, 0]),  # the mean price is 2
        ("warmth", [10, 30, NAN], [0, 2, 0]),
        ("warmth", [1e9, -1e9, 10], [8, -8, 0]),
    ],
)
def test_a_channel_is_scaled_and_unknown_is_its_neutral_value(
    name: str, values: list[float], expected: list[float]
) -> None:
    scales = {"warmth": (10.0, 10.0)}
    got = channel_input(name, np.array([values], np.float32), np.array([2.0], np.float32), scales)
    np.testing.assert_allclose(got, [expected])


@pytest.mark.parametrize("mean", [NAN, 0.0])
def test_a_price_without_a_mean_to_compare_with_is_neutral(mean: float) -> None:
    got = channel_input(PRICE, np.array([[4.0]], np.float32), np.array([mean], np.float32), {})
    assert got.tolist() == [[0]]


@pytest.mark.parametrize("transform", ["log", "count"])
def test_an_unknown_level_is_as_usual(transform: Transform) -> None:
    levels = np.array([[NAN, 1e30]], np.float32)
    got = relative_level(levels, ONE, 0.5 * ONE, transform)
    assert got[0, 0] == 0
    assert got[0, 1] == 8


@pytest.mark.parametrize("transform", ["log", "count"])
@given(
    ref=st.floats(0, 12, width=32),
    spread=st.floats(0.125, 3, width=32),
    output=st.floats(-1e6, 1e6, width=32),
)
def test_demand_is_finite_and_never_negative_whatever_the_network_says(
    transform: Transform, ref: float, spread: float, output: float
) -> None:
    spread = spread if transform == "log" else 1.0
    demand = demand_from_reference(ref * ONE, spread * ONE, transform, output * ONE)
    assert np.isfinite(demand).all()
    assert (demand >= 0).all()


@pytest.mark.parametrize("transform", ["log", "count"])
def test_an_output_of_zero_is_the_reference_and_more_is_more(transform: Transform) -> None:
    reference = np.log1p(9.0) if transform == "log" else 9.0
    outputs = np.array([[-1.0, 0.0, 1.0]], np.float32)
    demand = demand_from_reference((reference * ONE).astype(np.float32), ONE, transform, outputs)[0]
    assert demand[1] == pytest.approx(9, rel=1e-5)
    assert demand[0] < demand[1] < demand[2]


def test_decoder_inputs_have_the_width_that_the_spec_promises_and_are_finite_when_nothing_is_known() -> None:
    spec = small_spec(5, channels=(OPEN, ON_PROMOTION, PRICE, "warmth"))
    state = blank_state(spec, 3, fallback_level=0.0, center=0.0, spread=0.7)
    decoder = decoder_inputs(spec, state, "log", {"warmth": (0.0, 1.0)})
    assert decoder.shape == (3, 5, decoder_width(spec))
    assert np.isfinite(decoder).all()


def test_static_codes_leave_zero_for_the_unknown() -> None:
    spec = small_spec(5)
    state = blank_state(spec, 3, static_store_id=[0, NAN, 4])
    assert static_inputs(spec, state).tolist() == [[1], [0], [5]]
