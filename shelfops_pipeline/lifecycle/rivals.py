"""Whom a candidate is compared with, and how that one is asked for its forecasts of the same folds.

A champion answers as it is where the folds lie after its training cut-off. Elsewhere its recipe is refitted per fold,
because a model must not be scored on days that it was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Manifest
from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.served import as_served
from shelfops_pipeline.errors import OtherReleaseError
from shelfops_pipeline.evaluation.backtest import Backtest, run_backtest
from shelfops_pipeline.evaluation.metrics import mae
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.lifecycle.comparison import Side
from shelfops_pipeline.lifecycle.training import FOLD_EFFORT
from shelfops_pipeline.models.bundle import verify
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.models.serve import reconciled_state

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rival:
    """Who must be beaten, and its forecasts."""

    name: str
    """the champion's version, or the baseline's name"""
    is_champion: bool
    how: str
    """how it was asked"""
    folds: tuple[int, ...]
    """the folds that can be compared, by position"""
    side: Side
    is_tie: bool = False
    """the forecasts are the candidate's own: there is nothing to tell the two apart on"""


def find_rival(panel: Panel, backtest: Backtest, tier: Tier, champion: Path | None) -> Rival:
    """The champion; where there is none, or none that can serve this panel in this release, the best baseline.

    Raises BundleError when the champion's bundle is damaged.
    """
    if champion is None:
        return best_baseline(backtest, tier, "the first version of its tier must beat the baselines")
    try:
        manifest = verify(champion)
    except OtherReleaseError:
        return best_baseline(backtest, tier, f"{champion.name} is of another release of ShelfOps and cannot serve")
    if gone := _gone(panel, manifest):
        how = f"{champion.name} was trained with what the data no longer has ({', '.join(gone)}) and cannot serve"
        return best_baseline(backtest, tier, how)
    return champion_rival(panel, backtest, tier, champion, manifest)


def _gone(panel: Panel, manifest: Manifest) -> list[str]:
    """The columns that a champion needs and the panel lacks: a retailer may stop giving a price or a category."""
    spec = manifest.spec
    needed = (
        (spec.channels, panel.channels),
        (spec.past_channels, panel.past),
        (manifest.static_categories, panel.static),
    )
    return [name for names, there in needed for name in names if name not in there]


def best_baseline(backtest: Backtest, tier: Tier, how: str) -> Rival:
    """The baseline with the smallest MAE over all folds."""
    actual = np.concatenate([f.actual for f in backtest.folds[tier]])
    names = backtest.baselines[0].forecasts
    errors = {n: mae(actual, np.concatenate([b.forecasts[n] for b in backtest.baselines])).value for n in names}
    best = min(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    forecasts = [b.forecasts[best] for b in backtest.baselines]
    return Rival(best, False, how, tuple(range(len(forecasts))), Side(forecasts, forecasts))


def champion_rival(panel: Panel, backtest: Backtest, tier: Tier, champion: Path, manifest: Manifest) -> Rival:
    """The champion's forecasts of the candidate's folds, over its own horizon."""
    name, every = champion.name, tuple(range(len(backtest.origins)))
    cutoff = np.datetime64(manifest.training_cutoff, "D")
    unseen = tuple(k for k in every if panel.dates[backtest.origins[k]].astype("datetime64[D]") >= cutoff)
    recipe, own = Recipe.model_validate(manifest.recipe).scaled(FOLD_EFFORT), backtest.recipes[tier]
    alike = recipe.kind == own.kind
    if unseen and (alike or unseen == every):
        side = Side.of(_frozen(panel, [backtest.origins[k] for k in unseen], champion, manifest))
        return Rival(name, True, "as it is: the folds lie after its training", unseen, side)
    if alike:  # refitting it per fold would give the candidate's own forecasts
        side = Side.of([f.forecast for f in backtest.folds[tier]])
        how = "its recipe is the candidate's, and no fold lies after its training: a tie, until there is newer demand"
        return Rival(name, True, how, every, side, is_tie=True)
    sizes = {"max_rows": own.xgboost.max_rows}
    recipe = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update=sizes)})
    refitted = run_backtest(panel, {tier: recipe}, backtest.origins, Metric.MAE)
    side = Side.of([f.forecast for f in refitted.folds[tier]])
    return Rival(name, True, "its recipe refitted on each fold, as the candidate's", every, side)


def _frozen(panel: Panel, origins: Sequence[int], champion: Path, manifest: Manifest) -> list[Forecast]:
    model = ServedModel.load_native(champion)
    shown = (as_served(panel, origin, manifest.horizon) for origin in origins)
    return [predict_demand(model, reconciled_state(known, model)) for known in shown]
