"""`shelfops backtest`: score on rolling origins, and write forecasts, scores and charts."""

from pathlib import Path
from typing import TYPE_CHECKING

from shelfops_pipeline.contracts.columns import BY, ITEM_ID, MODEL, ORIGIN, STORE_ID
from shelfops_pipeline.services.commands import open_data, require_folder
from shelfops_pipeline.services.console import (
    console,
    metrics_view,
    step_progress,
    tell_refused,
    tell_tuned,
    worst_groups_view,
)
from shelfops_pipeline.services.pipeline import require_directory
from shelfops_pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from shelfops_pipeline.contracts.columns import Grain
    from shelfops_pipeline.data.panel import Panel
    from shelfops_pipeline.evaluation.backtest import Backtest

FORECASTS, METRICS = "forecasts.parquet", "metrics.parquet"


def run_backtest_command(settings: Settings, out: Path) -> None:
    """Load, backtest, write `out`, and show the scores: overall, and of the worst stores and categories."""
    from shelfops_pipeline.data.load import load_panel
    from shelfops_pipeline.evaluation.scores import scores_table
    from shelfops_pipeline.lifecycle.training import backtest_plan, plan_training
    from shelfops_pipeline.tuning.result import read_tuning

    require_folder(out.parent)
    require_directory(settings.data, settings.dataset)
    s = settings
    with step_progress(f"backtest {s.dataset}") as board:
        board.say("loading")
        loaded = load_panel(open_data(s), s.max_quarantined_share)
        panel = loaded.panel
        plan = plan_training(panel, s.horizon, s.tier, s.folds, s.seed, s.effort, read_tuning(s.tuning))
        result = backtest_plan(panel, plan, s.metric, board.say)
        board.say("scoring")
        scores = scores_table(result, panel)
        out.mkdir(exist_ok=True)
        scores.to_parquet(out / METRICS, index=False)
        _write_forecasts(panel, result, out / FORECASTS)
        board.say("charts")
        charts = _write_charts(scores, out, panel.grain)
    tell_refused(loaded.validation)
    tell_tuned(plan.notes)
    _show(scores, f"{s.dataset}: {len(result.origins)} folds of {s.horizon} periods")
    console.print(", ".join(str(path) for path in (out / FORECASTS, out / METRICS, *charts)))


def _write_forecasts(panel: "Panel", result: "Backtest", path: Path) -> None:
    """Model by model, so that memory is bounded; the file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from shelfops_pipeline.evaluation.report import forecast_frames

    draft = path.with_name(f".{path.name}.draft")
    writer: pq.ParquetWriter | None = None
    for frame in forecast_frames(panel, result):
        plain = frame.astype({STORE_ID: str, ITEM_ID: str, MODEL: str})
        table = pa.Table.from_pandas(plain, preserve_index=False)
        writer = writer or pq.ParquetWriter(draft, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
        draft.replace(path)


def _write_charts(scores: "pd.DataFrame", out: Path, grain: "Grain") -> list[Path]:
    from shelfops_pipeline.charts.accuracy_by_group import accuracy_by_group
    from shelfops_pipeline.charts.accuracy_by_horizon import accuracy_by_horizon
    from shelfops_pipeline.charts.quantile_reliability import quantile_reliability
    from shelfops_pipeline.charts.write import write_figures

    figures = {
        "accuracy_by_horizon": accuracy_by_horizon(scores, grain),
        "accuracy_by_group": accuracy_by_group(scores, grain),
        "quantile_reliability": quantile_reliability(scores),
    }
    return write_figures({out / f"{name}.html": figure for name, figure in figures.items()})


def _show(scores: "pd.DataFrame", title: str) -> None:
    from shelfops_pipeline.charts.score_tables import main_tier

    console.print(metrics_view(scores[scores[BY] == "all"].assign(**{ORIGIN: "all"}), title))
    tier = main_tier(scores)
    for by in ("store", "category"):
        view = None if tier is None else worst_groups_view(scores, tier, by)
        if view is not None:
            console.print(view)
