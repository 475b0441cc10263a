"""The simulated retailer, whose true demand is known, says how far the models are from the best that can be known.

The models are trained with a share of the default effort on some seventy series over two years: half a minute, for all
the tests of this file together.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import nbinom

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.sources.simulated import Simulated
from shelfops_pipeline.evaluation.backtest import Backtest, actuals, run_backtest
from shelfops_pipeline.evaluation.baselines import BASELINES
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.evaluation.report import headline, metrics_table
from shelfops_pipeline.inference.predict import Forecast, calibrated
from shelfops_pipeline.models.fit import fit_members
from shelfops_pipeline.models.recipe import default_recipe
from shelfops_pipeline.models.serve import origin_state
from tests.domain.support import tiny

H = 14
TIER = Tier.PRODUCTION
SHOCK_SD = 0.06  # of a store and day: see data.simulator
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def rows_of(simulator: Simulator, panel: Panel) -> NDArray[np.intp]:
    """[S] row in the simulator of each series of the panel."""
    series = simulator.series
    ids = {pair: k for k, pair in enumerate(zip(series["store_id"], series["item_id"], strict=True))}
    return np.array([ids[pair] for pair in zip(panel.store_ids, panel.item_ids, strict=True)])


def oracle_median(simulator: Simulator, panel: Panel) -> Floats:
    """[S, T] the median of the distribution that demand is drawn from: Poisson, its rate times a gamma and a shock.

    The shock is narrow; with it the mixture is all but a negative binomial of the same mean and variance.
    """
    rows = rows_of(simulator, panel)
    first = int((panel.dates[0] - simulator.dates[0]).astype(int))
    rate = np.maximum(simulator.true_rate[rows][:, first : first + panel.n_periods], 1e-12)
    slow = simulator.plan.items.slow[simulator.plan.item_of][rows]
    spread = (1 + 1 / np.where(slow, 2.0, 15.0)) * np.exp(SHOCK_SD**2) - 1
    shape = 1 / spread[:, None]
    return nbinom.ppf(0.5, shape, shape / (shape + rate)).astype(np.float32)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(stores=4, items=20, days=730, seed=7, dirt=0.0, future_days=30)


@pytest.fixture(scope="module")
def panel(simulator: Simulator) -> Panel:
    return load_panel(Simulated(simulator), max_quarantined_share=0.01).panel


@pytest.fixture(scope="module")
def trained(panel: Panel, one_thread: None) -> Backtest:
    recipe = default_recipe(panel, TIER, H, seed=7, effort=0.4)
    return run_backtest(panel, {TIER: recipe}, fold_origins(panel, H, 2, season=7))


@pytest.mark.parametrize("model", ["ensemble", "xgboost", "lstm"])
def test_a_model_beats_all_four_baselines(trained: Backtest, model: str) -> None:
    table = metrics_table(trained)
    mine = headline(table, TIER, model)["mae"]
    theirs = {name: headline(table, TIER, name)["mae"] for name in BASELINES}
    assert mine is not None
    assert all(other is not None and mine < other for other in theirs.values()), (mine, theirs)


def test_the_ensemble_errs_at_most_15_percent_more_than_one_who_knows_the_true_rate(
    trained: Backtest, simulator: Simulator, panel: Panel
) -> None:
    folds = trained.folds[TIER]
    median = oracle_median(simulator, panel)
    actual = np.concatenate([f.actual for f in folds])
    best = np.concatenate([median[:, f.origin + 1 : f.origin + 1 + H] for f in folds])
    mine = np.concatenate([f.forecast.points[Metric.MAE] for f in folds])
    error, least = (float(np.nanmean(np.abs(actual - forecast))) for forecast in (mine, best))
    assert least > 1  # units: there is noise that nobody can foresee
    assert error <= 1.15 * least, f"{error:.3f} is {error / least:.3f} x the oracle's {least:.3f}"


def test_nobody_beats_the_oracle(trained: Backtest, simulator: Simulator, panel: Panel) -> None:
    """Else the oracle would not be one. The tolerance is for chance: returns, and the luck of a few hundred rows."""
    median = oracle_median(simulator, panel)
    for k, fold in enumerate(trained.folds[TIER]):
        best = np.nanmean(np.abs(fold.actual - median[:, fold.origin + 1 : fold.origin + 1 + H]))
        everybody = fold.forecast.members | trained.baselines[k].forecasts | {"ensemble": fold.forecast.point}
        for name, forecast in everybody.items():
            assert np.nanmean(np.abs(fold.actual - forecast)) > 0.98 * best, name


@dataclass(frozen=True)
class ColdStart:
    """A retailer a quarter of whose items, and one of whose stores, have no history yet: what then happened."""

    actual: Floats
    hidden: Bools
    """[S] series without history"""
    new_item: Bools
    forecast: Forecast
    """made without the hidden series' history"""
    informed: Forecast
    """made by the same models from states that know it"""
    overall: float
    """mean demand of all series with history in the last four weeks"""

    def scored(self, rows: Bools) -> Bools:
        return np.isfinite(self.actual) & rows[:, None]

    def inside(self, rows: Bools) -> float:
        low, high = self.forecast.quantiles[..., 0], self.forecast.quantiles[..., -1]
        return float(((self.actual >= low) & (self.actual <= high))[self.scored(rows)].mean())


