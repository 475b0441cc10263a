"""Where folds lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.evaluation.folds import fold_origins


def panel(n: int) -> Panel:
    shape = (1, n)
    return Panel(
        "shop",
        Grain.DAY,
        np.array(["s"]),
        np.array(["i"]),
        np.datetime64("2025-01-01") + np.arange(n),
        n,
        np.ones(shape, np.float32),
        np.full(shape, State.OBSERVED, np.uint8),
    )


def test_folds_of_a_long_history_are_disjoint_and_the_last_ends_with_it() -> None:
    assert fold_origins(panel(200), horizon=14, folds=3, season=7) == (157, 171, 185)


def test_folds_of_a_short_history_overlap_as_far_apart_as_it_allows() -> None:
    assert fold_origins(panel(48), horizon=16, folds=3, season=7) == (23, 27, 31)


def test_where_folds_would_coincide_there_are_fewer() -> None:
    assert fold_origins(panel(37), horizon=14, folds=5, season=7) == (20, 21, 22)
    assert fold_origins(panel(35), horizon=14, folds=5, season=7) == (20,)


def test_a_history_without_room_for_one_fold_says_how_much_is_needed() -> None:
    with pytest.raises(NotEnoughHistoryError, match="34 observed periods cannot hold one backtest fold of 14") as error:
        fold_origins(panel(34), horizon=14, folds=3, season=7)
    assert "at least 35 are needed, or a shorter horizon" in str(error.value)


@pytest.mark.parametrize("folds", [0, -1])
def test_no_folds_at_all_is_a_mistake(folds: int) -> None:
    with pytest.raises(ValueError, match="at least one fold"):
        fold_origins(panel(200), horizon=14, folds=folds, season=7)


@given(n=st.integers(8, 400), horizon=st.integers(1, 60), folds=st.integers(1, 12), season=st.sampled_from([1, 7]))
def test_folds_always_lie_inside_the_history_evenly_and_in_order(n: int, horizon: int, folds: int, season: int) -> None:
    try:
        origins = fold_origins(panel(n), horizon, folds, season)
    except NotEnoughHistoryError:
        assert n < 2 * horizon + 3 * season + 8 + horizon
        return
    assert 1 <= len(origins) <= folds
    assert origins[-1] == n - 1 - horizon
    assert origins[0] >= max(3 * season, 8) - 1
    strides = set(np.diff(origins).tolist())
    assert len(strides) <= 1
    assert all(1 <= s <= horizon for s in strides)
