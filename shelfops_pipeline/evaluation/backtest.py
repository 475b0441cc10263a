"""Rolling-origin backtest: at each origin every model is refitted on what was known then, and scored on the horizon
that is served.

Honest by construction: a fold's models see `as_served(panel, origin)` only; the calibration that a fold is scored with
was fitted on folds whose targets had all been observed at its origin, or, where there are none (the first fold,
overlapping folds of short histories), on the other half of the series. Nothing is fitted on the rows that it is scored
on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.served import as_served
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.evaluation.baselines import BaselineHistory
from shelfops_pipeline.evaluation.fresh import with_fresh
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.calibration import Calibration, demand_class
from shelfops_pipeline.inference.predict import Forecast, calibrated
from shelfops_pipeline.models.calibrate import fit_calibration, horizon_blocks
from shelfops_pipeline.models.fit import Progress, fit_members, quiet
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.models.totals import Totals

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ScoredFold:
    """One fold of one tier; S series, H periods."""

    origin: int
    """position of the last known period in the panel"""
    origin_date: str
    dates: NDArray[np.datetime64]
    actual: Floats
    """NaN where demand was not observed: not scored"""
    forecast: Forecast
    """the calibrated ensemble"""
    history: NDArray[np.int32]
    """[S] observed periods of each series at the origin"""
    classes: NDArray[np.intp]
    """[S] demand class of each series at the origin: an index into inference.calibration.CLASSES"""

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The fold of some of the series."""
        return replace(
            self,
            actual=self.actual[rows],
            forecast=self.forecast.take(rows),
            history=self.history[rows],
            classes=self.classes[rows],
        )


@dataclass(frozen=True)
class Baselines:
    """The baselines' forecasts of one fold, and the scale of MASE."""

    forecasts: dict[str, Floats]
    naive_error: Floats

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The baselines of some of the series."""
        return replace(
            self, forecasts={k: v[rows] for k, v in self.forecasts.items()}, naive_error=self.naive_error[rows]
        )


@dataclass(frozen=True)
class RawFold:
    """What one origin comes to by itself, before anything is calibrated on other folds."""

    recipes: dict[Tier, Recipe]
    """that each tier was fitted by"""
    forecasts: dict[Tier, FoldForecast]
    baselines: Baselines


@dataclass(frozen=True)
class Backtest:
    """Folds of one or two tiers over the same origins; `folds[tier][k]` and `baselines[k]` share their rows."""

    origins: tuple[int, ...]
    recipes: dict[Tier, Recipe]
    folds: dict[Tier, list[ScoredFold]]
    baselines: list[Baselines]
    calibrations: dict[Tier, Calibration]
    """Fitted on all folds: what a model trained on everything is served with."""

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The backtest of some of the series."""
        return replace(
            self,
            folds={tier: [fold.take(rows) for fold in folds] for tier, folds in self.folds.items()},
            baselines=[b.take(rows) for b in self.baselines],
        )


def run_backtest(
    panel: Panel,
    recipes: dict[Tier, Recipe],
    origins: Sequence[int],
    metric: Metric = Metric.MAE,
    progress: Progress = quiet,
) -> Backtest:
    """Backtest every tier at every origin."""
    folds = [raw_fold(panel, recipes, origins, number, progress) for number in range(len(origins))]
    return join_folds(panel, folds, metric)


def raw_fold(
    panel: Panel, recipes: dict[Tier, Recipe], origins: Sequence[int], number: int, progress: Progress = quiet
) -> RawFold:
    """Refit every tier and the baselines on what was known at one of the origins; it depends on none of the others."""
    origin, spec = origins[number], next(iter(recipes.values())).spec
    known = as_served(panel, origin, spec.horizon)
    totals, forecasts = Totals.of(known, spec.horizon), {}
    for tier, recipe in recipes.items():
        progress(f"fold {number + 1} of {len(origins)}, {tier}")
        forecasts[tier] = forecast_fold(panel, recipe, origin, totals)
    history = BaselineHistory(known, spec.season)
    baselines = Baselines(history.forecast(origin, spec.horizon), history.naive_error(origin))
    return RawFold(recipes, forecasts, baselines)


def join_folds(panel: Panel, folds: Sequence[RawFold], metric: Metric = Metric.MAE) -> Backtest:
    """The backtest that folds of the same recipes, in the order of their origins, come to.

    Raises ShelfOpsError when the recipes differ: what was measured of one says nothing of another.
    """
    recipes = folds[0].recipes
    if any(fold.recipes != recipes for fold in folds):
        raise ShelfOpsError(
            "the folds of this backtest were fitted by different recipes: give every worker the same settings"
            " (SHELFOPS_EFFORT, SHELFOPS_SEED, SHELFOPS_TIER), and run it again"
        )
    raw = {tier: [fold.forecasts[tier] for fold in folds] for tier in recipes}
    return Backtest(
        origins=tuple(fold.origin for fold in next(iter(raw.values()))),
        recipes=recipes,
        folds={tier: score_folds(panel, of_tier, recipes[tier], metric) for tier, of_tier in raw.items()},
        baselines=[fold.baselines for fold in folds],
        calibrations={tier: calibrate(of_tier, recipes[tier]) for tier, of_tier in raw.items()},
    )


