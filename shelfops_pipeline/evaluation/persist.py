"""A backtest on disk: one .npz of arrays per fold and tier (no pickle), and JSON for the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.evaluation.backtest import Backtest, Baselines, ScoredFold
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import Forecast
from shelfops_pipeline.models.recipe import Recipe

_INDEX = "backtest.json"


def save_backtest(backtest: Backtest, folder: Path) -> None:
    """Write to `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for tier, folds in backtest.folds.items():
        for k, fold in enumerate(folds):
            np.savez(folder / f"{tier.value}.{k}.npz", **_arrays(fold))
        (folder / f"{tier.value}.calibration.json").write_text(backtest.calibrations[tier].to_json())
    for k, baseline in enumerate(backtest.baselines):
        arrays: dict[str, Any] = baseline.forecasts | {"naive_error": baseline.naive_error}
        np.savez(folder / f"baselines.{k}.npz", **arrays)
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
    baselines = []
    for k in range(n):
        with np.load(folder / f"baselines.{k}.npz", allow_pickle=False) as arrays:
            forecasts = {name: arrays[name] for name in arrays.files if name != "naive_error"}
            baselines.append(Baselines(forecasts, arrays["naive_error"]))
    return Backtest(
        origins=tuple(index["origins"]),
        recipes=recipes,
        folds={t: [_fold(folder, t, k, index) for k in range(n)] for t in recipes},
        baselines=baselines,
        calibrations={t: Calibration.from_json((folder / f"{t.value}.calibration.json").read_text()) for t in recipes},
    )


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
        **{f"member.{name}": v for name, v in forecast.members.items()},
    }


def _fold(folder: Path, tier: Tier, k: int, index: dict[str, Any]) -> ScoredFold:
    with np.load(folder / f"{tier.value}.{k}.npz", allow_pickle=False) as arrays:
        forecast = Forecast(
            dates=arrays["dates"],
            mean=arrays["mean"],
            point=arrays["point"],
            points={m: arrays[f"point.{m.value}"] for m in Metric},
            quantiles=arrays["quantiles"],
            members={n.removeprefix("member."): arrays[n] for n in arrays.files if n.startswith("member.")},
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
