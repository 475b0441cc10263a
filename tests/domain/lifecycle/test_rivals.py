"""Whom a candidate is compared with: a champion as it is where that is fair, else its recipe; baselines else."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.contracts.bundle import MANIFEST, Manifest
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.evaluation.backtest import Backtest, actuals
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.lifecycle import rivals
from shelfops_pipeline.lifecycle.comparison import Side
from shelfops_pipeline.lifecycle.promotion import decide
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.rivals import find_rival
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.recipe import Recipe, default_recipe
from shelfops_pipeline.models.serve import origin_state
from tests.domain.lifecycle.gate_support import TIER, H, a_backtest, forecast, scored
from tests.domain.support import chain_panel, tiny


@pytest.fixture
def recipe(trained_count: Trained) -> Recipe:
    return trained_count.recipe


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
def last_folds(rare_panel: Panel, recipe: Recipe) -> Backtest:
    """A candidate's backtest over the last two horizons."""
    origins = tuple(rare_panel.n_observed - 1 - H * k for k in (2, 1))
    y = [actuals(rare_panel, origin, H) for origin in origins]
    backtest = a_backtest(recipe, y, [forecast(np.full_like(a, 7)) for a in y], naive=1)
    folds = [scored(o, a, f.forecast) for o, a, f in zip(origins, y, backtest.folds[TIER], strict=True)]
    return replace(backtest, origins=origins, folds={TIER: folds})


def trained_to(panel: Panel, origin: int) -> dict[str, str]:
    return {"training_cutoff": str(panel.dates[origin].astype("datetime64[D]"))}


def other_kind(recipe: Recipe) -> dict[str, Any]:
    changed = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update={"max_depth": 2})})
    return {"recipe": changed.model_dump(mode="json")}


def test_a_champion_trained_before_the_folds_answers_as_it_is(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path], recipe: Recipe
) -> None:
    for changes in ({}, other_kind(recipe)):
        folder = champion(**trained_to(rare_panel, last_folds.origins[0]), **changes)
        rival = find_rival(rare_panel, last_folds, TIER, folder)
        assert (rival.name, rival.is_champion, rival.folds, rival.is_tie) == ("v2", True, (0, 1), False)
        model = ServedModel.load_native(folder)
        expected = [predict_demand(model, origin_state(rare_panel.as_of(o, H), model, o)) for o in last_folds.origins]
        for part, values in vars(Side.of(expected)).items():
            np.testing.assert_array_equal(getattr(rival.side, part), values)
        shutil.rmtree(folder)


def test_a_frozen_champion_does_not_see_what_it_is_scored_on(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path]
) -> None:
    origin = last_folds.origins[-1]
    folder = champion(**trained_to(rare_panel, origin))
    demand = rare_panel.demand.copy()
    demand[:, origin + 1 :] *= 100
    a, b = (find_rival(p, last_folds, TIER, folder).side.mean for p in (rare_panel, replace(rare_panel, demand=demand)))
    np.testing.assert_array_equal(a, b)


def test_a_champion_of_the_same_kind_is_compared_on_the_folds_that_it_has_not_seen(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path]
) -> None:
    rival = find_rival(rare_panel, last_folds, TIER, champion(**trained_to(rare_panel, last_folds.origins[1])))
    assert rival.folds == (1,)
    assert len(rival.side.median) == 1
    assert not rival.is_tie


def test_a_champion_of_the_same_kind_that_saw_every_fold_is_the_candidates_equal(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path]
) -> None:
    """Refitting it per fold would give the candidate's own forecasts: nothing has become better."""
    folder = champion()
    rival = find_rival(rare_panel, last_folds, TIER, folder)
    assert rival.is_tie
    assert rival.folds == (0, 1)
    for got, fold in zip(rival.side.median, last_folds.folds[TIER], strict=True):
        np.testing.assert_array_equal(got, fold.forecast.point)
    decision = decide(rare_panel, last_folds, TIER, "v3", folder, "gate")
    assert not decision.promote
    assert decision.mae.change == 1
    assert decision.reason.endswith("a tie, until there is newer demand")


