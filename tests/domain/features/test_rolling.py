"""`rolling_features` against a naive loop; and what it must not know."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.features import rolling
from shelfops_pipeline.features.rolling import rolling_features

LAGS, MEANS, STDS = (1, 7), (3, 7, 28), (2, 7)
Floats = NDArray[np.float32]


def naive(values: Floats) -> Floats:
    """The definition, value by value."""
    S, T = values.shape
    out = np.full((len(LAGS) + len(MEANS) + len(STDS), S, T), np.nan)
    for s in range(S):
        for t in range(T):
            for i, lag in enumerate(LAGS):
                if t >= lag:
                    out[i, s, t] = values[s, t - lag]
            for i, window in enumerate((*MEANS, *STDS), start=len(LAGS)):
                seen = values[s, max(t - window, 0) : t].astype(np.float64)
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
)
def test_equals_a_naive_loop(seed: int, series: int, periods: int, missing: float) -> None:
    values = counts(seed, (series, periods), missing)
    np.testing.assert_allclose(rolling_features(values, LAGS, MEANS, STDS), naive(values), rtol=2e-5, atol=1e-5)


def test_the_future_cannot_change_the_past() -> None:
    values = counts(1, (4, 60), missing=0.1)
    changed = values.copy()
    changed[:, 40:] = 1e6
    before, after = (rolling_features(v, LAGS, MEANS, STDS)[:, :, :41] for v in (values, changed))
    np.testing.assert_array_equal(after, before)


def test_a_series_does_not_depend_on_its_neighbours() -> None:
    values = counts(2, (6, 50))
    alone = np.concatenate([rolling_features(values[s : s + 1], LAGS, MEANS, STDS) for s in range(6)], axis=1)
    np.testing.assert_array_equal(rolling_features(values, LAGS, MEANS, STDS), alone)


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_and_threads_change_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = counts(3, (50, 80), missing=0.05)
    whole = rolling_features(values, LAGS, MEANS, STDS)
    monkeypatch.setattr(rolling, "_BLOCK_BYTES", 4 * 7 * (80 + 28))
    np.testing.assert_array_equal(rolling_features(values, LAGS, MEANS, STDS, threads), whole)


def test_a_constant_window_of_whole_numbers_has_no_spread() -> None:
    values = np.full((1, 60), 3, dtype=np.float32)
    values[:, 30:] = 500
    spread = rolling_features(values, (1,), (7,), (7,))[2, 0]
    np.testing.assert_array_equal(spread[2:31], 0)
    np.testing.assert_array_equal(spread[37:], 0)


def test_a_small_spread_on_a_high_level_survives() -> None:
    rng = np.random.default_rng(4)
    values = (10_000 + rng.normal(0, 10, (3, 100))).astype(np.float32)
    found = rolling_features(values, LAGS, MEANS, STDS)[-1]
    np.testing.assert_allclose(found, naive(values)[-1], rtol=1e-3)
