"""A part of the simulated retailer, and a tuning task on it that takes a second per trial."""

from dataclasses import replace

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.lifecycle.training import TrainingPlan
from shelfops_pipeline.models.recipe import default_recipe
from shelfops_pipeline.tuning.task import TuningTask, plan_tuning
from tests.domain.conftest import HORIZON
from tests.domain.support import tiny

SCORED_FOLDS = 2


@pytest.fixture(scope="session")
def shop(retailer_panel: Panel) -> Panel:
    """Twenty series of the simulated retailer."""
    return retailer_panel.take(np.arange(20))


@pytest.fixture(scope="session")
def plan(shop: Panel, one_thread: None) -> TrainingPlan:
    """What would be trained on the shop without tuning."""
    recipes = {tier: tiny(default_recipe(shop, tier, HORIZON, seed=7)) for tier in Tier}
    return TrainingPlan(recipes, fold_origins(shop, HORIZON, SCORED_FOLDS, season=7))


@pytest.fixture(scope="session")
def task(shop: Panel, plan: TrainingPlan) -> TuningTask:
    """The cold-start tier's."""
    return cold_start_task(shop, plan)


def cold_start_task(panel: Panel, plan: TrainingPlan) -> TuningTask:
    """As planned, with fewer trees than anybody is served."""
    task = plan_tuning(panel, plan)[0][Tier.COLD_START]
    fewer = task.recipe.xgboost.model_copy(update={"trees_per_round": 1, "max_bin": 64})
    return replace(task, recipe=task.recipe.model_copy(update={"xgboost": fewer}))


def with_demand_after(panel: Panel, origin: int, factor: float) -> Panel:
    """The panel with other demand after a period."""
    demand = np.array(panel.demand)
    demand[:, origin + 1 :] *= np.float32(factor)
    return replace(panel, demand=demand)
