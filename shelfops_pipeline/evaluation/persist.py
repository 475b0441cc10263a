"""Backtests, and folds that wait to be joined into one, on disk: .npz of arrays (no pickle), and JSON for the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.evaluation.backtest import Backtest, Baselines, RawFold, ScoredFold
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import Forecast
from shelfops_pipeline.inference.state import Layout, SeriesState
from shelfops_pipeline.models.fold import FoldForecast, Fresh
from shelfops_pipeline.models.recipe import Recipe

_INDEX = "backtest.json"
_RECIPES = "recipes.json"
_MEMBER = "member."


def save_backtest(backtest: Backtest, folder: Path) -> None:
    """Write to `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for tier, folds in backtest.folds.items():
        for k, fold in enumerate(folds):
            np.savez(folder / f"{tier.value}.{k}.npz", **_arrays(fold))
        (folder / f"{tier.value}.calibration.json").write_text(backtest.calibrations[tier].to_json())
    for k, baseline in enumerate(backtest.baselines):
        _save_baselines(baseline, folder / f"baselines.{k}.npz")
    index = {
        "origins": list(backtest.origins),
        "origin_dates": [f.origin_date for f in next(iter(backtest.folds.values()))],
        "recipes": {t.value: r.model_dump(mode="json") for t, r in backtest.recipes.items()},
    }
    (folder / _INDEX).write_text(json.dumps(index))


def load_backtest(folder: Path) -> Backtest:
    """Read what `save_backtest` wrote."""
    index = json.loads((folder / _INDEX).read_text())
    recipes = {Tier(t): Recipe.model_validate(r) for t, r in index["recipes"].items()}
    n = len(index["origins"])
    return Backtest(
        origins=tuple(index["origins"]),
        recipes=recipes,
        folds={t: [_fold(folder, t, k, index) for k in range(n)] for t in recipes},
        baselines=[_load_baselines(folder / f"baselines.{k}.npz") for k in range(n)],
        calibrations={t: Calibration.from_json((folder / f"{t.value}.calibration.json").read_text()) for t in recipes},
    )


def save_fold(fold: RawFold, folder: Path) -> None:
    """Write to `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for tier, forecast in fold.forecasts.items():
        arrays: dict[str, Any] = {"origin": forecast.origin, "actual": forecast.actual}
        arrays |= _state_arrays("", forecast.state, forecast.members)
        if forecast.groups is not None:
            arrays["groups"] = forecast.groups
        if forecast.fresh is not None:
            arrays |= _state_arrays("fresh.", forecast.fresh.state, forecast.fresh.members)
            arrays["fresh.rows"] = forecast.fresh.rows
        np.savez(folder / f"{tier.value}.npz", **arrays)
    _save_baselines(fold.baselines, folder / "baselines.npz")
    recipes = {tier.value: recipe.model_dump(mode="json") for tier, recipe in fold.recipes.items()}
    (folder / _RECIPES).write_text(json.dumps(recipes))


def load_fold(folder: Path) -> RawFold:
    """Read what `save_fold` wrote."""
    recipes = {Tier(t): Recipe.model_validate(r) for t, r in json.loads((folder / _RECIPES).read_text()).items()}
    forecasts = {tier: _raw_fold(folder / f"{tier.value}.npz", recipe) for tier, recipe in recipes.items()}
    return RawFold(recipes, forecasts, _load_baselines(folder / "baselines.npz"))


def _raw_fold(path: Path, recipe: Recipe) -> FoldForecast:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    state, members = _state_of("", arrays, recipe)
    fresh = Fresh(arrays["fresh.rows"], *_state_of("fresh.", arrays, recipe)) if "fresh.rows" in arrays else None
    return FoldForecast(int(arrays["origin"]), state, members, arrays["actual"], arrays.get("groups"), fresh)


def _state_arrays(prefix: str, state: SeriesState, members: dict[str, Any]) -> dict[str, Any]:
    arrays = {f"{prefix}state.{name}": getattr(state, name) for name in state.layout.shapes}
    arrays |= {f"{prefix}{_MEMBER}{name}": forecast for name, forecast in members.items()}
    return arrays | {f"{prefix}date": state.origin}


def _state_of(prefix: str, arrays: dict[str, Any], recipe: Recipe) -> tuple[SeriesState, dict[str, Any]]:
    layout, start = Layout.of(recipe.spec), prefix + _MEMBER
    named = {name: arrays[f"{prefix}state.{name}"] for name in layout.shapes}
    state = SeriesState(layout, recipe.spec.grain, arrays[f"{prefix}date"][()], **named)
    return state, {name.removeprefix(start): made for name, made in arrays.items() if name.startswith(start)}


def _save_baselines(baselines: Baselines, path: Path) -> None:
    arrays: dict[str, Any] = baselines.forecasts | {"naive_error": baselines.naive_error}
    np.savez(path, **arrays)


def _load_baselines(path: Path) -> Baselines:
    with np.load(path, allow_pickle=False) as arrays:
        forecasts = {name: arrays[name] for name in arrays.files if name != "naive_error"}
        return Baselines(forecasts, arrays["naive_error"])


def _arrays(fold: ScoredFold) -> dict[str, Any]:
    forecast = fold.forecast
    return {
        "dates": fold.dates,
        "actual": fold.actual,
        "history": fold.history,
        "classes": fold.classes,
        "mean": forecast.mean,
        "point": forecast.point,
        "quantiles": forecast.quantiles,
        **{f"point.{m.value}": v for m, v in forecast.points.items()},
        **{f"{_MEMBER}{name}": v for name, v in forecast.members.items()},
    }


def _fold(folder: Path, tier: Tier, k: int, index: dict[str, Any]) -> ScoredFold:
    with np.load(folder / f"{tier.value}.{k}.npz", allow_pickle=False) as arrays:
        forecast = Forecast(
            dates=arrays["dates"],
            mean=arrays["mean"],
            point=arrays["point"],
            points={m: arrays[f"point.{m.value}"] for m in Metric},
            quantiles=arrays["quantiles"],
            members={n.removeprefix(_MEMBER): arrays[n] for n in arrays.files if n.startswith(_MEMBER)},
        )
        return ScoredFold(
            origin=int(index["origins"][k]),
            origin_date=str(index["origin_dates"][k]),
            dates=arrays["dates"],
            actual=arrays["actual"],
            forecast=forecast,
            history=arrays["history"],
            classes=arrays["classes"],
        )
