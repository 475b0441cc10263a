"""`shelfops backtest`: score on rolling origins, and write forecasts, scores and charts."""

from pathlib import Path
from typing import TYPE_CHECKING

from shelfops_pipeline.contracts.columns import BY, ORIGIN
from shelfops_pipeline.errors import DataError
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


def run_backtest_command(settings: Settings, out: Path) -> None:
    """Load, backtest, write `out`, and show the scores: overall, and of the worst stores and categories."""
    from shelfops_pipeline.data.load import load_panel
    from shelfops_pipeline.evaluation.scores import scores_table
    from shelfops_pipeline.lifecycle.backtest_report import write_backtest
    from shelfops_pipeline.lifecycle.training import backtest_plan, plan_training
    from shelfops_pipeline.tuning.result import read_tuning

    require_folder(out.parent)
    if out.exists() and not out.is_dir():
        raise DataError(f"--out: {out} is a file; name a directory, which need not exist")
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
        board.say("charts")
        written = write_backtest(panel, result, scores, out)
    tell_refused(loaded.validation)
    tell_tuned(plan.notes)
    _show(scores, f"{s.dataset}: {len(result.origins)} folds of {s.horizon} periods")
    console.print(", ".join(map(str, written)), markup=False)


def _show(scores: "pd.DataFrame", title: str) -> None:
    from shelfops_pipeline.charts.score_tables import main_tier

    console.print(metrics_view(scores[scores[BY] == "all"].assign(**{ORIGIN: "all"}), title))
    tier = main_tier(scores)
    for by in ("store", "category"):
        view = None if tier is None else worst_groups_view(scores, tier, by)
        if view is not None:
            console.print(view)
