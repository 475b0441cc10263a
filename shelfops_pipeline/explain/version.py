"""Explain one model version: SHAP on a stratified sample of backtest rows, five predictions worth a closer look."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import LSTM_ATTRIBUTION, LSTM_IMPORTANCE, SHAP_SUMMARY, Manifest
from shelfops_pipeline.contracts.columns import ON_PROMOTION, Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.served import as_served
from shelfops_pipeline.evaluation.backtest import actuals
from shelfops_pipeline.explain.canvas import save_figure
from shelfops_pipeline.explain.importance import feature_importance
from shelfops_pipeline.explain.plots import beeswarm, waterfall
from shelfops_pipeline.explain.recurrent import BACKGROUND, ROWS, Attribution, NetworkRows, attribute
from shelfops_pipeline.explain.recurrent_importance import lstm_importance, write_lstm_importance
from shelfops_pipeline.explain.recurrent_plot import attribution
from shelfops_pipeline.explain.sample import representatives, stratified_sample
from shelfops_pipeline.explain.shap_values import Explanation, UnitExplanation, explain, to_units
from shelfops_pipeline.explain.themes import describe
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.serve import origin_state

Floats = NDArray[np.float32]

_MOST_SERIES = 2_000  # enough for a stratified sample of rows; bounds the matrix on large retailers


@dataclass(frozen=True)
class VersionExplanation:
    """SHAP of a sample of rows; the representatives are rows of that sample, by kind. And what drives the LSTM."""

    manifest: Manifest
    origin: np.datetime64
    explanation: Explanation
    units: UnitExplanation
    kinds: dict[str, int]
    labels: dict[str, str]
    importance: list[dict[str, Any]]
    lstm: Attribution

    @property
    def about(self) -> str:
        """Which model, and which forecasts."""
        tier = self.manifest.tier.value.replace("_", " ")
        return f"{self.manifest.version}, {tier} tier · made on {self.origin.astype('datetime64[D]')}"


@dataclass(frozen=True)
class _Forecasts:
    """n forecasts of open periods, made at an earlier origin so that actuals are known."""

    state: SeriesState
    series: NDArray[np.intp]
    """[n] row in the state"""
    step: NDArray[np.intp]
    """[n] 0 is the first forecast period"""
    predicted: Floats
    """[n] by the XGBoost member"""
    actual: Floats
    """[n] NaN where unknown"""
    promo: Floats | None
    """[n] None where promotions are not known"""


def explain_version(panel: Panel, model: ServedModel, manifest: Manifest, origin: int) -> VersionExplanation:
    """Explain both members on forecasts made at `origin`, the booster by TreeSHAP, the LSTM by expected gradients."""
    chosen = np.sort(np.random.default_rng(manifest.seed).permutation(panel.n_series)[:_MOST_SERIES])
    made = _forecasts(panel, model, manifest, origin, chosen)
    history = np.nan_to_num(made.state.scalar("history")[made.series])  # no history is the shortest
    picks = representatives(made.predicted, made.actual, made.promo, history)
    sample = stratified_sample(made.predicted, made.promo, seed=manifest.seed)
    used = np.union1d(sample, np.array(list(picks.values()), dtype=np.int64))
    booster: Any = model.members.backend.booster  # type: ignore[attr-defined]
    rows = model_matrix(manifest.spec, made.state)[made.series[used], made.step[used]]
    explanation = explain(booster, rows, [f.name for f in manifest.features])
    return VersionExplanation(
        manifest=manifest,
        origin=panel.dates[origin],
        explanation=explanation,
        units=to_units(explanation, manifest.transform),
        kinds={kind: int(np.searchsorted(used, row)) for kind, row in picks.items()},
        labels={kind: _label(panel, made, chosen, row) for kind, row in picks.items()},
        importance=feature_importance(booster, explanation, manifest.features),
        lstm=_explain_lstm(model, made, manifest.seed),
    )


def _forecasts(
    panel: Panel, model: ServedModel, manifest: Manifest, origin: int, chosen: NDArray[np.intp]
) -> _Forecasts:
    H = manifest.horizon
    state = origin_state(as_served(panel, origin, H), model, origin).take(chosen)
    series, step = np.nonzero(~state.closed())
    promo = None
    if ON_PROMOTION in manifest.spec.channels:
        promo = state.channel(ON_PROMOTION)[:, -H:][series, step]
    predicted = model.members.predict(state, ("xgboost",))["xgboost"][series, step]
    return _Forecasts(state, series, step, predicted, actuals(panel, origin, H)[chosen][series, step], promo)


def _explain_lstm(model: ServedModel, made: _Forecasts, seed: int) -> Attribution:
    network: Any = model.members.backend.network  # type: ignore[attr-defined]
    rows, background = (
        NetworkRows.of(model, made.state, made.series[drawn], made.step[drawn])
        for drawn in (
            stratified_sample(made.predicted, made.promo, size, seed + k) for k, size in enumerate((ROWS, BACKGROUND))
        )
    )
    return attribute(network, model.spec, rows, background)


def _label(panel: Panel, made: _Forecasts, chosen: NDArray[np.intp], row: int) -> str:
    s = chosen[made.series[row]]
    when = f"{'week of ' if panel.grain is Grain.WEEK else ''}{made.state.target_dates[made.step[row]]}"
    seen, known = made.actual[row], made.state.scalar("history")[made.series[row]]
    told = [f"{panel.store_ids[s]} / {panel.item_ids[s]}", when]
    if np.isfinite(seen):
        told.append(f"sold {seen:g}")
    past = f"{known:.0f} {panel.grain.value}s of history" if known > 0 else "no history"
    return " · ".join([*told, past])


def write_summary(result: VersionExplanation, folder: Path) -> Path:
    """shap_summary.png: the beeswarm of the top 20 features."""
    path = folder / SHAP_SUMMARY
    save_figure(beeswarm(result.explanation, result.about), path)
    return path


def write_waterfalls(result: VersionExplanation, folder: Path) -> dict[str, str]:
    """shap_local_<kind>.png for each representative; returns kind -> the explanation in plain words."""
    manifest, said = result.manifest, {}
    for kind, row in result.kinds.items():
        title = f"Why this forecast: {kind.replace('_', ' ')}"
        features, categories, per = manifest.features, manifest.static_categories, manifest.grain.value
        label = result.labels[kind]
        figure = waterfall(result.explanation, result.units, row, features, title, label, categories, per)
        save_figure(figure, folder / f"shap_local_{kind}.png")
        data = list(result.explanation.data[row])
        said[kind] = describe(result.units, row, data, features, categories)
    return said


def write_lstm(result: VersionExplanation, folder: Path) -> list[str]:
    """lstm_importance.json and lstm_attribution.png; returns the strongest inputs."""
    content = lstm_importance(result.lstm)
    write_lstm_importance(folder / LSTM_IMPORTANCE, content)
    save_figure(attribution(content, result.manifest.grain, result.about), folder / LSTM_ATTRIBUTION)
    return [f"{row['input']} ({row['part'].replace('_', ' ')})" for row in content["inputs"][:5]]
