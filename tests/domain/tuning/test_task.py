"""What tuning sees: nothing of the folds that are scored; and enough, or it says how much is missing."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.lifecycle.training import TrainingPlan, plan_training
from shelfops_pipeline.tuning.space import default_fields
from shelfops_pipeline.tuning.task import ROW_SHARE, plan_tuning, tuning_origins
from tests.domain.support import difficult_panel, small_spec

H = 14


def test_nothing_after_the_earliest_scored_origin_is_seen(shop: Panel, plan: TrainingPlan) -> None:
    first = plan.origins[0]
    for task in plan_tuning(shop, plan)[0].values():
        assert task.cutoff == shop.dates[first].astype("datetime64[D]").item()
        assert task.panel.n_observed == first + 1
        assert np.isnan(task.panel.demand[:, first + 1 :]).all()
        assert task.panel.n_periods == first + 1 + H
        assert task.origins[-1] + H == first
        assert list(np.diff(task.origins)) == [H, H]


def test_a_task_has_the_defaults_that_would_be_trained_with_fewer_rows(shop: Panel, plan: TrainingPlan) -> None:
    for tier, task in plan_tuning(shop, plan)[0].items():
        whole = plan.recipes[tier]
        assert default_fields(task.recipe, "xgboost") == default_fields(whole, "xgboost")
        assert default_fields(task.recipe, "lstm") == default_fields(whole, "lstm")
        assert task.recipe.xgboost.max_rows == round(ROW_SHARE * whole.xgboost.max_rows)


@given(n_seen=st.integers(0, 400), horizon=st.integers(1, 60), tier=st.sampled_from(list(Tier)))
def test_windows_lie_within_what_is_seen_and_overlap_by_half_at_most(n_seen: int, horizon: int, tier: Tier) -> None:
    spec = small_spec(horizon, tier)
    try:
        origins = tuning_origins("shop", n_seen, spec, 3)
    except NotEnoughHistoryError:
        assert n_seen < max(14, spec.min_history) + 1.5 * horizon + 1
        return
    assert 2 <= len(origins) <= 3
    assert origins[-1] + horizon == n_seen - 1
    assert origins[0] + 1 >= max(14, spec.min_history)
    assert all(2 * step >= horizon for step in np.diff(origins))


@pytest.mark.parametrize(("tier", "too_short"), [(Tier.COLD_START, 40), (Tier.PRODUCTION, 100)])
@pytest.mark.parametrize("folds", [1, 3])
def test_the_history_that_the_error_asks_for_is_enough_and_a_period_less_is_not(
    tier: Tier, too_short: int, folds: int
) -> None:
    def task_on(periods: int) -> object:
        panel = difficult_panel(periods=periods + 60).as_of(periods - 1, H)
        return plan_tuning(panel, plan_training(panel, H, tier.value, folds))

    with pytest.raises(NotEnoughHistoryError, match=f"tuning the {tier} tier needs") as told:
        task_on(too_short)
    needed = int(re.search(r"with (\d+) periods in all", str(told.value))[1])  # type: ignore[index]
    assert task_on(needed)
    with pytest.raises(NotEnoughHistoryError):
        task_on(needed - 1)


def test_a_tier_that_is_too_short_is_left_out_and_the_other_is_tuned() -> None:
    panel = difficult_panel(periods=200).as_of(119, H)
    tasks, refused = plan_tuning(panel, plan_training(panel, H))
    assert set(tasks) == {Tier.COLD_START}
    assert "tuning the production tier needs 105 periods" in refused[Tier.PRODUCTION]
