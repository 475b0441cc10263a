"""XGBoost alone beside mlforecast + LightGBM, the default forecast, and how it grows with the number of series.

`shelfops bench train --data ../shared/data`. Three parts, each `shelfops forecast` or a contender in a fresh process,
imports included:

- xgboost: Rossmann's last known 42 days; features, booster and prediction without folds, LSTM or calibration, beside
  mlforecast + LightGBM (benchmarks/peers.py) on the same panel.
- forecast: the default forecast of the same days, both models, folds and calibration.
- scaling: the default forecast of M5 at several numbers of series; whole items are drawn from the files.

Without --data the first two use the simulated retailer, and the third files in M5's form. The training size is that of
SHELFOPS_EFFORT, 1 where it is not set; the result says which.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from engine import Floats, Order, Run, day, load, run_contender, run_forecast
from m5_files import write_m5
from measure import Check, Timing, finish, in_fresh_process, machine, say
from peers import MLFORECAST, with_mlforecast
from scores import CASES, Case, score

from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID, Metric
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.settings import Settings

PARTS: Final = ("xgboost", "forecast", "scaling")
XGBOOST: Final = "XGBoost alone"
_SEED: Final = 7
_FULL = 30_490  # series of M5
_MADE_DAYS = 152
_ALONE_EFFORT = 0.4  # rows and rounds of a quick look; the default takes the time that accuracy is worth
_LONGEST_SECONDS, _LONGEST_SECONDS_M5, _MOST_MB_M5, _MOST_RMSPE = 480, 1_200, 10_000, 0.130
_GROWTH = 1.1  # times the growth in series


@dataclass
class Figures:
    """What a part measured, in the terms of `measure.finish`."""

    runs: dict[str, Timing] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    peers: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        """Take in those of another part."""
        for name in ("runs", "scores", "peers", "ratios"):
            getattr(self, name).update(getattr(other, name))
        self.checks += other.checks


def with_xgboost(panel: Panel, horizon: int, metric: Metric) -> dict[str, Floats]:
    """The booster of the tier that serves, fitted once on everything known, and its uncalibrated forecast."""
    from shelfops_pipeline.contracts.columns import Tier
    from shelfops_pipeline.features.create import create_features
    from shelfops_pipeline.lifecycle.training import plan_training
    from shelfops_pipeline.models.fit import members_of
    from shelfops_pipeline.models.gbm import fit_xgboost
    from shelfops_pipeline.models.recipe import channel_scales
    from shelfops_pipeline.models.serve import origin_state

    recipes = plan_training(panel, horizon, seed=_SEED, effort=_ALONE_EFFORT).recipes
    recipe = recipes.get(Tier.PRODUCTION, recipes[Tier.COLD_START])
    size = recipe.xgboost
    rows = create_features(panel, recipe.spec, recipe.transform, channel_scales(panel), size.max_rows, _SEED)
    members = members_of(panel, recipe, fit_xgboost(rows, recipe), None)
    del rows
    state = origin_state(panel, members, panel.n_observed - 1)
    return {XGBOOST: members.predict(state, ("xgboost",))["xgboost"]}


def xgboost_part(case: Case, data: Path | None, folder: Path) -> Figures:
    """One booster beside the peer's, on the last known horizon."""
    panel = load(case.dataset, data)
    panel.save(folder)
    origin, figures = panel.n_observed - 1 - case.horizon, Figures()
    runs: dict[str, Run] = {}
    for name, contender in ((MLFORECAST, with_mlforecast), (XGBOOST, with_xgboost)):
        say(f"{case.dataset}, {case.horizon} days from {day(panel, origin)}: {name}")
        runs[name] = run = in_fresh_process(run_contender, contender, folder, origin, case.horizon, case.metric)
        scores = score(case, panel, origin, run.made[name])
        figures.scores[f"{case.dataset}: {name}"] = {case.scored: scores.metric, "bias": scores.bias}
        say(f"  {case.scored} {scores.metric:.4f}, {run.seconds:.0f} s")
    mine, theirs = runs[XGBOOST], runs[MLFORECAST]
    figures.runs[f"{case.dataset}: {XGBOOST}"] = Timing(mine.seconds, mine.peak_mb, 1)
    figures.peers[MLFORECAST] = asdict(Timing(theirs.seconds, theirs.peak_mb, 1))
    error, peers = (figures.scores[f"{case.dataset}: {name}"][case.scored] for name in (XGBOOST, MLFORECAST))
    figures.ratios = {f"{XGBOOST} / {MLFORECAST}, seconds": mine.seconds / theirs.seconds}
    figures.ratios[f"{XGBOOST} / {MLFORECAST}, {case.scored}"] = error / peers
    limit = _MOST_RMSPE if case.metric is Metric.RMSPE else peers
    figures.checks = [
        Check(f"{XGBOOST}, seconds / {MLFORECAST}", mine.seconds / theirs.seconds, "at most", 1),
        Check(f"{XGBOOST}, {case.scored}", error, "at most", limit),
    ]
    return figures


