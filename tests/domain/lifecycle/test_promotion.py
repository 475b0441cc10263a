"""The gate: better by five percent on the same folds, or no promotion; and how the champion is asked."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MANIFEST
from shelfops_pipeline.contracts.columns import Metric, Status, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.evaluation.backtest import Backtest, Baselines, ScoredFold, actuals
from shelfops_pipeline.inference.calibration import CLASSES, LEVELS, Calibration
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.lifecycle import promotion
from shelfops_pipeline.lifecycle.promotion import Decision, champion_forecasts, decide, run_gate
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.models.serve import origin_state

H = 14
TIER = Tier.COLD_START
Floats = NDArray[np.float32]


def scored(origin: int, actual: Floats, median: Floats) -> ScoredFold:
    dates = np.datetime64("2025-01-01") + np.arange(H)
    points = dict.fromkeys(Metric, median)
    forecast = Forecast(dates, median, median, points, np.repeat(median[..., None], 5, axis=2), {})
    history, classes = np.full(len(actual), 99, np.int32), np.zeros(len(actual), np.intp)
    return ScoredFold(origin, "2025-01-01", dates, actual, forecast, history, classes)


def a_backtest(recipe: Recipe, errors: list[Floats], baselines: dict[str, float], actual: float = 10.0) -> Backtest:
    """Folds in which the candidate is off by `errors` and each baseline by a constant."""
    shape = errors[0].shape
    y = np.full(shape, actual, np.float32)
    cells = (1, len(CLASSES))
    ratios = np.ones((*cells, 1, len(LEVELS)))
    unit = Calibration((H,), "count", True, np.zeros((1, 2)), np.ones(cells), np.ones(cells), np.ones(1), ratios)
    return Backtest(
        origins=tuple(100 + H * k for k in range(len(errors))),
        recipes={TIER: recipe},
        folds={TIER: [scored(100 + H * k, y, y + e) for k, e in enumerate(errors)]},
        baselines=[Baselines({n: y + e for n, e in baselines.items()}, np.ones(shape[0], np.float32)) for _ in errors],
        calibrations={TIER: unit},
    )


def off_by(value: float, folds: int = 2) -> list[Floats]:
    return [np.full((6, H), value, np.float32) for _ in range(folds)]


@pytest.fixture
def recipe(trained_count: Trained) -> Recipe:
    return trained_count.recipe


@pytest.fixture
def against(
    monkeypatch: pytest.MonkeyPatch, retailer_panel: Panel, recipe: Recipe
) -> Callable[[list[Floats], list[Floats]], Decision]:
    """The decision about a candidate with these errors against a champion with those."""

    def made(candidate: list[Floats], champion: list[Floats]) -> Decision:
        backtest = a_backtest(recipe, candidate, {"naive": 3})
        theirs = [f.actual + e for f, e in zip(backtest.folds[TIER], champion, strict=True)]
        monkeypatch.setattr(promotion, "champion_forecasts", lambda *_: theirs)
        return decide(retailer_panel, backtest, TIER, Path("models/v4"))

    return made


@pytest.mark.parametrize(("error", "promoted"), [(1.9, True), (2.0, False), (2.5, False)])
def test_the_first_model_of_a_tier_must_beat_the_best_baseline(
    retailer_panel: Panel, recipe: Recipe, error: float, promoted: bool
) -> None:
    backtest = a_backtest(recipe, off_by(error), {"poor": 9, "best": 2, "other": 3})
    decision = decide(retailer_panel, backtest, TIER, None)
    assert decision.promote is promoted
    assert (decision.rival, decision.rival_mae, decision.candidate_mae) == ("best", 2, pytest.approx(error))
    assert "of the best baseline, best, on the same folds" in decision.reason
    assert f"{'is' if promoted else 'is not'} below 1 x" in decision.reason


@pytest.mark.parametrize(("error", "promoted"), [(0.94, True), (0.949, True), (0.951, False), (1.0, False)])
def test_later_models_must_be_five_percent_better_than_the_champion(
    against: Callable[..., Decision], error: float, promoted: bool
) -> None:
    decision = against(off_by(error), off_by(-1.0))
    assert decision.promote is promoted
    assert decision.ratio == pytest.approx(error, rel=1e-5)
    assert decision.rival == "v4"
    assert "0.95 x 1 of the champion v4" in decision.reason


def test_every_fold_and_every_observed_row_counts_alike(against: Callable[..., Decision]) -> None:
    mixed = [np.full((6, H), v, np.float32) for v in (0.5, 1.5)]
    assert against(mixed, off_by(1)).ratio == pytest.approx(1.0)


def test_unobserved_rows_do_not_count(retailer_panel: Panel, recipe: Recipe) -> None:
    backtest = a_backtest(recipe, off_by(1), {"naive": 2})
    fold = backtest.folds[TIER][0]
    fold.actual[:, 5:] = np.nan
    fold.forecast.points[Metric.MAE][:, 5:] = 1e9
    decision = decide(retailer_panel, backtest, TIER, None)
    assert decision.candidate_mae == pytest.approx(1)
    assert decision.promote


def test_a_candidate_without_a_single_scored_row_is_refused(retailer_panel: Panel, recipe: Recipe) -> None:
    backtest = a_backtest(recipe, off_by(1), {"naive": 2})
    for fold in backtest.folds[TIER]:
        fold.actual[:] = np.nan
    decision = decide(retailer_panel, backtest, TIER, None)
    assert not decision.promote
    assert np.isnan(decision.ratio)
    assert decision.summary()["ratio"] is None
    assert json.dumps(decision.summary(), allow_nan=False)


def test_a_champion_that_errs_nowhere_cannot_be_beaten(against: Callable[..., Decision]) -> None:
    assert not against(off_by(0), off_by(0)).promote


def test_the_interval_holds_the_ratio_and_is_wider_where_folds_disagree(against: Callable[..., Decision]) -> None:
    rng = np.random.default_rng(1)
    steady = against(off_by(0.8), off_by(1))
    assert steady.interval == pytest.approx((0.8, 0.8), rel=1e-5)
    noisy = against([rng.normal(0, 1, (6, H)).astype(np.float32) for _ in "ab"], off_by(1))
    assert noisy.interval[0] < noisy.ratio < noisy.interval[1]
    assert noisy.interval[1] - noisy.interval[0] > 0.02
    same = against(off_by(0.8), off_by(1))
    assert same.interval == steady.interval  # drawn from a fixed seed


def test_figures_of_a_decision_are_plain_numbers(against: Callable[..., Decision]) -> None:
    summary = against(off_by(0.8), off_by(1)).summary()
    assert summary["promote"] is True
    assert {k for k, v in summary.items() if type(v) is float} == {
        "candidate_mae", "rival_mae", "ratio", "ratio_low", "ratio_high",
    }  # fmt: skip


# How the champion is asked.


@pytest.fixture
def champion(bundles: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of the count bundle; keywords go into its manifest."""

    def made(**changes: Any) -> Path:
        folder = Path(shutil.copytree(bundles["count"], tmp_path / "v2"))
        raw = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(raw | changes))
        return folder

    return made


