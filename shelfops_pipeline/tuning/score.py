"""The score of a trial: one member, fitted on what was known at a tuning fold's origin, on the periods after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.served import as_served
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.evaluation.backtest import actuals
from shelfops_pipeline.evaluation.metrics import wape
from shelfops_pipeline.features.create import FeatureRows, SequenceWindows, create_features, create_windows
from shelfops_pipeline.inference.backends import NativeBackend
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.fit import Progress, members_of, quiet
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.lstm import fit_lstm
from shelfops_pipeline.models.recipe import Recipe, channel_scales
from shelfops_pipeline.models.serve import origin_state
from shelfops_pipeline.tuning.space import Member
from shelfops_pipeline.tuning.task import TuningTask

Floats = NDArray[np.float32]

LOSSES: Final[dict[Transform, str]] = {"log": "WAPE", "count": "Poisson deviance per unit"}
_LEAST_RATE: Final = 1e-3  # of a count: a forecast of 0 of what then sold would be infinitely wrong


@dataclass(frozen=True)
class TuningFold:
    """A tuning fold, ready for any number of fits: no input of a fit depends on a tuned field."""

    members: Members
    """without fitted models"""
    state: SeriesState
    actual: Floats
    """[S, H] NaN where closed or not observed"""
    training: FeatureRows | SequenceWindows


def prepare_folds(task: TuningTask, member: Member, progress: Progress = quiet) -> list[TuningFold]:
    """The task's folds. Raises NotEnoughHistoryError when nothing was sold in one of them."""
    folds = []
    for k, origin in enumerate(task.origins, start=1):
        progress(f"{task.recipe.spec.tier}: training rows of tuning fold {k} of {len(task.origins)}")
        folds.append(_fold(task.panel, task.recipe, origin, member))
    return folds


def _fold(panel: Panel, recipe: Recipe, origin: int, member: Member) -> TuningFold:
    spec = recipe.spec
    known = as_served(panel, origin, spec.horizon)
    members = members_of(known, recipe, None, None)
    state = origin_state(known, members, origin)
    actual = np.where(state.closed(), np.float32(np.nan), actuals(panel, origin, spec.horizon))
    if not np.nansum(actual) > 0:
        raise NotEnoughHistoryError(
            f"{panel.dataset}: nothing was sold in the {spec.horizon} periods after {known.last_observed}, on which"
            f" {member} would be tuned; use another --horizon, or the defaults"
        )
    scales, seed = channel_scales(known), recipe.seed
    training: FeatureRows | SequenceWindows
    if member == "xgboost":
        training = create_features(known, spec, recipe.transform, scales, recipe.xgboost.max_rows, seed)
    else:
        training = create_windows(known, spec, recipe.transform, scales, recipe.lstm.max_windows, seed + 1)
    return TuningFold(members, state, actual, training)


def fold_loss(fold: TuningFold, recipe: Recipe, member: Member) -> float:
    """Fit the member by the recipe, forecast the fold, and score it: see `member_loss`."""
    backend = NativeBackend(*_fit(fold, recipe))
    forecast = replace(fold.members, backend=backend).predict(fold.state, (member,))[member]
    return member_loss(fold.actual, forecast, recipe.transform)


def _fit(fold: TuningFold, recipe: Recipe) -> tuple[Any, Any]:
    """(booster, None) or (None, network)."""
    training = fold.training
    if isinstance(training, FeatureRows):
        return fit_xgboost(training, recipe), None
    sizes = {name: len(categories) for name, categories in fold.members.static_categories.items()}
    return None, fit_lstm(training, recipe.spec, sizes, recipe.lstm, recipe.transform, recipe.seed)


def member_loss(actual: Floats, forecast: Floats, transform: Transform) -> float:
    """The loss that is least for what the member estimates, per unit sold, so that no retailer's scale is in it.

    `log`: WAPE, since an average of logs, taken back, is near the median. `count`: Poisson deviance / units, since the
    member estimates a mean of counts, and absolute error would ask for 0 of whatever sells on fewer than half the
    days (Kolassa 2016). [S, H] each; NaN actuals are not scored.
    """
    if transform == "log":
        return wape(actual, forecast).value
    scored = np.isfinite(actual)
    y = actual[scored].astype(np.float64)
    f = np.maximum(forecast[scored].astype(np.float64), _LEAST_RATE)
    sold = y * np.log(np.divide(y, f, out=np.ones_like(y), where=y > 0))
    return float(2 * (sold - (y - f)).sum() / y.sum())


def relative(losses: Sequence[float], of_defaults: Sequence[float]) -> float:
    """Mean over folds of a trial's loss as a share of the defaults' on the same fold; below 1 is better.

    Fold by fold, so that a hard window counts no more than an easy one, and a trial that was stopped after some folds
    can be compared with the others.
    """
    return float(np.mean([loss / default for loss, default in zip(losses, of_defaults[: len(losses)], strict=True)]))
