"""Prefix sums against loops over the cells that a window covers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.features.prefix import Prefix, group_prefix, ratio, variance

Cells = NDArray[np.float32]


@st.composite
def histories(draw: st.DrawFn) -> Cells:
    """[S, T] demand with gaps (NaN)."""
    S, T = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    cell = st.one_of(st.just(np.nan), st.floats(0, 1e4, width=32))
    return np.array(draw(st.lists(cell, min_size=S * T, max_size=S * T)), np.float32).reshape(S, T)


def window(row: Cells, end: int, periods: int, lag: int) -> list[float]:
    """The known values of `periods` cells, `lag` apart, the last one at `end`."""
    at = [end - lag * k for k in range(periods) if end - lag * k >= 0]
    return [float(row[i]) for i in at if np.isfinite(row[i])]


def naive_mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


@given(histories(), st.sampled_from([1, 7]), st.integers(1, 50), st.data())
def test_window_means_equal_a_loop(y: Cells, lag: int, periods: int, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, y.shape[1] - 1))
    sums = Prefix.of(y, np.isfinite(y), lag)
    expected = [window(row, end, periods, lag) for row in y]
    np.testing.assert_allclose(sums.mean(end, periods), [naive_mean(v) for v in expected], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(sums.sums(end, periods)[1], [len(v) for v in expected])


@given(histories(), st.integers(1, 50))
def test_means_at_many_ends_equal_a_loop_and_are_unknown_before_the_start(y: Cells, periods: int) -> None:
    ends = np.arange(-periods - 3, y.shape[1])
    got = Prefix.of(y, np.isfinite(y)).means(ends, periods)
    expected = [[naive_mean(window(row, int(e), periods, 1)) if e >= 0 else np.nan for e in ends] for row in y]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-3)


@given(histories(), st.sampled_from([1, 7]), st.integers(1, 50), st.data())
def test_group_means_equal_a_loop_and_skip_series_without_a_group(
    y: Cells, lag: int, periods: int, data: st.DataObject
) -> None:
    groups = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=len(y), max_size=len(y))))
    end = data.draw(st.integers(0, y.shape[1] - 1))
    got = group_prefix(y, np.isfinite(y), groups, 4, lag).mean(end, periods)
    expected = [naive_mean([v for row in y[groups == g] for v in window(row, end, periods, lag)]) for g in range(4)]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-3)


def test_a_mask_hides_values_that_are_there() -> None:
    y = np.array([[1, 2, 3, 4]], np.float32)
    assert Prefix.of(y, np.array([[True, False, True, False]])).mean(3, 4)[0] == 2


def test_nothing_counted_is_unknown_not_zero() -> None:
    assert np.isnan(ratio(np.zeros(2), np.zeros(2))).all()
    assert np.isnan(variance(np.zeros(2), np.zeros(2), np.zeros(2))).all()


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_variance_from_sums_equals_numpy(values: list[int]) -> None:
    y = np.array(values, np.float64)
    got = variance(np.array([y.sum()]), np.array([(y**2).sum()]), np.array([float(len(y))]))[0]
    assert got == pytest.approx(y.var(), rel=1e-6, abs=1e-2)
