"""What the commands do, behind `cli`."""

import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from shelfops_pipeline.contracts.columns import Status
from shelfops_pipeline.errors import DataError, ShelfOpsError
from shelfops_pipeline.services.console import (
    console,
    metrics_view,
    step_progress,
    tell_closed,
    tell_plans,
    tell_refused,
    tell_tuned,
)
from shelfops_pipeline.services.ingest import sync
from shelfops_pipeline.services.pipeline import open_pipeline, require_directory
from shelfops_pipeline.settings import Settings

if TYPE_CHECKING:
    from shelfops_pipeline.services.doctor_stack import Check


_NO_PARQUET: Final = (".csv", ".tsv", ".txt", ".json", ".xlsx")


def run_train(settings: Settings) -> None:
    """`shelfops train`."""
    require_directory(settings.data, settings.dataset)
    with open_pipeline(settings) as pipeline, step_progress(f"train {settings.dataset}") as board:
        sync(pipeline, board.report)
        pipeline.train(board.report)
    show_result(settings)


def show_result(settings: Settings) -> None:
    """The table of the run that was just trained, and the gate's decisions."""
    import pandas as pd

    from shelfops_pipeline.contracts.bundle import BACKTEST_METRICS
    from shelfops_pipeline.lifecycle.registry import Registry
    from shelfops_pipeline.models.bundle import read_manifest

    registry = Registry.of(settings)
    newest = {e.feature_tier: e for e in registry.entries()}
    metrics = pd.concat([pd.read_parquet(settings.models / e.version / BACKTEST_METRICS) for e in newest.values()])
    console.print(metrics_view(metrics, f"{settings.dataset}: backtest over all folds"))
    for entry in newest.values():
        verdict = "[green]promoted" if entry.status is Status.CHAMPION else "[yellow]not promoted"
        console.print(f"{entry.version} ({entry.feature_tier}): {verdict}[/]: {escape(entry.reason)}")
        if tuned := read_manifest(settings.models / entry.version).recipe.get("tuned"):
            console.print(f"{entry.version}: tuned parameters: {tuned}", highlight=False)
    pointer = registry.champion()
    console.print(f"champion: [bold]{pointer.release if pointer else 'none yet'}[/]")


def run_forecast(settings: Settings, out: Path, as_of: date | None) -> None:
    """`shelfops forecast`: load, train the tiers that serve, write the file whole or not at all."""
    import pyarrow.parquet as pq

    from shelfops_pipeline.data.load import load_panel, origin_of
    from shelfops_pipeline.lifecycle.training import backtest_plan, fit_served, plan_forecast
    from shelfops_pipeline.models.serve import forecast_table, serve
    from shelfops_pipeline.tuning.result import read_tuning

    require_file(out)
    if out.suffix.lower() in _NO_PARQUET:
        raise DataError(f"--out: forecasts are written as Parquet; name it {out.with_suffix('.parquet')}")
    require_directory(settings.data, settings.dataset)
    with step_progress(f"forecast {settings.dataset}") as board:
        board.say("loading")
        source = open_data(settings)
        loaded = load_panel(source, settings.max_quarantined_share)
        origin = origin_of(loaded.panel, as_of, weekly_rows=source.weekly_rows)
        panel = loaded.panel.as_of(origin, settings.horizon)
        plan = plan_forecast(panel, settings, read_tuning(settings.tuning))
        scored = backtest_plan(panel, plan, settings.metric, board.say)
        models = fit_served(panel, plan, scored, board.say)
        board.say("forecasting")
        table = forecast_table(panel, serve(panel, models, settings.metric))
        draft = out.with_name(f".{out.name}.draft")
        pq.write_table(table, draft, compression="zstd")
        draft.replace(out)
    tell_refused(loaded.validation)
    tell_tuned(plan.notes)
    tell_plans(panel, settings.horizon)
    tell_closed(panel)
    console.print(
        f"{escape(str(out))}: {table.num_rows:,} rows, {panel.n_series:,} series × {settings.horizon} periods"
    )


def show_doctor(settings: Settings, as_json: bool = False) -> None:
    """`shelfops doctor`: exits 1 when something that is needed is missing."""
    from shelfops_pipeline.services.doctor import checks

    found = checks(settings)
    if as_json:
        told = {"checks": [asdict(check) for check in found]}
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        console.print(_doctor_view(found))
    missing = [check.name for check in found if check.required and not check.ok]
    if missing:
        raise ShelfOpsError(f"needed, but missing: {', '.join(missing)}")


def _doctor_view(found: "list[Check]") -> Table:
    table = Table()
    for name in ("", "what", "found", "what to do"):
        table.add_column(name)
    for check in found:
        mark = "[green]✓" if check.ok else "[red]✗" if check.required else "[yellow]–"
        table.add_row(mark, escape(check.name), escape(check.detail), "" if check.ok else escape(check.remedy))
    return table


def run_benchmark(name: str, arguments: list[str]) -> None:
    """`shelfops bench`: the script of that name from a checkout's benchmarks/."""
    import subprocess

    from shelfops_pipeline.shipped import shipped_file

    script = shipped_file(f"benchmarks/{name}.py")
    raise SystemExit(subprocess.run([sys.executable, str(script), *arguments], check=False).returncode)  # noqa: S603


def open_data(settings: Settings) -> Any:
    """The source of the retailer that the settings name."""
    from shelfops_pipeline.data.sources import open_source

    return open_source(settings.dataset, settings.data, settings)


def require_folder(folder: Path) -> None:
    """Raises DataError when the folder that --out lies in does not exist: said before any work."""
    if not folder.is_dir():
        raise DataError(f"--out: the directory {folder} does not exist; create it first")


def require_file(out: Path) -> None:
    """Raises DataError when --out cannot be a file: said before any work."""
    require_folder(out.parent)
    if out.is_dir():
        raise DataError(f"--out: {out} is a directory; name a file in it")
