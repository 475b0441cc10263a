"""A training and its forecasts divided by Celery workers, and training rows that are not held in memory.

`shelfops bench scale --data ../shared/data --only workers --series 3000`. Two parts:

- workers: the production tier of M5 at several numbers of series (training rows, both fits, the folds of the backtest,
  served forecasts) on 1, 2 and 4 real Celery workers with a Redis and a PostgreSQL of their own, as many shards as
  workers. A worker has one thread, so that it is like one core of a cluster; more workers than cores share them. Equal
  checksums say that nothing depends on the workers.
- memory: XGBoost on training rows in memory and from disk (`ExtMemQuantileDMatrix`), at several numbers of rows, with
  the error of each on the last 28 days, which it did not see.

Without --data, files in M5's form are made. The champion that forecasts is a small one with as many rounds as the
default. What is trained beside it is fitted with a quarter of the default effort (`celery_workers.EFFORT`).
"""

import argparse
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from celery_workers import celery_workers, forget_release, materialize, services
from engine import load
from m5_files import write_m5
from measure import Check, finish, in_fresh_process, machine, peak_added, say

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.models.recipe import Recipe

PARTS: Final = ("workers", "memory")
TRAINED: Final = ("production_features", "production_xgboost", "production_lstm", "backtest")
ASSETS: Final = (*TRAINED, "online_features", "demand_forecasts")
HORIZON: Final = 28
_SEED: Final = 7
_SMALL: Final = {"max_rows": 40_000}, {"max_windows": 2_000, "epochs": 2}
_MADE_DAYS: Final = 152
_FASTER: Final = 1.1  # times the throughput of one worker, where there is a core for each
_OTHER: Final = 0.01  # the error from disk may differ from that in memory by this share of it
_FLAT: Final = 1.25  # times the memory for four times the rows

Figures = dict[str, Any]


def production(panel: Panel) -> Recipe:
    """The recipe of the production tier."""
    from shelfops_pipeline.lifecycle.training import plan_training

    return plan_training(panel, HORIZON, "production", folds=1, seed=_SEED).recipes[Tier.PRODUCTION]


def make_champion(folder: Path, models: Path) -> None:
    """A champion fitted on few rows and windows of the panel in `folder`, scored on one fold and promoted."""
    from shelfops_pipeline.evaluation.backtest import run_backtest
    from shelfops_pipeline.evaluation.folds import fold_origins
    from shelfops_pipeline.lifecycle.candidate import register_candidate
    from shelfops_pipeline.lifecycle.registry import Registry
    from shelfops_pipeline.models.fit import fit_members

    panel = Panel.load(folder)
    recipe = production(panel)
    boost, net = recipe.xgboost.model_copy(update=_SMALL[0]), recipe.lstm.model_copy(update=_SMALL[1])
    recipe = recipe.model_copy(update={"xgboost": boost, "lstm": net})
    backtest = run_backtest(panel, {Tier.PRODUCTION: recipe}, fold_origins(panel, HORIZON, 1, recipe.spec.season))
    backend: Any = fit_members(panel, recipe).backend
    registry = Registry(models)
    entry = register_candidate(registry, panel, backtest, recipe, backend.booster, backend.network, "benchmark")
    registry.promote(entry.version, "benchmark")


def prepare(data: Path | None, folder: Path, sizes: Sequence[int]) -> dict[int, int]:
    """Panels of about so many series of M5, items drawn at random, in a folder each; returns how many series."""
    source = data or folder / "m5"
    if data is None:
        write_m5(source, max(sizes), _MADE_DAYS)
    whole, found = load("m5", source), {}
    items, stores = np.unique(whole.item_ids), len(np.unique(whole.store_ids))
    for size in sizes:
        wanted = np.random.default_rng(_SEED).permutation(items)[: max(round(size / stores), 1)]
        panel = whole.take(np.flatnonzero(np.isin(whole.item_ids, wanted)))
        panel.save(folder / str(size))
        found[size] = panel.n_series
    return found


def place(panel: Path, home: Path) -> None:
    """Make a panel that of a home, for its assets to read."""
    from shelfops_pipeline.defs.artifacts import ArtifactRoot

    with ArtifactRoot(str(home / "artifacts"), home / "cache").replace_folder("panel") as folder:
        shutil.copytree(panel, folder, dirs_exist_ok=True)


