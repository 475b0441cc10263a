"""The page of a run: everything that its versions and its charts left on disk, tied together in `index.html`.

It reads files alone, so whatever draws a chart or changes a champion later can have the page written again.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from shelfops_pipeline.charts.index import INDEX, Link, RunPage, Verdict, render_index, small_copy
from shelfops_pipeline.charts.write import copy_pages
from shelfops_pipeline.contracts.bundle import BACKTEST_METRICS, LSTM_ATTRIBUTION, MODEL_CARD, SHAP_SUMMARY, Manifest
from shelfops_pipeline.contracts.columns import METRIC, MODEL, ORIGIN, TIER, VALUE, Tier
from shelfops_pipeline.lifecycle.files import write_atomically, write_json
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import read_manifest

RUNS: Final = "runs"
RUN: Final = "run.json"
_TITLES: Final = {
    "training_summary": "Training summary",
    "forecast_vs_actual": "Forecast vs actual",
    "tier_comparison": "Tier comparison",
    "error_distribution": "Error distribution",
    "accuracy_by_horizon": "Accuracy by horizon",
    "accuracy_by_group": "Accuracy by group",
    "quantile_reliability": "Reliability of the quantiles",
    "feature_importance": "Feature importance",
    "drift_over_time": "Drift over time",
}
"""Interactive charts in the order in which they are shown; others follow."""
_PICTURES: Final = {
    "eda_seasonality": "Seasonality",
    "eda_promotion_lift": "Promotion lift",
    "eda_intermittency": "Intermittency map",
    "eda_missingness": "Missingness map",
}
_LOCAL: Final = "shap_local_"


def keep_run(reports: Path, files: Sequence[Path], versions: Mapping[str, str]) -> None:
    """Copy a run's charts and pictures to `reports/runs/<version>/` of each version, and note which run is the latest.

    `versions` is tier → version.
    """
    pages = [f for f in files if f.suffix == ".html"]
    for version in versions.values():
        folder = reports / RUNS / version
        copy_pages(pages, folder)
        for file in files:
            if file not in pages:
                shutil.copyfile(file, folder / file.name)
    write_json(reports / RUN, {"versions": dict(versions)})


def write_run_pages(reports: Path, models: Path) -> list[Path]:
    """Write `index.html` of the latest run, in `reports/` and in the folder of each of its versions.

    Shows every chart that lies there now, and what each version is now. Writes nothing before the first run.
    """
    if not (reports / RUN).is_file():
        return []
    versions = list(json.loads((reports / RUN).read_text())["versions"].values())
    folders = [reports, *(reports / RUNS / version for version in versions)]
    return [_write_page(folder, models, versions) for folder in folders if folder.is_dir()]


def _write_page(folder: Path, models: Path, versions: Sequence[str]) -> Path:
    manifests = sorted((read_manifest(models / v) for v in versions), key=lambda m: m.tier is not Tier.PRODUCTION)
    main = manifests[0]
    galleries = {"Charts": _charts(folder), "The data": _pictures(folder)}
    galleries |= {f"What drives {m.version}": _explanations(models / m.version, folder) for m in manifests}
    cards = {m.version: models / m.version / MODEL_CARD for m in manifests}
    page = RunPage(
        title=f"{main.dataset}: {', '.join(versions)}",
        subtitle=f"trained on data to {last_day(main)}; written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        metrics=_metrics(models, versions),
        verdicts=_verdicts(models, manifests),
        galleries=galleries,
        cards={f"Model card of {v}": path.read_text(encoding="utf-8") for v, path in cards.items() if path.is_file()},
        grain=main.grain,
    )
    write_atomically(folder / INDEX, render_index(page))
    return folder / INDEX


def last_day(manifest: Manifest) -> date:
    """The end of the last period learnt from: a week is named by its first day."""
    return manifest.training_cutoff + timedelta(days=manifest.grain.days - 1)


def _charts(folder: Path) -> list[Link]:
    """Every page in the folder but the index: those known here in their order, then the rest by name."""
    place = {name: i for i, name in enumerate(_TITLES)}
    pages = [p for p in folder.glob("*.html") if p.name != INDEX]
    pages.sort(key=lambda p: (place.get(p.stem, len(place)), p.stem))
    return [Link(_title(p.stem), p.name, small_copy(p.with_suffix(".png"))) for p in pages]


def _title(stem: str) -> str:
    return _TITLES.get(stem) or _PICTURES.get(stem) or stem.replace("_", " ").capitalize()


def _pictures(folder: Path) -> list[Link]:
    place = {name: i for i, name in enumerate(_PICTURES)}
    pictures = sorted(folder.glob("eda_*.png"), key=lambda p: (place.get(p.stem, len(place)), p.stem))
    return [Link(_title(p.stem), p.name, small_copy(p)) for p in pictures]


def _explanations(version: Path, folder: Path) -> list[Link]:
    """The pictures that explain a version, which stay in its own folder."""
    found = [version / SHAP_SUMMARY, version / LSTM_ATTRIBUTION, *sorted(version.glob(f"{_LOCAL}*.png"))]
    names = {p: p.stem.removeprefix(_LOCAL).replace("_", " ").capitalize() for p in found}
    names |= {version / SHAP_SUMMARY: "All features", version / LSTM_ATTRIBUTION: "The LSTM"}
    return [Link(names[p], os.path.relpath(p, folder), small_copy(p)) for p in found if p.is_file()]


def _verdicts(models: Path, manifests: Sequence[Manifest]) -> list[Verdict]:
    entries = {e.version: e for e in Registry(models).entries()}
    own = [entries[m.version] for m in manifests if m.version in entries]
    return [Verdict(e.version, e.feature_tier.value, e.status.value, e.mae, e.reason) for e in own]


def _metrics(models: Path, versions: Sequence[str]) -> pd.DataFrame:
    """The metrics of the versions' backtest; empty where none was written."""
    files = [path for v in versions if (path := models / v / BACKTEST_METRICS).is_file()]
    if not files:
        return pd.DataFrame(columns=[TIER, MODEL, ORIGIN, METRIC, VALUE])
    return pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
