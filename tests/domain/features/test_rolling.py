"""`rolling_blocks` against a naive loop; and what it must not know."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.features import rolling
from shelfops_pipeline.features.rolling import rolling_at, rolling_blocks

LAGS, MEANS, STDS = (1, 7), (3, 7, 28), (2, 7)
Floats = NDArray[np.float32]


def collected(values: Floats, gap: int = 1, threads: int = 1) -> Floats:
    """All blocks as one array [n, S, T]; what was there before is told by its NaNs."""
    out = np.full((len(LAGS) + len(MEANS) + len(STDS), *values.shape), 777, dtype=np.float32)
    for rows, block in rolling_blocks(values, LAGS, MEANS, STDS, gap, threads):
        out[:, rows] = block
    return out


def naive(values: Floats, gap: int = 1) -> Floats:
    """The definition, value by value."""
    S, T = values.shape
    out = np.full((len(LAGS) + len(MEANS) + len(STDS), S, T), np.nan)
    for s in range(S):
        for t in range(T):
            for i, lag in enumerate(LAGS):
                if t >= lag:
                    out[i, s, t] = values[s, t - lag]
            for i, window in enumerate((*MEANS, *STDS), start=len(LAGS)):
                end = t + 1 - gap
                seen = values[s, max(end - window, 0) : end].astype(np.float64)
                seen = seen[np.isfinite(seen)]
                if i < len(LAGS) + len(MEANS):
                    out[i, s, t] = seen.mean() if len(seen) else np.nan
                else:
                    out[i, s, t] = seen.std(ddof=1) if len(seen) > 1 else np.nan
    return out


def counts(seed: int, shape: tuple[int, int], missing: float = 0.0) -> Floats:
    """Whole-numbered demand whose level drifts, with gaps."""
    rng = np.random.default_rng(seed)
    level = np.exp(np.cumsum(rng.normal(0, 0.2, shape), axis=1) + 2)
    values = rng.poisson(level).astype(np.float32)
    values[rng.random(shape) < missing] = np.nan
    return values


@given(
    seed=st.integers(0, 10_000),
    series=st.integers(1, 5),
    periods=st.integers(1, 40),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
    gap=st.sampled_from([0, 1]),
)
def test_equals_a_naive_loop(seed: int, series: int, periods: int, missing: float, gap: int) -> None:
    values = counts(seed, (series, periods), missing)
    np.testing.assert_allclose(collected(values, gap), naive(values, gap), rtol=2e-5, atol=1e-5)


def test_at_chosen_periods_are_the_windows_that_end_with_them() -> None:
    values, periods = counts(5, (4, 60), missing=0.1), np.array([0, 30, 59])
    means, stds = rolling_at(values, MEANS, STDS, periods)
    found = np.stack([*means.values(), *stds.values()])
    assert (tuple(means), tuple(stds)) == (MEANS, STDS)
    np.testing.assert_allclose(found, naive(values, gap=0)[len(LAGS) :, :, periods], rtol=2e-5, atol=1e-5)


def test_the_future_cannot_change_the_past() -> None:
    values = counts(1, (4, 60), missing=0.1)
    changed = values.copy()
    changed[:, 40:] = 1e6
    before, after = (collected(v)[:, :, :41] for v in (values, changed))
    np.testing.assert_array_equal(after, before)


def test_a_series_does_not_depend_on_its_neighbours() -> None:
    values = counts(2, (6, 50))
    alone = np.concatenate([collected(values[s : s + 1]) for s in range(6)], axis=1)
    np.testing.assert_array_equal(collected(values), alone)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(rolling, "_BLOCK_BYTES", 4 * 7 * (80 + 29))


@pytest.mark.parametrize("threads", [1, 2, 20])
@pytest.mark.parametrize("complete", [0, 7, 50])
def test_blocks_and_threads_change_nothing(threads: int, complete: int, small_blocks: Callable[[], None]) -> None:
    """Also where the first blocks have no gaps and the others do."""
    values = counts(3, (50, 80), missing=0.05)
    values[:complete] = np.nan_to_num(values[:complete])
    whole = collected(values)
    small_blocks()
    np.testing.assert_array_equal(collected(values, threads=threads), whole)


def test_blocks_come_in_order_and_share_their_memory(small_blocks: Callable[[], None]) -> None:
    small_blocks()
    rows, places = [], set()
    for part, block in rolling_blocks(counts(6, (50, 80)), LAGS, MEANS, STDS, threads=2):
        rows.append(part)
        places.add(block.__array_interface__["data"][0])
    assert [r.start for r in rows] == list(range(0, 50, 7))
    assert rows[-1].stop == 50
    assert len(places) == 2


def test_a_constant_window_of_whole_numbers_has_no_spread() -> None:
    values = np.full((1, 60), 3, dtype=np.float32)
    values[:, 30:] = 500
    spread = rolling_at(values, (), (7,), np.arange(60))[1][7][0]
    np.testing.assert_array_equal(spread[1:30], 0)
    np.testing.assert_array_equal(spread[36:], 0)


def test_a_small_spread_on_a_high_level_survives() -> None:
    rng = np.random.default_rng(4)
    values = (10_000 + rng.normal(0, 10, (3, 100))).astype(np.float32)
    np.testing.assert_allclose(collected(values)[-1], naive(values)[-1], rtol=1e-3)
