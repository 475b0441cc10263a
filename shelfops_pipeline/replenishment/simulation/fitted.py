"""Our forecasts in a replay: fitted once on the history before it, made anew every morning from the policy's own sales.

The recipe, the features and the calibration are those of the production tier; to replay years in minutes, the network
and the totals' own forecast are left out: the booster stands for both members. What was sold out is missing, not 0.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.evaluation.backtest import actuals, calibrate
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.backends import NativeBackend
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import Forecast, Members, calibrated
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.recipe import Recipe, channel_scales, default_recipe
from shelfops_pipeline.replenishment.demand import Demand, error_correlation
from shelfops_pipeline.replenishment.simulation.stock_room import Seen


@dataclass(frozen=True)
class FittedForecaster:
    """A model fitted on the history before the replay."""

    panel: Panel
    """the retailer's history and what is planned; demand after its last observed period is never read"""
    recipe: Recipe
    members: Members
    calibration: Calibration
    correlation: float
    """of the errors of neighbouring days, measured on the folds"""

    @classmethod
    def fit(cls, panel: Panel, horizon: int, folds: int, seed: int, effort: float) -> Self:
        """Backtest, calibrate and fit on the observed periods of `panel`, as a training of the production tier does."""
        known = panel.as_of(panel.n_observed - 1, horizon)
        recipe = default_recipe(known, Tier.PRODUCTION, horizon, seed, effort)
        tested = [_fold(known, recipe, origin) for origin in fold_origins(known, horizon, folds, recipe.spec.season)]
        calibration = calibrate(tested, recipe)
        forecasts = [calibrated(calibration, f.state, f.members, Metric.MAE) for f in tested]
        demand = Demand(np.concatenate([f.mean for f in forecasts]), np.concatenate([f.quantiles for f in forecasts]))
        correlation = error_correlation(np.concatenate([f.actual for f in tested]), demand)
        return cls(panel, recipe, _fit(known, recipe), calibration, correlation)

    def forecast(self, seen: Seen) -> Demand:
        """Demand from `seen.today` on."""
        shown = self._shown(seen)
        state = _state(shown, self.recipe, self.members)
        made = _calibrated(self.calibration, state, self.members)
        return Demand(made.mean, made.quantiles, self.correlation)

    def _shown(self, seen: Seen) -> Panel:
        """The panel as it would have been built this morning."""
        start, today, end = self.panel.n_observed, seen.today, seen.today + self.recipe.spec.horizon
        demand = np.full((self.panel.n_series, end), np.nan, dtype=np.float32)
        state = np.full(demand.shape, State.FUTURE, dtype=np.uint8)
        demand[:, :start], state[:, :start] = self.panel.demand[:, :start], self.panel.state[:, :start]
        closed = np.asarray(self.panel.channels["open"][:, start:today]) == 0
        state[:, start:today] = np.where(
            closed, State.CLOSED, np.where(seen.sold_out[:, start:today], State.STOCKOUT, State.OBSERVED)
        )
        sold = seen.sales[:, start:today].astype(np.float32)
        demand[:, start:today] = np.where(state[:, start:today] == State.OBSERVED, sold, np.nan)
        return replace(
            self.panel,
            dates=self.panel.dates[:end],
            n_observed=today,
            demand=demand,
            state=state,
            channels={name: values[:, :end] for name, values in self.panel.channels.items()},
        )


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


def _both(members: Members, state: SeriesState) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    boosted = members.predict(state, ("xgboost",))["xgboost"]
    return {"xgboost": boosted, "lstm": boosted}


def _calibrated(calibration: Calibration, state: SeriesState, members: Members) -> Forecast:
    return calibrated(calibration, state, _both(members, state), Metric.MAE)