def test_a_champion_of_another_kind_that_saw_the_folds_is_refitted_on_them(
    rare_panel: Panel,
    last_folds: Backtest,
    champion: Callable[..., Path],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[dict[Tier, Recipe], tuple[int, ...]]] = []

    def refit(panel: Panel, recipes: dict[Tier, Recipe], origins: tuple[int, ...], *_: object) -> Backtest:
        asked.append((recipes, origins))
        folds = [replace(f, forecast=forecast(np.full_like(f.actual, 3))) for f in last_folds.folds[TIER]]
        return replace(last_folds, folds={TIER: folds})

    monkeypatch.setattr(rivals, "run_backtest", refit)
    folder = champion(**other_kind(recipe), **trained_to(rare_panel, last_folds.origins[1]))
    rival = find_rival(rare_panel, last_folds, TIER, folder)
    assert rival.folds == (0, 1)
    assert all((f == 3).all() for f in rival.side.median)
    ((recipes, origins),) = asked
    assert origins == last_folds.origins
    assert recipes[TIER].xgboost.max_depth == 2
    assert recipes[TIER].xgboost.max_rows == last_folds.recipes[TIER].xgboost.max_rows


def test_a_refit_of_a_champion_really_forecasts_the_folds(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path], recipe: Recipe
) -> None:
    one = replace(last_folds, origins=last_folds.origins[1:], folds={TIER: last_folds.folds[TIER][1:]})
    rival = find_rival(rare_panel, one, TIER, champion(**other_kind(recipe)))
    (got,) = rival.side.median
    assert got.shape == one.folds[TIER][0].actual.shape
    assert np.isfinite(got).all()


def test_a_damaged_champion_stops_the_gate(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path]
) -> None:
    folder = champion()
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(BundleError, match=r"calibration.json does not match its checksum"):
        find_rival(rare_panel, last_folds, TIER, folder)


def test_a_champion_of_another_release_cannot_serve_and_gives_way_to_the_baselines(
    rare_panel: Panel, last_folds: Backtest, champion: Callable[..., Path]
) -> None:
    rival = find_rival(rare_panel, last_folds, TIER, champion(schema_version=1))
    assert (rival.name, rival.is_champion) == ("naive", False)
    assert rival.how == "v2 is of another release of ShelfOps and cannot serve"


@pytest.mark.parametrize("gone", ["category", "warmth"])
def test_a_champion_that_needs_what_the_data_no_longer_has_gives_way_to_the_baselines(
    registry: Registry, make_bundle: Callable[..., Manifest], gone: str
) -> None:
    """A retailer that stops giving a column could never train again."""
    panel = chain_panel(stores=2, items=2, periods=60)
    old = tiny(default_recipe(panel, TIER, H, seed=1))
    categories = {name: static.categories for name, static in panel.static.items()}
    make_bundle("v2", TIER, spec=old.spec, static_categories=categories, recipe=old.model_dump(mode="json"))
    now = replace(
        panel,
        static={name: static for name, static in panel.static.items() if name != gone},
        channels={name: values for name, values in panel.channels.items() if name != gone},
    )
    y = [actuals(now, 40, H)]
    backtest = a_backtest(tiny(default_recipe(now, TIER, H, seed=1)), y, [forecast(np.full_like(y[0], 7))], naive=1)
    rival = find_rival(now, replace(backtest, origins=(40,)), TIER, registry.models / "v2")
    assert (rival.name, rival.is_champion) == ("naive", False)
    assert f"({gone})" in rival.how


def test_the_baseline_to_beat_is_the_best_one_and_never_one_without_a_number(rare_panel: Panel, recipe: Recipe) -> None:
    y = [np.full((6, H), 10, np.float32)] * 2
    rival = find_rival(
        rare_panel, a_backtest(recipe, y, list(map(forecast, y)), broken=np.nan, poor=9, best=2), TIER, None
    )
    assert (rival.name, rival.is_champion, rival.folds) == ("best", False, (0, 1))
    assert rival.side.low is None