def checksum(home: Path) -> str:
    """Of the training rows, the booster, the folds and the forecasts that a run left; not of the network, whose file
    holds the time."""
    from shelfops_pipeline.defs.artifacts import ArtifactRoot

    root, found = ArtifactRoot(str(home / "artifacts"), home / "cache"), hashlib.sha256()
    for name in ("production_features", "production_xgboost", "backtest"):
        for file in sorted(root.folder(name).iterdir()):
            found.update(file.read_bytes())
    with root.open(f"{ASSETS[-1]}/all.parquet") as stream:
        found.update(stream.read())
    return found.hexdigest()


def on_workers(
    workers: int, panels: Mapping[int, Path], home: Path, environment: Mapping[str, str]
) -> Iterator[Figures]:
    """One run per panel, by its number of series, on so many workers, in as many shards."""
    environment = {**environment, "SHELFOPS_SHARDS": str(workers)}
    with celery_workers(workers, environment, home) as memory:
        for series, panel in panels.items():
            place(panel, home)
            forget_release(environment["SHELFOPS_DATABASE_URL"])
            memory.peak_mb = 0.0
            steps = in_fresh_process(materialize, ASSETS, environment)
            figures = {"series": series, "workers": workers, "took_part": steps.workers, "seconds": steps.seconds}
            figures |= {"series_per_second": series / steps.seconds, "peak_mb": memory.peak_mb}
            yield figures | {"checksum": checksum(home), "load": os.getloadavg()[0], "steps": steps.by_step}


def workers_part(args: argparse.Namespace, folder: Path, panels: Mapping[int, Path]) -> tuple[Figures, list[Check]]:
    """Every number of series on every number of workers."""
    home, table = folder / "home", []
    home.mkdir()
    say("a champion for all of them")
    in_fresh_process(make_champion, next(iter(panels.values())), home / "models")
    with services(home) as environment:
        for workers in sorted(args.workers):
            say(f"{workers} workers")
            for row in on_workers(workers, panels, home, environment):
                table.append(row)
                say(_line(row))
    ratios: dict[str, float] = {}
    checks = []
    for series in panels:
        first, *others = (row for row in table if row["series"] == series)
        for row in others:
            name = f"{series} series: throughput of {row['workers']} workers / of {first['workers']}"
            ratios[name] = first["seconds"] / row["seconds"]
            if series == max(panels) and row["workers"] <= (os.cpu_count() or 1):
                checks.append(Check(name, ratios[name], "at least", _FASTER))
        same = {row["checksum"] for row in (first, *others)}
        checks.append(Check(f"{series} series: different results", len(same), "at most", 1))
    return {"workers": table, "ratios": ratios}, checks


def _line(row: Mapping[str, Any]) -> str:
    took_part = f"{row['workers']} workers ({row['took_part']} took part)"
    speed = f"{row['seconds']:7.1f} s  {row['series_per_second']:8.0f} series/s"
    end = f"{row['peak_mb']:7,.0f} MB  {row['checksum'][:12]}  load {row['load']:.1f}"
    return f"{row['series']:>7,} series  {took_part}  {speed}  {end}"


def make_rows(panel_folder: Path, folder: Path, rows: int) -> int:
    """Training rows up to the horizon before the last, as files; returns how many."""
    from shelfops_pipeline.features.create import FeatureRows, create_features
    from shelfops_pipeline.models.recipe import channel_scales

    panel = Panel.load(panel_folder)
    known = panel.as_of(panel.n_observed - 1 - HORIZON, HORIZON)
    recipe, scales = production(known), channel_scales(known)
    made = create_features(known, recipe.spec, recipe.transform, scales, rows, recipe.seed)
    folder.mkdir()
    for name in FeatureRows.__dataclass_fields__:
        np.save(folder / f"{name}.npy", getattr(made, name), allow_pickle=False)
    return len(made.demand)


