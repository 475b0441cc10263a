"""The score: a loss that is least for what the member estimates, of the very fit that a training makes."""

from dataclasses import replace

import numpy as np
import pytest

from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.models.fit import fit_members
from shelfops_pipeline.models.serve import origin_state
from shelfops_pipeline.tuning.score import fold_loss, member_loss, prepare_folds, relative
from shelfops_pipeline.tuning.space import with_fields
from shelfops_pipeline.tuning.task import TuningTask

NAN = np.float32(np.nan)


def floats(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


def test_the_loss_of_volumes_is_wape() -> None:
    assert member_loss(floats(10, 5, 0, NAN), floats(8, 5, 1, 100), "log") == pytest.approx(3 / 15)


def test_the_loss_of_counts_is_deviance_per_unit() -> None:
    deviance = 2 * (3 * np.log(3 / 2) - 1) + 2 * 0.5
    assert member_loss(floats(3, 0, NAN), floats(2, 0.5, 9), "count") == pytest.approx(deviance / 3)


@pytest.mark.parametrize("transform", ["log", "count"])
def test_a_retailer_ten_times_as_large_has_the_same_loss(transform: str) -> None:
    actual, forecast = floats(3, 0, 7, 1), floats(2, 0.5, 9, 1)
    small, large = member_loss(actual, forecast, transform), member_loss(10 * actual, 10 * forecast, transform)  # type: ignore[arg-type]
    assert large == pytest.approx(small)


def test_what_seldom_sells_is_forecast_best_by_its_mean_not_by_nothing() -> None:
    actual = floats(0, 0, 0, 2)
    by_rate = {rate: member_loss(actual, np.full_like(actual, rate), "count") for rate in (0.0, 0.25, 0.5, 1.0)}
    assert min(by_rate, key=by_rate.__getitem__) == 0.5
    assert np.isfinite(by_rate[0.0])


def test_a_score_weighs_every_fold_alike_and_holds_for_the_folds_done() -> None:
    assert relative([1.0, 0.2], [2.0, 0.1, 0.3]) == pytest.approx((0.5 + 2) / 2)
    assert relative([2.0, 0.1], [2.0, 0.1]) == 1


def test_the_member_that_is_scored_is_the_one_that_a_training_fits(task: TuningTask) -> None:
    """Both members, each against `fit_members` on the panel as of the fold's origin."""
    recipe, origin = task.recipe, task.origins[0]
    known = task.panel.as_of(origin, recipe.spec.horizon)
    members = fit_members(known, recipe)
    state = origin_state(known, members, origin)
    actual = np.where(state.closed(), NAN, task.panel.demand[:, origin + 1 : origin + 1 + recipe.spec.horizon])
    for name, forecast in members.predict(state).items():
        fold = prepare_folds(task, name)[0]  # type: ignore[arg-type]
        assert fold_loss(fold, recipe, name) == member_loss(actual, forecast, recipe.transform), name  # type: ignore[arg-type]


def test_other_parameters_give_another_loss(task: TuningTask) -> None:
    fold = prepare_folds(task, "xgboost")[-1]
    stump = with_fields(task.recipe, "xgboost", {"max_depth": 1, "rounds": 2})
    assert fold_loss(fold, stump, "xgboost") != fold_loss(fold, task.recipe, "xgboost")


def test_a_window_without_sales_is_refused(task: TuningTask) -> None:
    demand = np.array(task.panel.demand)
    demand[:, task.origins[-1] + 1 :] *= 0
    closed = replace(task, panel=replace(task.panel, demand=demand))
    with pytest.raises(NotEnoughHistoryError, match=f"nothing was sold in the {task.recipe.spec.horizon} periods"):
        prepare_folds(closed, "xgboost")