@pytest.fixture(scope="module")
def cold_start(one_thread: None) -> ColdStart:
    simulator = Simulator(stores=4, items=80, days=150, seed=7, dirt=0.0, future_days=30)
    whole = load_panel(Simulated(simulator), max_quarantined_share=0.01).panel
    origin = whole.n_observed - 1 - H
    items = np.random.default_rng(7).permutation(np.unique(whole.item_ids))
    new_item = np.isin(whole.item_ids, items[: len(items) // 4])
    hidden = new_item | (whole.store_ids == whole.store_ids[0])
    told = whole.as_of(origin, H)
    shown = replace(told, demand=told.demand.copy(), state=told.state.copy())
    shown.demand[hidden] = np.nan
    shown.state[hidden, : origin + 1] = State.NOT_LISTED
    recipe = tiny(default_recipe(shown, Tier.COLD_START, H, seed=7))
    backtest = run_backtest(shown, {Tier.COLD_START: recipe}, fold_origins(shown, H, 2, season=7))
    members, calibration = fit_members(shown, recipe), backtest.calibrations[Tier.COLD_START]

    def forecast(panel: Panel) -> Forecast:
        state = origin_state(panel, members, origin)
        return calibrated(calibration, state, members.predict(state), Metric.MAE)

    overall = float(np.nanmean(shown.demand[:, origin - 27 : origin + 1]))
    return ColdStart(actuals(whole, origin, H), hidden, new_item, forecast(shown), forecast(told), overall)


@pytest.mark.parametrize("which", ["new_item", "new_store"])
def test_without_history_a_forecast_from_attributes_and_likes_beats_the_overall_mean(
    cold_start: ColdStart, which: str
) -> None:
    rows = cold_start.new_item if which == "new_item" else cold_start.hidden & ~cold_start.new_item
    scored = cold_start.scored(rows)
    error = np.abs(cold_start.actual - cold_start.forecast.point)[scored].mean()
    of_the_mean = np.abs(cold_start.actual - cold_start.overall)[scored].mean()
    assert scored.sum() > 500
    assert error < 0.95 * of_the_mean, (float(error), float(of_the_mean))


def test_without_history_the_90_percent_interval_covers_about_90_percent(cold_start: ColdStart) -> None:
    """Twenty items and one store stand for themselves: 90 % of them is 80 to 98 by chance alone."""
    assert 0.8 <= cold_start.inside(cold_start.hidden) <= 0.98
    assert 0.8 <= cold_start.inside(cold_start.new_item) <= 0.98
    assert 0.85 <= cold_start.inside(~cold_start.hidden) <= 0.98


def test_without_history_the_interval_is_wider_than_that_of_the_same_series_with_history(
    cold_start: ColdStart,
) -> None:
    rows = cold_start.hidden

    def width(forecast: Forecast) -> float:
        """Of the 90 % interval, as a share of what is expected."""
        low, high = forecast.quantiles[rows, :, 0], forecast.quantiles[rows, :, -1]
        return float((high - low).sum() / forecast.mean[rows].sum())

    without, with_history = width(cold_start.forecast), width(cold_start.informed)
    assert without > 1.2 * with_history, (without, with_history)
