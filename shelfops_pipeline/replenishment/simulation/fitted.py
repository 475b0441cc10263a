"""Our forecasts in a replay: fitted once on the history before it, made anew every morning from the policy's own sales.

The recipe, the features and the calibration are those of the production tier; to replay years in minutes, the network
and the totals' own forecast are left out: the booster stands for both members. What was sold out is missing, not 0.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import OPEN, Metric, Tier
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.evaluation.backtest import actuals, calibrate
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.backends import NativeBackend
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import Members, calibrated
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.recipe import Recipe, channel_scales, default_recipe
from shelfops_pipeline.replenishment.demand import Demand, error_correlation
from shelfops_pipeline.replenishment.simulation.stock_room import Seen

Floats = NDArray[np.float32]


@dataclass
class FittedForecaster:
    """A model that is fitted when it is first asked, on what is known then."""

    panel: Panel
    """the retailer's history before the replay, and what is planned"""
    horizon: int
    folds: int
    seed: int
    effort: float
    _model: "Model | None" = None

    def forecast(self, seen: Seen) -> Demand:
        """Demand from `seen.today` on."""
        known = shown(self.panel, seen, self.horizon)
        if self._model is None:
            self._model = Model.fit(known, self.horizon, self.folds, self.seed, self.effort)
        return self._model.forecast(known)


@dataclass(frozen=True)
class Model:
    """A calibrated booster."""

    recipe: Recipe
    members: Members
    calibration: Calibration
    correlation: float
    """of the errors of neighbouring days, measured on the folds"""

    @classmethod
    def fit(cls, panel: Panel, horizon: int, folds: int, seed: int, effort: float) -> Self:
        """Backtest, calibrate and fit on the observed periods of `panel`, as a training of the production tier does."""
        recipe = default_recipe(panel, Tier.PRODUCTION, horizon, seed, effort)
        tested = [_fold(panel, recipe, origin) for origin in fold_origins(panel, horizon, folds, recipe.spec.season)]
        calibration = calibrate(tested, recipe)
        forecasts = [calibrated(calibration, f.state, f.members, Metric.MAE) for f in tested]
        demand = Demand(np.concatenate([f.mean for f in forecasts]), np.concatenate([f.quantiles for f in forecasts]))
        correlation = error_correlation(np.concatenate([f.actual for f in tested]), demand)
        return cls(recipe, _fit(panel, recipe), calibration, correlation)

    def forecast(self, panel: Panel) -> Demand:
        """Demand after the last observed period of `panel`."""
        state = _state(panel, self.recipe, self.members)
        made = calibrated(self.calibration, state, _both(self.members, state), Metric.MAE)
        return Demand(made.mean, made.quantiles, self.correlation)


def shown(history: Panel, seen: Seen, horizon: int) -> Panel:
    """The panel as it would be built on the morning of `seen.today`: the history, and after it the policy's own sales.
    What was sold out is missing; what is planned is known for `horizon` days."""
    start, today, end = history.n_observed, seen.today, seen.today + horizon
    demand = np.full((history.n_series, end), np.nan, dtype=np.float32)
    state = np.full(demand.shape, State.FUTURE, dtype=np.uint8)
    demand[:, :start], state[:, :start] = history.demand[:, :start], history.state[:, :start]
    new = slice(start, today)
    closed = np.asarray(history.channels[OPEN][:, new]) == 0
    state[:, new] = np.where(closed, State.CLOSED, np.where(seen.sold_out[:, new], State.STOCKOUT, State.OBSERVED))
    demand[:, new] = np.where(state[:, new] == State.OBSERVED, seen.sales[:, new], np.nan)
    channels = {name: values[:, :end] for name, values in history.channels.items()}
    return replace(history, dates=history.dates[:end], n_observed=today, demand=demand, state=state, channels=channels)


def _fold(panel: Panel, recipe: Recipe, origin: int) -> FoldForecast:
    known = panel.as_of(origin, recipe.spec.horizon)
    members = _fit(known, recipe)
    state = _state(known, recipe, members)
    return FoldForecast(origin, state, _both(members, state), actuals(panel, origin, recipe.spec.horizon))


def _fit(panel: Panel, recipe: Recipe) -> Members:
    scales = channel_scales(panel)
    rows = create_features(panel, recipe.spec, recipe.transform, scales, recipe.xgboost.max_rows, recipe.seed)
    categories = {name: panel.static[name].categories for name in recipe.spec.static}
    backend = NativeBackend(fit_xgboost(rows, recipe), None)
    return Members(recipe.spec, recipe.transform, scales, categories, panel.holiday_kinds, backend)


def _state(panel: Panel, recipe: Recipe, members: Members) -> SeriesState:
    return StateBuilder(panel, recipe.spec, recipe.transform, members.channel_scales).at(panel.n_observed - 1)


def _both(members: Members, state: SeriesState) -> dict[str, Floats]:
    boosted = members.predict(state, ("xgboost",))["xgboost"]
    return {"xgboost": boosted, "lstm": boosted}
