"""Draw a run's charts and page, for the latest run and for keeps."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.charts.accuracy_by_group import accuracy_by_group
from shelfops_pipeline.charts.accuracy_by_horizon import accuracy_by_horizon
from shelfops_pipeline.charts.eda import PICTURES
from shelfops_pipeline.charts.error_distribution import error_distribution
from shelfops_pipeline.charts.feature_importance import feature_importance
from shelfops_pipeline.charts.forecast_vs_actual import forecast_vs_actual
from shelfops_pipeline.charts.quantile_reliability import quantile_reliability
from shelfops_pipeline.charts.tier_comparison import tier_comparison
from shelfops_pipeline.charts.training_summary import training_summary
from shelfops_pipeline.charts.write import write_figures
from shelfops_pipeline.contracts.bundle import FEATURE_IMPORTANCE
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.report import forecast_frames, per_fold, sample_of_series
from shelfops_pipeline.evaluation.scores import scores_table
from shelfops_pipeline.explain.importance import read_importance
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.run_page import keep_run, write_run_pages

CHARTS: Final = {
    "forecast_vs_actual": "Backtest forecasts beside what was sold, in total and for typical series.",
    "feature_importance_chart": "Features by mean absolute SHAP value.",
    "error_distribution": "Errors overall and by horizon, and how often each quantile held.",
    "tier_comparison": "Models and baselines of both tiers on identical rows.",
    "training_summary": "Key figures of the run on one page.",
    "accuracy_by_horizon": "Error, bias and coverage by the periods after the origin.",
    "accuracy_by_group": "Error by demand class, category and store, beside the best baseline of each.",
    "quantile_reliability": "How often demand was at or below each quantile, by demand class.",
}
_FILES: Final = {"feature_importance_chart": "feature_importance"}  # the asset feature_importance is the JSON


def write_reports(
    reports: Path, models: Path, panel: Panel, backtest: Backtest, versions: dict[str, str]
) -> dict[str, list[Path]]:
    """Write every chart to `reports/`, keep a copy in `reports/runs/<version>/` of each version, and tie all together.

    Returns the files in `reports/` by asset name.
    """
    figures = draw_reports(models, panel, backtest, versions)
    paths = {name: reports / f"{_FILES.get(name, name)}.html" for name in CHARTS}
    files = write_figures({paths[name]: figure for name, figure in figures.items()})
    pictures = [p for name in PICTURES if (p := reports / f"{name}.png").is_file()]
    keep_run(reports, [*files, *pictures], versions)
    write_run_pages(reports, models)
    return {name: [f for f in files if f.stem == path.stem] for name, path in paths.items()}


def draw_reports(models: Path, panel: Panel, backtest: Backtest, versions: dict[str, str]) -> dict[str, Any]:
    """The figures of a run by asset name."""
    main = Tier.PRODUCTION if Tier.PRODUCTION in backtest.folds else Tier.COLD_START
    scores = scores_table(backtest, panel)
    table, grain = per_fold(scores), panel.grain
    frame = chart_frame(panel, backtest)
    facts = _facts(panel, backtest, versions) | _gate(models, versions)
    return {
        "forecast_vs_actual": forecast_vs_actual(frame, grain),
        "feature_importance_chart": feature_importance(
            read_importance(models / versions[main.value] / FEATURE_IMPORTANCE)
        ),
        "error_distribution": error_distribution(frame, grain),
        "tier_comparison": tier_comparison(table, grain),
        "training_summary": training_summary(frame, table, facts, main.value, grain),
        "accuracy_by_horizon": accuracy_by_horizon(scores, grain),
        "accuracy_by_group": accuracy_by_group(scores, grain),
        "quantile_reliability": quantile_reliability(scores),
    }


def chart_frame(panel: Panel, backtest: Backtest) -> pd.DataFrame:
    """Forecasts of every model as they would have been served; for large retailers, of a random sample of series."""
    panel, backtest = sample_of_series(panel, backtest, models=3 + len(backtest.baselines[0].forecasts))
    frames = list(forecast_frames(panel, backtest))
    names = [f["model"].iloc[0] for f in frames if len(f)]
    joined = pd.concat([f.assign(model=f["model"].astype(str)) for f in frames], ignore_index=True)
    return joined.assign(model=pd.Categorical(joined["model"], categories=list(dict.fromkeys(names))))


def _facts(panel: Panel, backtest: Backtest, versions: dict[str, str]) -> dict[str, Any]:
    observed = int(np.isfinite(np.asarray(panel.demand[:, : panel.n_observed])).sum())
    return {
        "data set": panel.dataset,
        "versions": ", ".join(f"{v} ({t})" for t, v in versions.items()),
        "history": f"{panel.dates[0].astype('datetime64[D]')} to {_last_day(panel)}, by {panel.grain}",
        "series": panel.n_series,
        "observed demand values": observed,
        "backtest origins": ", ".join(f.origin_date for f in next(iter(backtest.folds.values()))),
        "horizon": f"{len(next(iter(backtest.folds.values()))[0].dates)} {panel.grain}s",
    }


def _gate(models: Path, versions: dict[str, str]) -> dict[str, str]:
    """What became of each version."""
    entries = {e.version: e for e in Registry(models).entries()}
    return {f"{v} is {entries[v].status}": entries[v].reason for v in versions.values() if v in entries}


def _last_day(panel: Panel) -> date:
    """The end of the last observed period: a week is named by its first day."""
    return panel.last_observed + timedelta(days=panel.grain.days - 1)