@pytest.fixture
def last_fold(rare_panel: Panel, recipe: Recipe) -> Backtest:
    """A candidate's backtest over the last horizon."""
    origin = rare_panel.n_observed - 1 - H
    y = actuals(rare_panel, origin, H)
    backtest = a_backtest(recipe, [np.zeros_like(y)], {"naive": 1})
    fold = replace(scored(origin, y, np.full_like(y, 7)), origin=origin)
    return replace(backtest, origins=(origin,), folds={TIER: [fold]})


def test_a_champion_trained_before_the_folds_answers_as_it_is(
    rare_panel: Panel, last_fold: Backtest, champion: Callable[..., Path]
) -> None:
    (origin,) = last_fold.origins
    folder = champion(training_cutoff=str(rare_panel.dates[origin]))
    (got,) = champion_forecasts(rare_panel, last_fold, TIER, folder)
    model = ServedModel.load_native(folder)
    expected = predict_demand(model, origin_state(rare_panel.as_of(origin, H), model, origin))
    np.testing.assert_array_equal(got, expected.points[Metric.MAE])


def test_a_frozen_champion_does_not_see_what_it_is_scored_on(
    rare_panel: Panel, last_fold: Backtest, champion: Callable[..., Path]
) -> None:
    (origin,) = last_fold.origins
    folder = champion(training_cutoff=str(rare_panel.dates[origin]))
    demand = rare_panel.demand.copy()
    demand[:, origin + 1 :] *= 100
    (a,), (b,) = (
        champion_forecasts(p, last_fold, TIER, folder) for p in (rare_panel, replace(rare_panel, demand=demand))
    )
    np.testing.assert_array_equal(a, b)


