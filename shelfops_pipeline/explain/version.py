"""Explain one model version: SHAP on a stratified sample of backtest rows, five predictions worth a closer look."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import SHAP_SUMMARY, Manifest
from shelfops_pipeline.contracts.columns import ON_PROMOTION, Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import actuals
from shelfops_pipeline.explain.importance import feature_importance
from shelfops_pipeline.explain.plots import beeswarm, save_figure, waterfall
from shelfops_pipeline.explain.sample import representatives, stratified_sample
from shelfops_pipeline.explain.shap_values import Explanation, UnitExplanation, explain, to_units
from shelfops_pipeline.explain.words import describe
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.models.serve import origin_state

Floats = NDArray[np.float32]

_MOST_SERIES = 2_000  # enough for a stratified sample of rows; bounds the matrix on large retailers


@dataclass(frozen=True)
class VersionExplanation:
    """SHAP of a sample of rows; the representatives are rows of that sample, by kind."""

    manifest: Manifest
    explanation: Explanation
    units: UnitExplanation
    kinds: dict[str, int]
    labels: dict[str, str]
    importance: list[dict[str, Any]]


def explain_version(panel: Panel, model: ServedModel, manifest: Manifest, origin: int) -> VersionExplanation:
    """Explain the booster on forecasts made at `origin`, an earlier one, so that actuals are known."""
    known = panel.as_of(origin, manifest.horizon)
    chosen = np.sort(np.random.default_rng(manifest.seed).permutation(panel.n_series)[:_MOST_SERIES])
    state = origin_state(known, model, origin).take(chosen)
    actual = actuals(panel, origin, manifest.horizon)[chosen]
    open_ = ~state.closed()
    rows = model_matrix(manifest.spec, state)[open_]
    series, step = np.nonzero(open_)
    booster: Any = model.members.backend.booster  # type: ignore[attr-defined]
    predicted = model.members.predict(state)["xgboost"][open_]
    promo = None
    if ON_PROMOTION in manifest.spec.channels:
        promo = state.channel(ON_PROMOTION)[:, -manifest.horizon :][open_]
    history = state.scalar("history")[series]
    picks = representatives(predicted, actual[open_], promo, np.nan_to_num(history))  # no history is the shortest
    sample = stratified_sample(predicted, promo, seed=manifest.seed)
    used = np.union1d(sample, np.array(list(picks.values()), dtype=np.int64))
    explanation = explain(booster, rows[used], [f.name for f in manifest.features])

    def label(row: int) -> str:
        s = chosen[series[row]]
        when = f"{'week of ' if panel.grain is Grain.WEEK else ''}{state.target_dates[step[row]]}"
        told = f"{panel.store_ids[s]} / {panel.item_ids[s]}, {when}"
        seen = actual[open_][row]
        return f"{told}, sold {seen:g}" if np.isfinite(seen) else told

    return VersionExplanation(
        manifest=manifest,
        explanation=explanation,
        units=to_units(explanation, manifest.transform),
        kinds={kind: int(np.searchsorted(used, row)) for kind, row in picks.items()},
        labels={kind: label(row) for kind, row in picks.items()},
        importance=feature_importance(booster, explanation, manifest.features),
    )


def write_summary(result: VersionExplanation, folder: Path) -> Path:
    """shap_summary.png: the beeswarm of the top 20 features."""
    path = folder / SHAP_SUMMARY
    save_figure(beeswarm(result.explanation), path)
    return path


def write_waterfalls(result: VersionExplanation, folder: Path) -> dict[str, str]:
    """shap_local_<kind>.png for each representative; returns kind -> the explanation in plain words."""
    manifest, said = result.manifest, {}
    for kind, row in result.kinds.items():
        title = f"Why this forecast: {kind.replace('_', ' ')}"
        features, categories = manifest.features, manifest.static_categories
        figure = waterfall(result.explanation, result.units, row, features, title, result.labels[kind], categories)
        save_figure(figure, folder / f"shap_local_{kind}.png")
        data = list(result.explanation.data[row])
        said[kind] = describe(result.units, row, data, features, categories)
    return said
