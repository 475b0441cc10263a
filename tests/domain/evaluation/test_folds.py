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
    assert fold_origins(panel(48), horizon=16, folds=3, season=7) == (13, 22, 31)


def test_where_folds_would_coincide_there_are_fewer() -> None:
    assert fold_origins(panel(30), horizon=14, folds=5, season=7) == (13, 14, 15)
    assert fold_origins(panel(28), horizon=14, folds=5, season=7) == (13,)


def test_a_history_too_short_for_a_whole_fold_is_scored_on_as_much_as_there_is() -> None:
    assert fold_origins(panel(21), horizon=14, folds=3, season=7) == (13,)


def test_a_history_without_a_season_left_to_score_says_how_much_is_needed() -> None:
    with pytest.raises(NotEnoughHistoryError, match=r"20 observed periods are too few .* at least 21 are needed"):
        fold_origins(panel(20), horizon=14, folds=3, season=7)
    with pytest.raises(NotEnoughHistoryError, match="at least 9 are needed"):
        fold_origins(panel(8), horizon=4, folds=1, season=1)


@pytest.mark.parametrize("folds", [0, -1])
def test_no_folds_at_all_is_a_mistake(folds: int) -> None:
    with pytest.raises(ValueError, match="at least one fold"):
        fold_origins(panel(200), horizon=14, folds=folds, season=7)


@given(n=st.integers(8, 400), horizon=st.integers(1, 60), folds=st.integers(1, 12), season=st.sampled_from([1, 7]))
def test_folds_always_lie_inside_the_history_evenly_and_in_order(n: int, horizon: int, folds: int, season: int) -> None:
    first = max(2 * season, 8) - 1
    try:
        origins = fold_origins(panel(n), horizon, folds, season)
    except NotEnoughHistoryError:
        assert n - 1 - first < min(horizon, season)
        return
    assert 1 <= len(origins) <= folds
    assert origins[0] >= first
    assert origins[-1] == max(n - 1 - horizon, first)
    strides = set(np.diff(origins).tolist())
    assert len(strides) <= 1
    assert all(1 <= s <= horizon for s in strides)
