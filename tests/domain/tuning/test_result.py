"""What was found is used for the problem it was found for, without sight of a scored fold, and said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.lifecycle.training import TrainingPlan, plan_forecast, plan_training
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tuning.result import (
    LEAST_GAIN,
    MemberTuning,
    TierTuning,
    apply_tuning,
    read_tuning,
    write_tuning,
)
from shelfops_pipeline.tuning.space import Member, default_fields
from tests.domain.support import difficult_panel

H = 14
FOLDS = 2
TIER = Tier.PRODUCTION
PANEL = difficult_panel()
BETTER = {"xgboost": {"max_depth": 4, "rounds": 99}, "lstm": {"units": 32}}


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    return plan_training(PANEL, H, folds=FOLDS)


def found(recipe: Recipe, member: Member = "xgboost", score: float = 0.9) -> MemberTuning:
    defaults = default_fields(recipe, member)
    return MemberTuning(
        study="s",
        loss="WAPE",
        trials=9,
        pruned=2,
        defaults=defaults,
        best=defaults | BETTER[member],
        default_losses=[0.4, 0.5],
        best_losses=[0.4 * score, 0.5 * score],
        score=score,
    )


def tuning(plan: TrainingPlan, **changes: Any) -> TierTuning:
    """As `shelfops tune` would have left it for this plan."""
    recipe = plan.recipes[TIER]
    as_found = TierTuning(
        dataset=PANEL.dataset,
        tier=TIER,
        grain=PANEL.grain,
        horizon=H,
        transform=recipe.transform,
        cutoff=PANEL.dates[plan.origins[0]].astype("datetime64[D]").item(),
        origins=[],
        seed=7,
        made_at=datetime(2024, 5, 1, tzinfo=UTC),
        members={"xgboost": found(recipe)},
    )
    return as_found.model_copy(update=changes)


def test_what_was_found_is_trained_with_and_the_recipe_says_so(plan: TrainingPlan) -> None:
    tuned = tuning(plan)
    recipe = plan_training(PANEL, H, folds=FOLDS, tuned={TIER: tuned}).recipes[TIER]
    assert (recipe.xgboost.max_depth, recipe.xgboost.rounds) == (4, 99)
    assert recipe.lstm == plan.recipes[TIER].lstm
    assert recipe.xgboost.max_rows == plan.recipes[TIER].xgboost.max_rows
    assert recipe.parameters()["tuned"] == recipe.tuned == f"xgboost; saw demand up to {tuned.cutoff}"
    assert plan.recipes[TIER].parameters()["tuned"] == "no"
    assert recipe.model_copy(update={"tuned": None}).kind == recipe.kind


def test_the_plan_tells_what_was_used_and_leaves_the_other_tier(plan: TrainingPlan) -> None:
    whole = plan_training(PANEL, H, folds=FOLDS, tuned={TIER: tuning(plan)})
    assert set(whole.notes) == {TIER}
    assert "10.0% better than the defaults" in whole.notes[TIER]
    assert whole.recipes[Tier.COLD_START] == plan.recipes[Tier.COLD_START]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"horizon": 28}, "found for horizon 28, not 14"),
        ({"dataset": "other"}, "found for data set other, not difficult"),
        ({"grain": Grain.WEEK}, "found for grain week, not day"),
        ({"transform": "count"}, "found for kind of demand count, not log"),
        ({"tier": Tier.COLD_START}, "found for tier cold_start, not production"),
    ],
)
def test_what_was_found_for_another_problem_is_not_used(plan: TrainingPlan, changes: dict[str, Any], told: str) -> None:
    result = apply_tuning(plan.recipes[TIER], PANEL, plan.origins[0], tuning(plan, **changes))
    assert result.recipe == plan.recipes[TIER]
    assert told in result.note


def test_what_saw_a_day_of_a_scored_fold_is_not_used(plan: TrainingPlan) -> None:
    too_late = tuning(plan, cutoff=tuning(plan).cutoff + timedelta(days=1))
    whole = plan_training(PANEL, H, folds=FOLDS, tuned={TIER: too_late})
    assert whole.recipes == plan.recipes
    assert "the first fold that is scored begins after" in whole.notes[TIER]


def test_a_forecast_as_of_before_the_cut_off_does_not_use_it_and_a_later_one_does(plan: TrainingPlan) -> None:
    settings, tuned = Settings(horizon=H, folds=FOLDS), {TIER: tuning(plan)}
    early = PANEL.as_of(plan.origins[0] - 1, H)
    assert plan_forecast(early, settings, tuned).recipes[TIER].tuned is None
    assert plan_forecast(PANEL, settings, tuned).recipes[TIER].tuned is not None
    more_folds = Settings(horizon=H, folds=FOLDS + 1)
    assert plan_forecast(PANEL, more_folds, tuned).recipes[TIER].tuned is None


def test_a_forecast_keeps_the_notes_of_the_tiers_that_it_trains(plan: TrainingPlan) -> None:
    old = PANEL.take(np.array([0, 1, 2]))
    forecast = plan_forecast(old, Settings(horizon=H, folds=FOLDS), {tier: tuning(plan) for tier in Tier})
    assert set(forecast.recipes) == set(forecast.notes) == {TIER}


def test_a_gain_that_may_be_luck_is_not_used(plan: TrainingPlan) -> None:
    recipe = plan.recipes[TIER]
    for score, used in ((1 - LEAST_GAIN + 1e-9, False), (1 - LEAST_GAIN - 1e-9, True), (1.0, False)):
        lucky = tuning(plan, members={"xgboost": found(recipe, score=score)})
        assert (apply_tuning(recipe, PANEL, plan.origins[0], lucky).recipe.tuned is not None) is used, score


def test_a_gain_that_one_window_made_alone_is_not_used(plan: TrainingPlan) -> None:
    recipe = plan.recipes[TIER]
    at_christmas = found(recipe, score=0.9).model_copy(update={"best_losses": [0.3201, 0.4999]})
    result = apply_tuning(recipe, PANEL, plan.origins[0], tuning(plan, members={"xgboost": at_christmas}))
    assert result.recipe == recipe
    assert "the best trial was 10.0% better, but only 0.0% on one of 2 windows" in result.note


def test_it_is_not_used_over_other_defaults_than_it_was_compared_with(plan: TrainingPlan) -> None:
    lighter = plan.recipes[TIER].scaled(0.5)
    result = apply_tuning(lighter, PANEL, plan.origins[0], tuning(plan))
    assert result.recipe == lighter
    assert "the defaults have changed since" in result.note


def test_members_are_used_one_by_one(plan: TrainingPlan) -> None:
    recipe = plan.recipes[TIER]
    both = {"xgboost": found(recipe, "xgboost", 0.999), "lstm": found(recipe, "lstm", 0.8)}
    result = apply_tuning(recipe, PANEL, plan.origins[0], tuning(plan, members=both))
    assert (result.recipe.xgboost, result.recipe.lstm.units) == (recipe.xgboost, 32)
    assert result.recipe.tuned is not None
    assert result.recipe.tuned.startswith("lstm;")


def test_a_result_survives_its_file_and_whole_numbers_stay_whole(plan: TrainingPlan, tmp_path: Path) -> None:
    written = tuning(plan)
    write_tuning(tmp_path, written)
    read = read_tuning(tmp_path)[TIER]
    assert read == written
    assert isinstance(read.members["xgboost"].best["rounds"], int)
    assert read.members["xgboost"].changed == {
        k: v for k, v in BETTER["xgboost"].items() if v != written.members["xgboost"].defaults[k]
    }


def test_the_other_member_of_the_same_data_stays_in_the_file_and_of_other_data_goes(
    plan: TrainingPlan, tmp_path: Path
) -> None:
    write_tuning(tmp_path, tuning(plan))
    lstm = {"lstm": found(plan.recipes[TIER], "lstm")}
    write_tuning(tmp_path, tuning(plan, members=lstm, made_at=datetime(2024, 6, 1, tzinfo=UTC)))
    assert set(read_tuning(tmp_path)[TIER].members) == {"xgboost", "lstm"}
    write_tuning(tmp_path, tuning(plan, members=lstm, horizon=7))
    assert set(read_tuning(tmp_path)[TIER].members) == {"lstm"}


def test_no_file_means_nothing_was_tuned(tmp_path: Path) -> None:
    assert read_tuning(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tier": "gold"}'])
def test_a_damaged_file_is_one_line_and_can_be_written_over(plan: TrainingPlan, tmp_path: Path, content: str) -> None:
    path = tmp_path / f"{TIER}.json"
    path.write_text(content)
    with pytest.raises(ShelfOpsError, match=f"{TIER}.json is damaged") as told:
        read_tuning(tmp_path)
    assert "\n" not in str(told.value)
    write_tuning(tmp_path, tuning(plan))
    assert TIER in read_tuning(tmp_path)
