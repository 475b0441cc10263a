"""Windows of the recent past, and all of the past at a few origins, against loops over their cells."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.features.arrays import ratio
from shelfops_pipeline.features.expanding import expanding_max, expanding_sums, last_position
from shelfops_pipeline.features.recent import Recent, cut

Cells = NDArray[np.float32]
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)


@st.composite
def histories(draw: st.DrawFn) -> Cells:
    """[S, T] demand with gaps (NaN)."""
    S, T = draw(st.integers(1, 4)), draw(st.integers(1, 30))
    cell = st.one_of(st.just(np.nan), st.floats(0, 1e4, width=32))
    return np.array(draw(st.lists(cell, min_size=S * T, max_size=S * T)), np.float32).reshape(S, T)


def known(row: Cells, end: int, window: int) -> list[float]:
    return [float(v) for v in row[max(end + 1 - window, 0) : end + 1] if np.isfinite(v)]


def average(values: list[float]) -> float:
    return sum(values) / len(values) if values else np.nan


@given(histories(), st.integers(-4, 34), st.integers(0, 9))
def test_a_cut_is_a_slice_that_is_unknown_outside_of_the_array(y: Cells, low: int, width: int) -> None:
    rows = np.arange(len(y))[::-1]
    expected = [[y[r, i] if 0 <= i < y.shape[1] else np.nan for i in range(low, low + width)] for r in rows]
    np.testing.assert_array_equal(cut(y, rows, low, low + width), np.array(expected).reshape(len(y), width))


@given(histories(), st.integers(1, 40), st.data())
def test_means_and_quantiles_of_windows_equal_a_loop(y: Cells, window: int, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, y.shape[1] - 1))
    recent = Recent.of(y, np.arange(len(y)), end, data.draw(st.integers(window, 50)))
    values = [known(row, end, window) for row in y]
    np.testing.assert_allclose(recent.mean(window), [average(v) for v in values], rtol=1e-6, atol=1e-30)
    expected = [np.quantile(v, SHARES) if v else [np.nan] * len(SHARES) for v in values]
    np.testing.assert_allclose(recent.quantiles(window, SHARES), expected, rtol=1e-6, atol=1e-30)


@given(histories(), st.integers(1, 4), st.sampled_from([1, 7]), st.data())
def test_season_means_equal_a_loop_with_the_origin_last(
    y: Cells, seasons: int, season: int, data: st.DataObject
) -> None:
    end = data.draw(st.integers(0, y.shape[1] - 1))
    chosen = data.draw(st.sampled_from([0.0, 0.5, 1.0])) > np.random.default_rng(0).random(y.shape)
    among = cut(chosen.astype(np.float32), np.arange(len(y)), end + 1 - 35, end + 1) > 0
    total, count = Recent.of(y, np.arange(len(y)), end, 35).season_sums(seasons * season, season, among)
    for s, row in enumerate(y):
        for back in range(season):
            at = [end - back - season * k for k in range(seasons)]
            cells = [float(row[i]) for i in at if i >= 0 and np.isfinite(row[i]) and chosen[s, i]]
            np.testing.assert_allclose(total[s, season - 1 - back], sum(cells), rtol=1e-6, atol=1e-30)
            assert count[s, season - 1 - back] == len(cells)


@given(histories(), st.data())
def test_all_of_the_past_at_any_origins_equals_a_loop(y: Cells, data: st.DataObject) -> None:
    T = y.shape[1]
    origins = np.array(sorted(data.draw(st.sets(st.integers(0, T - 1), min_size=1))))
    total, count = expanding_sums(y, origins)
    pasts = [[known(row, t, T) for t in origins] for row in y]
    np.testing.assert_allclose(total, [[sum(p) for p in row] for row in pasts], rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(count, [[len(p) for p in row] for row in pasts])
    highest = [[max(p, default=np.nan) for p in row] for row in pasts]
    np.testing.assert_array_equal(expanding_max(y, origins), np.array(highest, np.float32))
    sold = y > 5
    last = [[max((i for i in range(t + 1) if sold[s, i]), default=-1) for t in origins] for s in range(len(y))]
    np.testing.assert_array_equal(last_position(sold, origins), last)


def test_nothing_counted_is_unknown_not_zero() -> None:
    np.testing.assert_array_equal(ratio(np.array([3.0, 0.0]), np.array([2, 0])), [1.5, np.nan])
