"""Windows over known-future channels against loops."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.inference import windows

Values = NDArray[np.float32]


@st.composite
def channels(draw: st.DrawFn) -> Values:
    """[2, W] a channel that is unknown (NaN) here and there."""
    W = draw(st.integers(1, 30))
    cell = st.sampled_from([0.0, 1.0, 2.5, float("nan")])
    return np.array(draw(st.lists(cell, min_size=2 * W, max_size=2 * W)), np.float32).reshape(2, W)


def looped(values: Values, at: Callable[[list[float], int], float]) -> Values:
    return np.array([[at(row.tolist(), i) for i in range(len(row))] for row in values], np.float32)


def before(row: list[float], i: int, n: int) -> list[float]:
    return row[max(i - n, 0) : i]


def after(row: list[float], i: int, n: int) -> list[float]:
    return row[i + 1 : i + 1 + n]


@pytest.mark.parametrize(("kernel", "part"), [(windows.sum_before, before), (windows.sum_after, after)])
@given(values=channels(), n=st.integers(1, 10))
def test_sums_of_neighbours_equal_a_loop(
    kernel: Callable[..., Values], part: Callable[..., list[float]], values: Values, n: int
) -> None:
    event = values > 0
    expected = looped(event.astype(np.float32), lambda row, i: sum(part(row, i, n)))
    np.testing.assert_array_equal(kernel(event, n), expected)


@pytest.mark.parametrize(("kernel", "part"), [(windows.mean_before, before), (windows.mean_after, after)])
@given(values=channels(), n=st.integers(1, 10))
def test_means_of_neighbours_equal_a_loop_and_ignore_what_is_unknown(
    kernel: Callable[..., Values], part: Callable[..., list[float]], values: Values, n: int
) -> None:
    def mean(row: list[float], i: int) -> float:
        known = [v for v in part(row, i, n) if np.isfinite(v)]
        return sum(known) / len(known) if known else float("nan")

    np.testing.assert_allclose(kernel(values, n), looped(values, mean), rtol=1e-6)


@given(values=channels(), cap=st.integers(1, 12))
def test_gaps_to_events_equal_a_loop(values: Values, cap: int) -> None:
    def gap(row: list[float], places: list[int], i: int) -> float:
        return min([abs(i - j) for j in places if row[j] > 0] + [cap])

    since = looped(values, lambda row, i: gap(row, list(range(i + 1)), i))
    until = looped(values, lambda row, i: gap(row, list(range(i, len(row))), i))
    np.testing.assert_array_equal(windows.since(values > 0, cap), since)
    np.testing.assert_array_equal(windows.until(values > 0, cap), until)


@given(values=channels())
def test_the_previous_value_is_the_last_known_one_before_each_period(values: Values) -> None:
    def previous(row: list[float], i: int) -> float:
        return next((row[j] for j in range(i - 1, -1, -1) if np.isfinite(row[j])), float("nan"))

    np.testing.assert_array_equal(windows.previous(values), looped(values, previous))


@given(values=channels())
def test_run_lengths_equal_a_loop(values: Values) -> None:
    def run(row: list[float], i: int) -> int:
        n = 0
        while i - n >= 0 and row[i - n] > 0:
            n += 1
        return n

    def last_run(row: list[float], i: int) -> int:
        return next((run(row, j) for j in range(i, -1, -1) if row[j] > 0), 0)

    np.testing.assert_array_equal(windows.run_length(values > 0), looped(values, run))
    np.testing.assert_array_equal(windows.last_run_length(values > 0), looped(values, last_run))