def test_a_champion_of_the_same_kind_that_saw_the_folds_is_the_candidates_equal(
    rare_panel: Panel, last_fold: Backtest, champion: Callable[..., Path]
) -> None:
    """Refitting it per fold would give the candidate's own forecasts: nothing has become better."""
    folder = champion()
    (got,) = champion_forecasts(rare_panel, last_fold, TIER, folder)
    np.testing.assert_array_equal(got, last_fold.folds[TIER][0].forecast.points[Metric.MAE])
    assert decide(rare_panel, last_fold, TIER, folder).ratio == 1
    assert not decide(rare_panel, last_fold, TIER, folder).promote


def test_a_champion_of_another_kind_that_saw_the_folds_is_refitted_on_them(
    rare_panel: Panel,
    last_fold: Backtest,
    champion: Callable[..., Path],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update={"max_depth": 2})})
    folder = champion(recipe=other.model_dump(mode="json"))
    asked: list[tuple[dict[Tier, Recipe], tuple[int, ...]]] = []

    def refit(panel: Panel, recipes: dict[Tier, Recipe], origins: tuple[int, ...], *_: object) -> Backtest:
        asked.append((recipes, origins))
        fold = last_fold.folds[TIER][0]
        return replace(last_fold, folds={TIER: [scored(fold.origin, fold.actual, np.full_like(fold.actual, 3))]})

    monkeypatch.setattr(promotion, "run_backtest", refit)
    (got,) = champion_forecasts(rare_panel, last_fold, TIER, folder)
    assert (got == 3).all()
    ((recipes, origins),) = asked
    assert origins == last_fold.origins
    assert recipes[TIER].xgboost.max_depth == 2
    assert recipes[TIER].xgboost.max_rows == last_fold.recipes[TIER].xgboost.max_rows


def test_a_refit_of_a_champion_really_forecasts_the_folds(
    rare_panel: Panel, last_fold: Backtest, champion: Callable[..., Path], recipe: Recipe
) -> None:
    other = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update={"max_depth": 2})})
    (got,) = champion_forecasts(rare_panel, last_fold, TIER, champion(recipe=other.model_dump(mode="json")))
    assert got.shape == last_fold.folds[TIER][0].actual.shape
    assert np.isfinite(got).all()


def test_a_damaged_champion_stops_the_gate(
    rare_panel: Panel, last_fold: Backtest, champion: Callable[..., Path]
) -> None:
    folder = champion()
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(BundleError, match=r"calibration.json does not match its checksum"):
        decide(rare_panel, last_fold, TIER, folder)


# The gate and the registry.


def test_the_gate_promotes_the_better_and_refuses_the_rest_with_the_reason_on_record(
    registry: Registry,
    candidate: Callable[..., str],
    retailer_panel: Panel,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = candidate(TIER)
    decision = run_gate(registry, retailer_panel, a_backtest(recipe, off_by(3), {"naive": 2}), TIER, first)
    assert not decision.promote
    assert registry.champion() is None
    assert registry.entry(first).reason == decision.reason
    second = candidate(TIER)
    backtest = a_backtest(recipe, off_by(1), {"naive": 2})
    assert run_gate(registry, retailer_panel, backtest, TIER, second).promote
    assert registry.champion_of(TIER) == second
    asked: list[Path] = []

    def same(panel: Panel, made: Backtest, tier: Tier, folder: Path) -> list[Floats]:
        asked.append(folder)
        return [f.forecast.points[Metric.MAE] for f in made.folds[tier]]

    monkeypatch.setattr(promotion, "champion_forecasts", same)
    third = candidate(TIER)
    assert not run_gate(registry, retailer_panel, backtest, TIER, third).promote
    assert asked == [registry.models / second]
    assert registry.champion_of(TIER) == second
    assert {e.version: e.status for e in registry.entries()} == {
        first: Status.CANDIDATE,
        second: Status.CHAMPION,
        third: Status.CANDIDATE,
    }


def test_the_champion_of_one_tier_is_no_rival_of_the_other(
    registry: Registry, candidate: Callable[..., str], retailer_panel: Panel, recipe: Recipe
) -> None:
    registry.promote(candidate(Tier.PRODUCTION), "first")
    cold = candidate(TIER)
    decision = run_gate(registry, retailer_panel, a_backtest(recipe, off_by(1), {"naive": 2}), TIER, cold)
    assert decision.rival == "naive"
    assert registry.champion_of(TIER) == cold
