"""The search space: it holds the defaults, and every point of it is a recipe that can be trained and served."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.models.recipe import LstmRecipe, XgboostRecipe, default_recipe
from shelfops_pipeline.tuning.space import MEMBERS, Member, default_fields, starting_point, suggest, with_fields
from tests.domain.support import difficult_panel

RECIPE = default_recipe(difficult_panel(), Tier.PRODUCTION, 14, seed=1)


@pytest.mark.parametrize("effort", [0.05, 1.0, 4.0])
@pytest.mark.parametrize("member", MEMBERS)
def test_the_defaults_are_a_point_of_the_space_and_come_back_exactly(member: Member, effort: float) -> None:
    recipe = RECIPE.scaled(effort)
    trial = FixedTrial(starting_point(recipe, member))
    assert with_fields(recipe, member, suggest(trial, recipe, member)) == recipe  # type: ignore[arg-type]
    for name, value in trial.params.items():
        assert trial.distributions[name]._contains(value), name


@pytest.mark.parametrize("member", MEMBERS)
@given(seed=st.integers(0, 10_000))
def test_every_point_is_a_valid_recipe_that_is_bounded_in_size(member: Member, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    fields = suggest(study.ask(), RECIPE, member)
    tuned = with_fields(RECIPE, member, fields)
    XgboostRecipe.model_validate(tuned.xgboost.model_dump(), strict=True)
    LstmRecipe.model_validate(tuned.lstm.model_dump(), strict=True)
    assert 1 <= tuned.xgboost.rounds <= 2 * RECIPE.xgboost.rounds
    assert tuned.xgboost.learning_rate <= 0.1
    assert tuned.xgboost.max_rows == RECIPE.xgboost.max_rows
    assert set(fields) == set(default_fields(RECIPE, member))


def test_half_the_learning_rate_means_twice_the_rounds() -> None:
    point = starting_point(RECIPE, "xgboost")
    slower = suggest(FixedTrial(point | {"learning_rate": point["learning_rate"] / 2}), RECIPE, "xgboost")  # type: ignore[arg-type]
    assert slower["rounds"] == 2 * RECIPE.xgboost.rounds
    assert slower["max_depth"] == RECIPE.xgboost.max_depth


def test_only_fields_that_are_searched_can_be_replaced() -> None:
    assert with_fields(RECIPE, "lstm", {"units": 32}).lstm.units == 32
    with pytest.raises(ValueError, match="max_rows"):
        with_fields(RECIPE, "xgboost", {"max_rows": 10})
    with pytest.raises(ValueError, match="units"):
        with_fields(RECIPE, "xgboost", {"units": 10})


def test_replacing_fields_leaves_everything_else() -> None:
    tuned = with_fields(RECIPE, "xgboost", {"max_depth": 3})
    assert tuned.xgboost == RECIPE.xgboost.model_copy(update={"max_depth": 3})
    assert tuned.model_copy(update={"xgboost": RECIPE.xgboost}) == RECIPE
