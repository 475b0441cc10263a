"""The backtest is honest: a fold's score owes nothing to that fold's own demand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import OPEN, Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError, ShelfOpsError
from shelfops_pipeline.evaluation import backtest as module
from shelfops_pipeline.evaluation.backtest import (
    Backtest,
    Baselines,
    RawFold,
    actuals,
    calibrate,
    forecast_fold,
    join_folds,
    run_backtest,
    score_folds,
)
from shelfops_pipeline.inference.predict import Forecast, Members
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.recipe import Recipe, default_recipe
from shelfops_pipeline.models.serve import origin_state

H = 14
Floats = NDArray[np.float32]
Poison = Callable[[FoldForecast], FoldForecast]


class Quick:
    """A stand-in for fitted models: answers from the inputs at the origin and from all demand that it was shown."""

    def __init__(self, shown: Floats) -> None:
        self.fitted = np.log1p(np.nansum(shown)) / 1000

    def xgboost(self, rows: Floats) -> Floats:
        return (np.nan_to_num(rows[:, :3]).mean(axis=1) / 10 + self.fitted).astype(np.float32)

    def lstm(self, encoder: Floats, decoder: Floats, static: NDArray[np.int32]) -> Floats:
        return decoder.mean(axis=2)


def quick_members(panel: Panel, recipe: Recipe) -> Members:
    """In place of `fit_members`."""
    categories = {k: v.categories for k, v in panel.static.items()}
    return Members(recipe.spec, recipe.transform, {}, categories, panel.holiday_kinds, Quick(panel.demand))


@pytest.fixture
def recipe(retailer_panel: Panel) -> Recipe:
    return default_recipe(retailer_panel, Tier.COLD_START, H, seed=7)


@pytest.fixture
def folds(retailer_panel: Panel, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> list[FoldForecast]:
    """Four folds, a week apart: the third and fourth begin when the first and second have ended."""
    monkeypatch.setattr(module, "fit_members", quick_members)
    last = retailer_panel.n_observed - 1 - H
    return [forecast_fold(retailer_panel, recipe, last - 7 * k) for k in (3, 2, 1, 0)]


def columns(forecast: Forecast) -> dict[str, Floats]:
    return {"mean": forecast.mean, "quantiles": forecast.quantiles, **{str(k): v for k, v in forecast.points.items()}}


def same(a: Forecast, b: Forecast, rows: NDArray[np.bool_] | slice = slice(None)) -> bool:
    mine, theirs = columns(a), columns(b)
    return all(np.array_equal(v[rows], theirs[k][rows]) for k, v in mine.items())


def poisoned(folds: list[FoldForecast], k: int, rows: NDArray[np.bool_] | slice = slice(None)) -> list[FoldForecast]:
    """Absurd demand in fold k."""
    actual = folds[k].actual.copy()
    actual[rows] = actual[rows] * 50 + 1000
    return [*folds[:k], replace(folds[k], actual=actual), *folds[k + 1 :]]


@pytest.mark.parametrize("k", [2, 3])
def test_a_fold_with_earlier_folds_owes_nothing_to_its_own_demand(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast], k: int
) -> None:
    clean = score_folds(retailer_panel, folds, recipe, Metric.MAE)
    spoiled = score_folds(retailer_panel, poisoned(folds, k), recipe, Metric.MAE)
    assert same(clean[k].forecast, spoiled[k].forecast)
    assert not np.array_equal(clean[k].actual, spoiled[k].actual, equal_nan=True)


def test_a_fold_is_calibrated_only_on_folds_that_had_ended_at_its_origin(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast]
) -> None:
    clean = score_folds(retailer_panel, folds, recipe, Metric.MAE)
    for k, touches in ((0, True), (1, False), (3, False)):  # fold 2 begins when fold 0 has ended
        spoiled = score_folds(retailer_panel, poisoned(folds, k), recipe, Metric.MAE)
        assert same(clean[2].forecast, spoiled[2].forecast) is not touches, f"poison in fold {k}"


@pytest.mark.parametrize("k", [0, 1])
def test_a_fold_without_earlier_ones_is_calibrated_on_the_other_half_of_the_series(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast], k: int
) -> None:
    clean = score_folds(retailer_panel, folds, recipe, Metric.MAE)[k].forecast
    S = retailer_panel.n_series
    changed_by = np.zeros((S, S), dtype=bool)
    for s in range(S):
        one = np.arange(S) == s
        spoiled = score_folds(retailer_panel, poisoned(folds, k, one), recipe, Metric.MAE)[k].forecast
        changed_by[s] = (clean.mean != spoiled.mean).any(axis=1) | (clean.quantiles != spoiled.quantiles).any((1, 2))
    assert not changed_by.diagonal().any()
    assert changed_by.any()
    halves = {tuple(row) for row in changed_by.tolist() if any(row)}
    assert len(halves) == 2  # each series moves the forecasts of the half that it is not in


def test_later_folds_do_not_reach_back(retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast]) -> None:
    clean = score_folds(retailer_panel, folds, recipe, Metric.MAE)
    spoiled = score_folds(retailer_panel, poisoned(folds, 3), recipe, Metric.MAE)
    for k in range(3):
        assert same(clean[k].forecast, spoiled[k].forecast)


def test_a_fold_is_forecast_from_what_was_known_at_its_origin(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast]
) -> None:
    origin = folds[0].origin
    demand = retailer_panel.demand.copy()
    demand[:, origin + 1 :] *= 100
    again = forecast_fold(replace(retailer_panel, demand=demand), recipe, origin)
    for name, values in folds[0].members.items():
        np.testing.assert_array_equal(again.members[name], values)
    np.testing.assert_allclose(again.actual, 100 * folds[0].actual)


def test_half_of_the_series_without_any_sales_does_not_stop_the_first_fold(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast]
) -> None:
    first = folds[0]
    actual = np.full_like(first.actual, np.nan)
    actual[:2] = first.actual[:2]
    for kept in (2, 1):  # two series can be split, one cannot
        actual[kept:] = np.nan
        (scored,) = score_folds(retailer_panel, [replace(first, actual=actual)], recipe, Metric.MAE)
        assert np.isfinite(scored.forecast.mean).all()
    nothing = replace(first, actual=np.full_like(actual, np.nan))
    with pytest.raises(NotEnoughHistoryError, match="no observed demand in the backtest folds"):
        score_folds(retailer_panel, [nothing], recipe, Metric.MAE)


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_retailer_that_was_closed_for_a_whole_fold_can_be_backtested(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast], closed: int
) -> None:
    """Its fold has nothing to tell: the others are calibrated as if it were not there."""
    shut = replace(folds[closed], actual=np.full_like(folds[closed].actual, np.nan))
    scored = score_folds(retailer_panel, [*folds[:closed], shut, *folds[closed + 1 :]], recipe, Metric.MAE)
    assert all(np.isfinite(f.forecast.mean).all() for f in scored)
    others = [k for k in range(4) if k != closed]
    without = score_folds(retailer_panel, [folds[k] for k in others], recipe, Metric.MAE)
    for k, alone in zip(others, without, strict=True):
        assert same(scored[k].forecast, alone.forecast)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_retailer_of_very_few_series_can_be_backtested(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast], n: int
) -> None:
    few = retailer_panel.take(slice(0, n))
    scored = score_folds(few, [f.take(np.arange(n)) for f in folds], recipe, Metric.MAE)
    assert all(f.forecast.mean.shape == (n, H) for f in scored)


def test_actuals_after_the_end_of_the_history_are_unknown(retailer_panel: Panel) -> None:
    origin = retailer_panel.n_observed - 4
    got = actuals(retailer_panel, origin, H)
    np.testing.assert_array_equal(got[:, :3], retailer_panel.demand[:, origin + 1 : origin + 4])
    assert np.isnan(got[:, 3:]).all()


def test_a_backtest_has_every_tier_at_every_origin_on_the_same_rows(backtest: Backtest, retailer_panel: Panel) -> None:
    assert set(backtest.folds) == set(Tier)
    assert backtest.origins == (270, 284)
    for tier, folds in backtest.folds.items():
        assert [f.origin for f in folds] == list(backtest.origins)
        assert backtest.calibrations[tier].transform == backtest.recipes[tier].transform
        for fold, baseline in zip(folds, backtest.baselines, strict=True):
            np.testing.assert_array_equal(fold.dates, retailer_panel.dates[fold.origin + 1 : fold.origin + 1 + H])
            np.testing.assert_array_equal(fold.actual, actuals(retailer_panel, fold.origin, H))
            observed = np.isfinite(retailer_panel.demand[:, : fold.origin + 1]).sum(axis=1)
            np.testing.assert_array_equal(fold.history, observed)
            assert fold.origin_date == str(retailer_panel.dates[fold.origin])
            for values in (*baseline.forecasts.values(), fold.forecast.mean, *fold.forecast.members.values()):
                assert values.shape == fold.actual.shape
                assert np.isfinite(values).all()


def test_closed_periods_of_a_backtest_are_zero_for_every_model(backtest: Backtest, retailer_panel: Panel) -> None:
    for k, origin in enumerate(backtest.origins):
        closed = retailer_panel.channels[OPEN][:, origin + 1 : origin + 1 + H] == 0
        assert closed.any()
        for folds in backtest.folds.values():
            forecast = folds[k].forecast
            for values in (forecast.mean, *forecast.points.values(), *forecast.members.values()):
                assert (values[closed] == 0).all()
            assert (forecast.quantiles[closed] == 0).all()
        for values in backtest.baselines[k].forecasts.values():
            assert (values[closed] == 0).all()


def test_the_final_calibration_has_seen_every_fold(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast]
) -> None:
    whole = calibrate(folds, recipe)
    for k in range(len(folds)):
        assert not np.array_equal(calibrate(poisoned(folds, k), recipe).ratios, whole.ratios)


def test_folds_of_different_recipes_are_not_joined(
    retailer_panel: Panel, recipe: Recipe, folds: list[FoldForecast]
) -> None:
    none = Baselines({}, np.ones(retailer_panel.n_series, dtype=np.float32))
    tier, other = recipe.spec.tier, recipe.model_copy(update={"seed": recipe.seed + 1})
    raw = [RawFold({tier: recipe}, {tier: fold}, none) for fold in folds]
    assert join_folds(retailer_panel, raw).origins == tuple(fold.origin for fold in folds)
    with pytest.raises(ShelfOpsError, match="give every worker the same settings"):
        join_folds(retailer_panel, [*raw[:-1], replace(raw[-1], recipes={tier: other})])


def test_taking_some_series_takes_them_everywhere(backtest: Backtest) -> None:
    rows = np.array([4, 0])
    part = backtest.take(rows)
    for tier, folds in part.folds.items():
        for k, fold in enumerate(folds):
            whole = backtest.folds[tier][k]
            np.testing.assert_array_equal(fold.actual, whole.actual[rows])
            np.testing.assert_array_equal(fold.forecast.mean, whole.forecast.mean[rows])
            np.testing.assert_array_equal(fold.history, whole.history[rows])
    np.testing.assert_array_equal(part.baselines[0].naive_error, backtest.baselines[0].naive_error[rows])


def test_progress_names_fold_and_tier(retailer_panel: Panel, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fit_members", quick_members)
    said: list[str] = []
    run_backtest(retailer_panel, {Tier.COLD_START: recipe}, (250, 270), progress=said.append)
    assert said == ["fold 1 of 2, cold_start", "fold 2 of 2, cold_start"]
    assert origin_state(retailer_panel, quick_members(retailer_panel, recipe), 250).n_series == retailer_panel.n_series