def forecast_fold(panel: Panel, recipe: Recipe, origin: int, totals: Totals | None = None) -> FoldForecast:
    """Refit the members on what was known at the origin and forecast the horizon after it; `totals` as known then."""
    spec = recipe.spec
    known = as_served(panel, origin, spec.horizon)
    members = fit_members(known, recipe)
    state = StateBuilder(known, spec, recipe.transform, members.channel_scales).at(origin)
    forecasts, actual = members.predict(state), actuals(panel, origin, spec.horizon)
    if totals is not None:
        state = replace(state, shift=totals.shifts(forecasts))
    fold = FoldForecast(origin, state, forecasts, actual, None if totals is None else totals.groups)
    return with_fresh(fold, known, recipe, members) if spec.tier is Tier.COLD_START else fold


def actuals(panel: Panel, origin: int, horizon: int) -> Floats:
    """[S, H] what was observed after the origin."""
    out = np.full((panel.n_series, horizon), np.nan, dtype=np.float32)
    end = min(origin + 1 + horizon, panel.n_observed)
    out[:, : end - origin - 1] = panel.demand[:, origin + 1 : end]
    return out


def calibrate(folds: Sequence[FoldForecast], recipe: Recipe) -> Calibration:
    """A calibration fitted on all of these folds."""
    blocks = horizon_blocks(recipe.spec.horizon, recipe.spec.short)
    return fit_calibration(folds, recipe.transform, recipe.integer_demand, blocks)


def score_folds(panel: Panel, folds: Sequence[FoldForecast], recipe: Recipe, metric: Metric) -> list[ScoredFold]:
    """Calibrate each fold on others (see the module's head) and keep what is needed to score it."""
    horizon = recipe.spec.horizon
    telling = [f for f in folds if f.scored.any()] or folds  # a retailer may be closed for a whole fold
    observed = np.isfinite(np.asarray(panel.demand[:, : panel.n_observed]))
    scored = []
    for fold in folds:
        earlier = [f for f in telling if f.origin + horizon <= fold.origin]
        forecast = _calibrated_apart(fold, earlier, telling, recipe, metric)
        history = observed[:, : fold.origin + 1].sum(axis=1).astype(np.int32)
        day = str(panel.dates[fold.origin].astype("datetime64[D]"))
        classes = demand_class(fold.state)
        scored.append(ScoredFold(fold.origin, day, forecast.dates, fold.actual, forecast, history, classes))
    return scored


def _calibrated_apart(
    fold: FoldForecast,
    earlier: Sequence[FoldForecast],
    folds: Sequence[FoldForecast],
    recipe: Recipe,
    metric: Metric,
) -> Forecast:
    if earlier:
        return calibrated(calibrate(earlier, recipe), fold.state, fold.members, metric)
    usable = [f for f in folds if f.origin <= fold.origin]
    if not usable:  # so nothing of this fold is scored, and nothing that came later can flatter it
        return calibrated(calibrate(folds, recipe), fold.state, fold.members, metric)
    scored = np.any([f.scored.any(axis=1) for f in usable], axis=0)
    if scored.sum() < 2:  # a single series cannot be split: its calibration is in-sample for this fold
        return calibrated(calibrate(usable, recipe), fold.state, fold.members, metric)
    half = _split(scored, recipe.seed)
    parts, order = [], []
    for side in (half, ~half):
        rows, others = np.flatnonzero(side), np.flatnonzero(~side)
        own = fold.take(rows)
        parts.append(calibrated(calibrate([f.take(others) for f in usable], recipe), own.state, own.members, metric))
        order.append(rows)
    return _merge(parts, np.argsort(np.concatenate(order)))


def _split(scored: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """[S] a random half of the series, and of those that have something to calibrate on."""
    order = np.random.default_rng(seed).permutation(len(scored))
    order = order[np.argsort(~scored[order], kind="stable")]
    half = np.zeros(len(scored), dtype=bool)
    half[order[1::2]] = True
    return half


def _merge(parts: Sequence[Forecast], order: NDArray[np.intp]) -> Forecast:
    def join(name: str) -> Floats:
        return np.concatenate([getattr(p, name) for p in parts])[order]

    def join_each(name: str) -> dict[Any, Floats]:
        return {k: np.concatenate([getattr(p, name)[k] for p in parts])[order] for k in getattr(parts[0], name)}

    return Forecast(
        parts[0].dates,
        join("mean"),
        join("point"),
        join_each("points"),
        join("quantiles"),
        join_each("members"),
    )
