"""What tuning sees: the panel up to the origin of the earliest fold that will be scored, and nothing after it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.served import as_served
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.lifecycle.training import TrainingPlan
from shelfops_pipeline.models.recipe import LEAST_PERIODS, Recipe, default_recipe
from shelfops_pipeline.tuning.space import MEMBERS, default_fields, with_fields

FOLDS: Final = 3
ROW_SHARE: Final = 0.2
"""Of the training rows and windows of a served model. Rounds, learning rate and epochs are those of the served model:
what is right for fewer rounds is not right for more."""
_LEAST_SEASONS: Final = 2


@dataclass(frozen=True)
class TuningTask:
    """One tier's tuning: what it may see, where its folds lie, and the defaults it starts from."""

    panel: Panel
    """Ends with the cut-off, apart from what is known in advance of the horizon after it."""
    recipe: Recipe
    """The defaults, with fewer rows."""
    origins: tuple[int, ...]
    """Of the tuning folds, oldest first; the last fold ends with the cut-off."""

    @property
    def cutoff(self) -> date:
        """The last period whose demand is seen."""
        return self.panel.last_observed


def plan_tuning(panel: Panel, plan: TrainingPlan) -> tuple[dict[Tier, TuningTask], dict[Tier, str]]:
    """Tasks for the plan's tiers, and for those whose history is too short, why.

    `plan` must be that of the defaults on this panel: it says which folds will be scored, and what the defaults are.
    Raises NotEnoughHistoryError when it is too short for all of them.
    """
    tasks: dict[Tier, TuningTask] = {}
    refused: dict[Tier, str] = {}
    for tier, recipe in plan.recipes.items():
        try:
            tasks[tier] = _task(panel, recipe, plan.origins)
        except NotEnoughHistoryError as error:
            refused[tier] = str(error)
    if not tasks:
        raise NotEnoughHistoryError(refused.get(Tier.COLD_START) or refused[Tier.PRODUCTION])
    return tasks, refused


def _task(panel: Panel, recipe: Recipe, scored: tuple[int, ...]) -> TuningTask:
    spec = recipe.spec
    origins = tuning_origins(panel.dataset, scored[0] + 1, spec, len(scored))
    known = as_served(panel, scored[0], spec.horizon)
    seen = default_recipe(known, spec.tier, spec.horizon, recipe.seed)
    for member in MEMBERS:
        seen = with_fields(seen, member, default_fields(recipe, member))
    rows = {"max_rows": max(round(min(seen.xgboost.max_rows, recipe.xgboost.max_rows) * ROW_SHARE), 1)}
    windows = {"max_windows": max(round(min(seen.lstm.max_windows, recipe.lstm.max_windows) * ROW_SHARE), 1)}
    lighter = {
        "xgboost": seen.xgboost.model_copy(update=rows),
        "lstm": seen.lstm.model_copy(update=windows),
    }
    return TuningTask(known, seen.model_copy(update=lighter), origins)


def tuning_origins(dataset: str, n_seen: int, spec: TierSpec, scored_folds: int) -> tuple[int, ...]:
    """Origins of up to three folds within the first `n_seen` periods, oldest first; windows overlap by half at most.

    Before the first origin lies what the tier needs to be served. Raises NotEnoughHistoryError below two folds.
    """
    least = max(_LEAST_SEASONS * spec.season, LEAST_PERIODS, spec.min_history)
    half = -(-spec.horizon // 2)
    first, last = least - 1, n_seen - 1 - spec.horizon
    needed = least + spec.horizon + half
    if n_seen < needed:
        raise NotEnoughHistoryError(
            f"{dataset}: tuning the {spec.tier} tier needs {needed} periods before the first fold that is scored, there"
            f" are {n_seen}; it can be tuned with {needed + scored_folds * spec.horizon} periods in all, or with fewer"
            " --folds or a shorter --horizon; until then the defaults are used"
        )
    folds = min(FOLDS, 1 + (last - first) // half)
    stride = min(spec.horizon, (last - first) // (folds - 1))
    return tuple(last - stride * k for k in reversed(range(folds)))
