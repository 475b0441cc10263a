"""What is trained: the tiers that the history allows, with lighter recipes for the folds."""

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.lifecycle.training import FOLD_EFFORT, plan_forecast, plan_training
from shelfops_pipeline.settings import Settings
from tests.domain.support import LATE, NEW, ONE_PERIOD, difficult_panel

H = 14


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


def short(n: int) -> Panel:
    return difficult_panel(periods=n + 60).as_of(n - 1, H)


def test_auto_trains_both_tiers_where_the_history_is_long_enough(panel: Panel) -> None:
    assert set(plan_training(panel, H).recipes) == set(Tier)
    assert set(plan_training(short(98), H).recipes) == set(Tier)
    assert set(plan_training(short(97), H).recipes) == {Tier.COLD_START}


def test_a_tier_that_is_asked_for_is_the_only_one_trained(panel: Panel) -> None:
    for tier in Tier:
        assert list(plan_training(panel, H, tier.value).recipes) == [tier]


def test_production_on_a_short_history_says_what_it_needs() -> None:
    with pytest.raises(NotEnoughHistoryError, match="production tier needs 98 observed periods, there are 97"):
        plan_training(short(97), H, "production")


def test_fold_recipes_are_the_same_kind_with_less_work(panel: Panel) -> None:
    plan = plan_training(panel, H, folds=2)
    assert len(plan.origins) == 2
    for tier, recipe in plan.recipes.items():
        assert plan.fold_recipes[tier] == recipe.scaled(FOLD_EFFORT)
        assert plan.fold_recipes[tier].kind == recipe.kind


def test_a_forecast_trains_only_the_tiers_that_will_serve_a_series(panel: Panel) -> None:
    settings = Settings(horizon=H)
    assert set(plan_forecast(panel, settings).recipes) == set(Tier)
    new = np.array([LATE, NEW, ONE_PERIOD])
    old = np.setdiff1d(np.arange(panel.n_series), new)
    assert set(plan_forecast(panel.take(new), settings).recipes) == {Tier.COLD_START}
    assert set(plan_forecast(panel.take(old), settings).recipes) == {Tier.PRODUCTION}