def fit_and_score(panel_folder: Path, folder: Path, rounds: int, rows_in_memory: int) -> Figures:
    """A booster on the stored rows: its seconds, the memory that it added, and its errors on days it did not see."""
    from shelfops_pipeline.features.create import FeatureRows
    from shelfops_pipeline.models.fit import members_of
    from shelfops_pipeline.models.gbm import fit_xgboost
    from shelfops_pipeline.models.serve import origin_state

    panel = Panel.load(panel_folder)
    origin = panel.n_observed - 1 - HORIZON
    known = panel.as_of(origin, HORIZON)
    recipe = production(known)
    recipe = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update={"rounds": rounds})})
    names = FeatureRows.__dataclass_fields__
    rows = FeatureRows(*(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names))
    with peak_added() as memory:
        began = time.perf_counter()
        booster = fit_xgboost(rows, recipe, rows_in_memory)
        seconds = time.perf_counter() - began
    members = members_of(known, recipe, booster, None)
    forecast = members.predict(origin_state(known, members, origin), ("xgboost",))["xgboost"]
    actual = panel.demand[:, origin + 1 : origin + 1 + HORIZON]
    error = (forecast - actual)[np.isfinite(actual)].astype(np.float64)
    scores = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
    return {"seconds": seconds, "peak_mb": memory.peak_mb, **scores}


def memory_part(args: argparse.Namespace, folder: Path, panels: Mapping[int, Path]) -> tuple[Figures, list[Check]]:
    """Every number of rows, in memory and from disk, of the largest panel."""
    panel = panels[max(panels)]
    table, checks = [], []
    for wanted in sorted(args.rows):
        stored = folder / f"rows{wanted}"
        say(f"{wanted:,} rows: making them")
        rows = in_fresh_process(make_rows, panel, stored, wanted)
        row: Figures = {"rows": rows}
        for how, in_memory in (("in memory", rows), ("from disk", 0)):
            row[how] = found = in_fresh_process(fit_and_score, panel, stored, args.rounds, in_memory)
            errors = f"mae {found['mae']:.5f}  rmse {found['rmse']:.5f}"
            say(f"{rows:>10,} rows  {how}  {found['seconds']:6.1f} s  {found['peak_mb']:6,.0f} MB  {errors}")
        table.append(row)
        for metric in ("mae", "rmse"):
            off = abs(row["from disk"][metric] / row["in memory"][metric] - 1)
            checks.append(Check(f"{rows} rows: {metric} from disk, share off that in memory", off, "at most", _OTHER))
        shutil.rmtree(stored)
    for few, many in pairwise(table):
        name = f"{few['rows']} to {many['rows']} rows: growth of peak MB from disk"
        growth = many["from disk"]["peak_mb"] / few["from disk"]["peak_mb"]
        checks.append(Check(name, growth, "at most", _FLAT))
    return {"memory": table}, checks


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds m5/; without, data are made")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--series", type=int, nargs="+", default=[3_000, 10_000, 30_490])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rows", type=int, nargs="+", default=[700_000, 2_800_000], help="training rows, for memory")
    parser.add_argument("--rounds", type=int, default=100, help="rounds of XGBoost, for memory")
    return parser.parse_args()


def measure(args: argparse.Namespace, folder: Path) -> tuple[Figures, list[Check]]:
    """The parts that were asked for."""
    sizes = sorted(set(args.series)) if "workers" in args.only else [max(args.series)]
    say(f"panels of {', '.join(f'{size:,}' for size in sizes)} series")
    found = in_fresh_process(prepare, args.data, folder, sizes)
    panels = {series: folder / str(size) for size, series in found.items()}
    figures: Figures = {}
    checks: list[Check] = []
    for name, part in (("workers", workers_part), ("memory", memory_part)):
        if name in args.only:
            more, judged = part(args, folder, panels)
            figures |= more
            checks += judged
    return figures, checks


def main() -> None:
    args, where, began = _arguments(), machine(), time.perf_counter()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # workers and servers are stopped then too
    args.data = None if args.data is None else args.data / "m5"
    try:
        with tempfile.TemporaryDirectory(prefix="shelfops-bench-") as folder:
            figures, checks = measure(args, Path(folder))
    except ShelfOpsError as error:
        sys.exit(f"bench scale: {error}")
    rows: Sequence[Figures] = figures.get("workers", []) + [r["from disk"] for r in figures.get("memory", [])]
    totals = {"seconds": time.perf_counter() - began, "peak_mb": max(row["peak_mb"] for row in rows)}
    task = {"benchmark": "scale", "parts": args.only, "data": "made" if args.data is None else "real"}
    finish(task | {"machine": where} | totals | figures, checks)


if __name__ == "__main__":
    main()
