"""Fitting: a seed decides everything, and nothing after the origin is looked at."""

import numpy as np
import pytest

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.fit import fit_members
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.recipe import Recipe, channel_scales
from shelfops_pipeline.models.serve import origin_state


def test_equal_seeds_give_identical_forecasts_and_another_seed_does_not(
    retailer_panel: Panel, trained_log: Trained
) -> None:
    recipe = trained_log.recipe
    state = origin_state(retailer_panel, trained_log.members, retailer_panel.n_observed - 1)
    first = trained_log.members.predict(state)
    again = fit_members(retailer_panel, recipe).predict(state)
    other = fit_members(retailer_panel, recipe.model_copy(update={"seed": recipe.seed + 1})).predict(state)
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)
        assert not np.allclose(other[name], values, rtol=1e-3), name


def test_fitting_says_what_it_is_doing(retailer_panel: Panel, recipes: dict[str, Recipe]) -> None:
    """Stops before the first fit: the report comes before the work."""
    said: list[str] = []

    class StopError(Exception):
        pass

    def progress(message: str) -> None:
        said.append(message)
        if "XGBoost" in message:
            raise StopError

    with pytest.raises(StopError):
        fit_members(retailer_panel, next(iter(recipes.values())), progress)
    assert said[0] == "cold_start: features"
    assert "rows" in said[1]


def test_the_count_objective_predicts_units_and_the_log_objective_a_deviation(
    rare_panel: Panel, trained_count: Trained
) -> None:
    recipe = trained_count.recipe
    rows = create_features(rare_panel, recipe.spec, "count", channel_scales(rare_panel), 4000, seed=1)
    count = fit_xgboost(rows, recipe.model_copy(update={"transform": "count"})).inplace_predict(rows.matrix)
    assert (count >= 0).all()
    assert count.mean() == pytest.approx(rows.demand.mean(), rel=0.1)
    log = fit_xgboost(rows, recipe.model_copy(update={"transform": "log"})).inplace_predict(rows.matrix)
    assert log.mean() == pytest.approx((np.log1p(rows.demand) - rows.base).mean(), abs=0.05)


def test_rounds_come_from_the_recipe_alone(trained_log: Trained) -> None:
    booster = trained_log.members.backend.booster  # type: ignore[attr-defined]
    assert booster.num_boosted_rounds() == trained_log.recipe.xgboost.rounds


def test_one_member_predicts_the_same_alone_as_beside_the_other(trained_log: Trained, retailer_panel: Panel) -> None:
    members = trained_log.members
    state = origin_state(retailer_panel, members, retailer_panel.n_observed - 1)
    both = members.predict(state)
    for name in both:
        alone = members.predict(state, (name,))
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name], both[name])