def forecast_part(case: Case, data: Path | None, folder: Path) -> Figures:
    """The default forecast of the last known horizon."""
    panel = load(case.dataset, data)
    as_of = day(panel, panel.n_observed - 1 - case.horizon)
    say(f"{case.dataset}, {case.horizon} days from {as_of}: the default forecast")
    order = Order(case.dataset, data, case.horizon, case.metric, as_of, _SEED)
    timing = in_fresh_process(run_forecast, order, folder / "forecast.parquet")
    name = f"{case.dataset}: default forecast"
    return Figures({name: timing}, checks=[Check(f"{name}, seconds", timing.seconds, "at most", _LONGEST_SECONDS)])


def scaling_part(data: Path | None, sizes: Sequence[int], folder: Path) -> Figures:
    """The default forecast of M5 at several numbers of series, and its growth from each to the next."""
    figures, measured = Figures(), {}
    for size in sorted(sizes):
        part = folder / str(size)
        series = m5_of(data, part, size)
        say(f"m5, {series:,} series: the default forecast")
        timing = in_fresh_process(run_forecast, Order("m5", part, CASES["m5"].horizon), folder / "m5.parquet")
        say(f"  {timing.seconds:.0f} s, {timing.peak_mb:,.0f} MB")
        figures.runs[f"m5: {series} series"] = measured[series] = timing
        shutil.rmtree(part)
    if _FULL in measured:
        full = measured[_FULL]
        figures.checks = [
            Check(f"m5 at {_FULL} series, seconds", full.seconds, "at most", _LONGEST_SECONDS_M5),
            Check(f"m5 at {_FULL} series, peak MB", full.peak_mb, "at most", _MOST_MB_M5),
        ]
    for few, many in pairwise(measured):
        for what in ("seconds", "peak_mb"):
            growth = getattr(measured[many], what) / getattr(measured[few], what) / (many / few)
            name = f"m5, {few} to {many} series: growth of {what} / growth of series"
            figures.ratios[name] = growth
            figures.checks.append(Check(name, growth, "at most", _GROWTH))
    return figures


def m5_of(data: Path | None, folder: Path, series: int) -> int:
    """M5's three files with about `series` series; returns how many. Real ones are of items drawn at random."""
    if data is None:
        write_m5(folder, series, _MADE_DAYS)
        return max(series // 10, 1) * 10  # items x stores
    from shelfops_pipeline.data.sources.files import find_file
    from shelfops_pipeline.data.sources.m5 import ORIGIN, SALES

    folder.mkdir()
    paths = [find_file(data, [*names], ORIGIN) for names in (SALES, ("sell_prices.csv",), ("calendar.csv",))]
    sales, prices = (pd.read_csv(path, dtype=str) for path in paths[:2])
    items, stores = sales[ITEM_ID].unique(), sales[STORE_ID].nunique()
    wanted = np.random.default_rng(_SEED).permutation(items)[: max(round(series / stores), 1)]
    for path, table in zip(paths[:2], (sales, prices), strict=True):
        table[table[ITEM_ID].isin(wanted)].to_csv(folder / path.name, index=False)
    shutil.copy(paths[2], folder / paths[2].name)
    return int(sales[ITEM_ID].isin(wanted).sum())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds rossmann/ and m5/; without, data are made")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--series", type=int, nargs="+", default=[3_000, 10_000, _FULL], help="sizes for scaling")
    return parser.parse_args()


def measure(args: argparse.Namespace, folder: Path) -> Figures:
    """The parts that were asked for."""
    case = CASES["simulated" if args.data is None else "rossmann"]
    data = None if args.data is None else args.data / case.dataset
    figures = Figures()
    if "xgboost" in args.only:
        figures.add(xgboost_part(case, data, folder / "panel"))
    if "forecast" in args.only:
        figures.add(forecast_part(case, data, folder))
    if "scaling" in args.only:
        figures.add(scaling_part(None if args.data is None else args.data / "m5", args.series, folder))
    return figures


def main() -> None:
    args, where = _arguments(), machine()
    try:
        with tempfile.TemporaryDirectory(prefix="shelfops-bench-") as folder:
            found = measure(args, Path(folder))
    except ShelfOpsError as error:
        sys.exit(f"bench train: {error}")
    runs = {name: asdict(timing) for name, timing in found.runs.items()}
    totals = {
        "seconds": sum(timing.seconds for timing in found.runs.values()),
        "peak_mb": max(timing.peak_mb for timing in found.runs.values()),
    }
    data = "made" if args.data is None else "real"
    task = {"benchmark": "train", "parts": args.only, "data": data, "effort": Settings().effort}
    figures = {"runs": runs, "scores": found.scores, "peers": found.peers, "ratios": found.ratios}
    finish(task | {"machine": where} | totals | figures, found.checks)


if __name__ == "__main__":
    main()
