"""Recipes: chosen from the data, scaled with the effort, equal in kind where they train alike."""

from dataclasses import replace

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.models.recipe import Recipe, channel_scales, choose_transform, default_recipe
from tests.domain.support import NEW, difficult_panel

H = 7


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


@pytest.fixture(scope="module")
def recipe(panel: Panel) -> Recipe:
    return default_recipe(panel, Tier.PRODUCTION, H, seed=1)


def with_demand(panel: Panel, zero_share: float, step: float) -> Panel:
    observed = np.isfinite(panel.demand)
    rng = np.random.default_rng(0)
    demand = np.where(rng.random(panel.demand.shape) < zero_share, 0, step * (1 + rng.poisson(3, panel.demand.shape)))
    return replace(panel, demand=np.where(observed, demand, np.nan).astype(np.float32))


@pytest.mark.parametrize(
    ("zero_share", "step", "expected"),
    [
        (0.5, 1.0, ("count", True)),  # rare whole units
        (0.1, 1.0, ("log", True)),  # frequent whole units
        (0.5, 0.3, ("log", False)),  # kilograms
    ],
)
def test_rare_whole_units_are_counts_and_all_else_is_a_volume(
    panel: Panel, zero_share: float, step: float, expected: tuple[str, bool]
) -> None:
    assert choose_transform(with_demand(panel, zero_share, step)) == expected


def test_demand_after_the_history_does_not_choose_the_transform(panel: Panel) -> None:
    known = panel.as_of(200, H)
    assert choose_transform(known) == choose_transform(replace(known, demand=known.demand[:, : known.n_observed]))


def test_a_panel_without_observed_demand_cannot_choose(panel: Panel) -> None:
    with pytest.raises(NotEnoughHistoryError, match="no observed demand in 430 periods"):
        choose_transform(panel.take(np.array([NEW])))


@pytest.mark.parametrize("tier", list(Tier))
def test_less_than_two_weeks_of_periods_cannot_be_trained_on(tier: Tier) -> None:
    assert default_recipe(difficult_panel(periods=60).as_of(13, H), tier, H, seed=1).spec.horizon == H
    with pytest.raises(NotEnoughHistoryError, match="13 observed periods; at least 14 are needed"):
        default_recipe(difficult_panel(periods=60).as_of(12, H), tier, H, seed=1)


def test_less_effort_means_less_work_and_a_larger_step(recipe: Recipe) -> None:
    light = recipe.scaled(0.25)
    assert light.xgboost.rounds == round(0.25 * recipe.xgboost.rounds)
    assert light.xgboost.max_rows == round(0.25 * recipe.xgboost.max_rows)
    assert light.xgboost.learning_rate > recipe.xgboost.learning_rate
    assert light.lstm.max_windows < recipe.lstm.max_windows
    assert light.lstm.epochs == 4
    least = recipe.scaled(1e-3)
    assert least.xgboost.rounds == 20
    assert light.xgboost.learning_rate <= least.xgboost.learning_rate <= 0.2
    assert least.lstm.epochs == 2
    assert recipe.scaled(1.0) == recipe


def test_recipes_that_differ_only_in_size_are_of_one_kind(recipe: Recipe, panel: Panel) -> None:
    assert recipe.scaled(0.3).kind == recipe.kind
    deeper = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update={"max_depth": 3})})
    assert deeper.kind != recipe.kind
    assert default_recipe(panel, Tier.COLD_START, H, seed=1).kind != recipe.kind


def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_parameters_are_flat_and_carry_every_size(recipe: Recipe) -> None:
    flat = recipe.parameters()
    assert flat["xgboost_rounds"] == recipe.xgboost.rounds
    assert flat["lstm_epochs"] == recipe.lstm.epochs
    assert flat["tier"] == "production"
    assert all(isinstance(v, (int, float, str, bool)) for v in flat.values())


def test_weekly_retailers_get_weekly_windows() -> None:
    spec = default_recipe(difficult_panel(Grain.WEEK, 64), Tier.PRODUCTION, H, seed=1).spec
    assert (spec.season, spec.year) == (1, 52)
    assert spec.level_windows == (2, 4, 8, 13, 26, 52)


def test_channel_scales_come_from_the_observed_history_alone(panel: Panel) -> None:
    expected = panel.channels["warmth"][:, : panel.n_observed]
    center, spread = channel_scales(panel)["warmth"]
    assert center == pytest.approx(np.nanmean(expected), abs=1e-5)
    assert spread == pytest.approx(np.nanstd(expected), rel=1e-5)
    future = {k: v.copy() for k, v in panel.channels.items()}
    future["warmth"][:, panel.n_observed :] = 1e6
    assert channel_scales(replace(panel, channels=future))["warmth"] == (center, spread)


def test_a_channel_that_never_varies_or_was_never_known_is_left_unscaled(panel: Panel) -> None:
    flat = {"steady": np.full_like(panel.demand, 3), "silent": np.full_like(panel.demand, np.nan)}
    assert channel_scales(replace(panel, channels=flat)) == {"steady": (3.0, 1.0), "silent": (0.0, 1.0)}


@pytest.mark.parametrize("known", [14, 20, 27])
def test_a_history_shorter_than_the_reference_window_still_makes_rows(known: int) -> None:
    short = difficult_panel().as_of(known - 1, 7)
    recipe = default_recipe(short, Tier.COLD_START, 7, seed=1)
    rows = create_features(short, recipe.spec, recipe.transform, channel_scales(short), 500, seed=1)
    assert len(rows.demand) > 0
