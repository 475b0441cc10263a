"""Train the tiers of a retailer: backtest first, then the same recipe refitted on everything."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.evaluation.backtest import Backtest, RawFold, raw_fold, run_backtest
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.models.fit import Progress, fit_members, quiet
from shelfops_pipeline.models.recipe import Recipe, default_recipe
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tuning.result import TierTuning, apply_tuning

FOLD_EFFORT = 0.7  # fold models are lighter, but no less fitted: below it the fastest learning rate leaves them short


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, and where the folds lie."""

    recipes: dict[Tier, Recipe]
    origins: tuple[int, ...]
    notes: dict[Tier, str] = field(default_factory=dict)
    """Where a tier was tuned: what was made of it, in words."""

    @property
    def fold_recipes(self) -> dict[Tier, Recipe]:
        return {tier: recipe.scaled(FOLD_EFFORT) for tier, recipe in self.recipes.items()}


def plan_training(
    panel: Panel,
    horizon: int,
    tier: str = "auto",
    folds: int = 3,
    seed: int = 7,
    effort: float = 1.0,
    tuned: Mapping[Tier, TierTuning] | None = None,
) -> TrainingPlan:
    """Recipes for the tiers that the history allows (`auto`) or for the one asked for; with what was `tuned`, where it
    was found for this problem and without sight of a fold that the plan scores.

    Raises NotEnoughHistoryError when a tier is asked for that the history cannot fill, or when no fold fits.
    """
    cold = default_recipe(panel, Tier.COLD_START, horizon, seed, effort)
    production = default_recipe(panel, Tier.PRODUCTION, horizon, seed, effort)
    needed = production.spec.min_history + horizon
    if tier == Tier.PRODUCTION and panel.n_observed < needed:
        raise NotEnoughHistoryError(
            f"{panel.dataset}: the production tier needs {needed} observed periods, there are {panel.n_observed};"
            " use --tier cold_start, or auto"
        )
    recipes = {Tier.COLD_START: cold, Tier.PRODUCTION: production}
    if tier == "auto" and panel.n_observed < needed:
        del recipes[Tier.PRODUCTION]
    elif tier != "auto":
        recipes = {Tier(tier): recipes[Tier(tier)]}
    plan = TrainingPlan(recipes, fold_origins(panel, horizon, folds, cold.spec.season))
    return _with_tuning(panel, plan, tuned or {})


def _with_tuning(panel: Panel, plan: TrainingPlan, tuned: Mapping[Tier, TierTuning]) -> TrainingPlan:
    found = {
        tier: apply_tuning(recipe, panel, plan.origins[0], tuned[tier])
        for tier, recipe in plan.recipes.items()
        if tier in tuned
    }
    recipes = plan.recipes | {tier: applied.recipe for tier, applied in found.items()}
    return replace(plan, recipes=recipes, notes={tier: applied.note for tier, applied in found.items()})


def plan_forecast(panel: Panel, settings: Settings, tuned: Mapping[Tier, TierTuning] | None = None) -> TrainingPlan:
    """The plan of a forecast that is made and thrown away: with `auto`, only the tiers that will serve a series."""
    s = settings
    plan = plan_training(panel, s.horizon, s.tier, s.folds, s.seed, s.effort, tuned)
    if len(plan.recipes) == 1:
        return plan
    history = np.isfinite(np.asarray(panel.demand[:, : panel.n_observed])).sum(axis=1)
    enough = history >= plan.recipes[Tier.PRODUCTION].spec.min_history
    needed = {Tier.PRODUCTION: enough.any(), Tier.COLD_START: not enough.all()}
    return replace(
        plan,
        recipes={t: r for t, r in plan.recipes.items() if needed[t]},
        notes={t: note for t, note in plan.notes.items() if needed[t]},
    )


def backtest_plan(panel: Panel, plan: TrainingPlan, metric: Metric, progress: Progress = quiet) -> Backtest:
    """The plan's folds, with the lighter recipes."""
    return run_backtest(panel, plan.fold_recipes, plan.origins, metric, progress)


def fold_of_plan(panel: Panel, plan: TrainingPlan, number: int, progress: Progress = quiet) -> RawFold:
    """One of the plan's folds, for `join_folds` to put together with the others."""
    return raw_fold(panel, plan.fold_recipes, plan.origins, number, progress)


def fit_served(
    panel: Panel, plan: TrainingPlan, backtest: Backtest, progress: Progress = quiet
) -> dict[Tier, ServedModel]:
    """Every tier refitted on all that the panel shows, calibrated on the backtest; not registered."""
    return {
        tier: ServedModel(
            f"{tier.value} (unregistered)", fit_members(panel, recipe, progress), backtest.calibrations[tier]
        )
        for tier, recipe in plan.recipes.items()
    }
