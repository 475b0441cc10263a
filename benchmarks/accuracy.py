"""This engine, the four baselines, mlforecast + LightGBM and statsforecast side by side, on identical rows.

`python benchmarks/accuracy.py --data ../shared/data`. Each window ends before or with the known data; every contender
sees what was known on the evening before it (and what is known in advance), in a fresh process. Ours is
`shelfops forecast --as-of` itself; its seconds count the reading and validation of the files, which the others are
spared. The table shows the mean over the windows and, in brackets, the spread. Exit status 1 if this engine is not
ahead of every contender on every data set. `--sets simulated` needs no files.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peers
from engine import (
    OURS,
    REAL_SETS,
    Contender,
    Order,
    Run,
    day,
    load,
    read_forecast,
    real_data,
    run_contender,
    run_forecast,
)
from measure import Check, finish, in_fresh_process, machine, say
from rich.console import Console
from rich.table import Table
from scores import CASES, Case, Scores, score

from shelfops_pipeline.contracts.columns import QUANTILES
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.settings import Settings

CONTENDERS: dict[str, Contender] = {
    "baselines": peers.with_baselines,
    "mlforecast": peers.with_mlforecast,
    "statsforecast": peers.with_statsforecast,
}
_LEAST_HISTORY = 1.5  # horizons before the first window


@dataclass(frozen=True)
class Result:
    """One contender on one window of one data set."""

    dataset: str
    as_of: str
    contender: str
    scores: Scores
    seconds: float
    """of the process: the baselines share one"""
    peak_mb: float


def window_origins(n_observed: int, horizon: int, windows: int) -> list[int]:
    """Last known periods of the windows, oldest first; the last window ends with the known data.

    A horizon apart where the history is long enough, else as far apart as leaves one and a half horizons before the
    first. Raises ShelfOpsError where they would coincide.
    """
    last, first = n_observed - 1 - horizon, round(_LEAST_HISTORY * horizon) - 1
    stride = min(horizon, (last - first) // max(windows - 1, 1))
    if stride < 1:
        raise ShelfOpsError(f"{n_observed} known periods are too few for {windows} windows of {horizon}; use --windows")
    return [last - stride * back for back in reversed(range(windows))]


def compare(case: Case, args: argparse.Namespace, folder: Path) -> Iterator[Result]:
    """Every contender on every window of a data set."""
    data = None if case.dataset == "simulated" else real_data(args.data) / case.dataset
    panel = load(case.dataset, data)
    panel.save(folder / "panel")
    for origin in window_origins(panel.n_observed, case.horizon, args.windows):
        as_of = day(panel, origin)
        for name in args.contenders:
            say(f"{case.dataset}, {case.horizon} days from {as_of}: {name}")
            if name == "shelfops":
                order = Order(case.dataset, data, case.horizon, case.metric, as_of, args.seed, args.effort)
                run = _ours(order, panel, folder / "forecast.parquet")
            else:
                run = in_fresh_process(
                    run_contender, CONTENDERS[name], folder / "panel", origin, case.horizon, case.metric
                )
            yield from _scored(case, panel, origin, run)


def _ours(order: Order, panel: Panel, out: Path) -> Run:
    timing = in_fresh_process(run_forecast, order, out)
    return Run({OURS: read_forecast(out, panel, order.horizon)}, timing.seconds, timing.peak_mb)


def _scored(case: Case, panel: Panel, origin: int, run: Run) -> Iterator[Result]:
    for name, made in run.made.items():
        scores = score(case, panel, origin, made)
        say(f"  {name}: {case.scored} {scores.metric:.4f}, {run.seconds:.0f} s")
        yield Result(case.dataset, str(day(panel, origin)), name, scores, run.seconds, run.peak_mb)


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Over the windows of one contender on one data set: mean, least and most of every figure."""
    scores = [r.scores for r in results]
    figures = {"metric": [s.metric for s in scores], "bias": [s.bias for s in scores]}
    if scores[0].coverage_90 is not None:
        figures["coverage_90"] = [s.coverage_90 for s in scores if s.coverage_90 is not None]
    figures |= {"seconds": [r.seconds for r in results], "peak_mb": [r.peak_mb for r in results]}
    out: dict[str, Any] = {k: {"mean": float(np.mean(v)), "min": min(v), "max": max(v)} for k, v in figures.items()}
    rates = [s.hit_rates for s in scores if s.hit_rates is not None]
    if rates:
        below, at_or_below = np.mean(rates, axis=0).T
        out["hit_rates"] = [
            {"quantile": q, "below": float(b), "at_or_below": float(a)}
            for q, b, a in zip(QUANTILES, below, at_or_below, strict=True)
        ]
    return out | {"windows": [{"as_of": r.as_of, **asdict(r.scores)} for r in results]}


def by_contender(results: Sequence[Result], dataset: str) -> dict[str, dict[str, Any]]:
    """The summaries of a data set, in the order in which the contenders ran."""
    names = dict.fromkeys(r.contender for r in results if r.dataset == dataset)
    return {n: summary([r for r in results if r.dataset == dataset and r.contender == n]) for n in names}


def checks(sets: dict[str, dict[str, Any]]) -> list[Check]:
    """Is ours ahead of each other contender, by the mean over the windows?"""
    return [
        Check(f"{dataset}: {CASES[dataset].scored}, {OURS} / {name}", _ratio(figures, name), "at most", 1)
        for dataset, figures in sets.items()
        if OURS in figures
        for name in figures
        if name != OURS
    ]


def _ratio(figures: dict[str, Any], name: str) -> float:
    return float(figures[OURS]["metric"]["mean"] / figures[name]["metric"]["mean"])


def table(sets: dict[str, dict[str, Any]], windows: int) -> Table:
    """What was measured, a section per data set, the best mean in bold."""
    title = f"Windows: {windows}; their mean (least to most)"
    view = Table(title=title, title_justify="left", caption_justify="left")
    view.add_column("")
    for name in ("error", "bias of the mean", "90 % coverage", "seconds", "peak MB"):
        view.add_column(name, justify="right")
    hits = []
    for dataset, figures in sets.items():
        case = CASES[dataset]
        view.add_section()
        view.add_row(f"[bold]{dataset}, {case.horizon} days, {case.scored}")
        best = min(figures, key=lambda name: figures[name]["metric"]["mean"])
        for name, found in figures.items():
            view.add_row(f"  {name}", *_cells(found), style="bold green" if name == best else None)
            if "hit_rates" in found:
                rates = (f"{r['quantile']:g}: {r['below']:.3f}..{r['at_or_below']:.3f}" for r in found["hit_rates"])
                hits.append(f"{dataset}: {name}'s quantiles were hit (below..at or below)  {'  '.join(rates)}")
    view.caption = "\n".join(hits) or None
    return view


def _cells(found: dict[str, Any]) -> list[str]:
    """A row of the table."""
    error, bias, seconds, peak = (found[k] for k in ("metric", "bias", "seconds", "peak_mb"))
    cells = [f"{error['mean']:.4f} ({error['min']:.4f} to {error['max']:.4f})"]
    cells.append(f"{100 * bias['mean']:+.1f} % ({100 * bias['min']:+.1f} to {100 * bias['max']:+.1f})")
    covered = found.get("coverage_90")
    cells.append(
        f"{100 * covered['mean']:.1f} % ({100 * covered['min']:.1f} to {100 * covered['max']:.1f})" if covered else "–"
    )
    return [*cells, f"{seconds['mean']:,.1f}", f"{peak['max']:,.0f}"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds rossmann/, favorita/ and m5/")
    parser.add_argument("--sets", nargs="+", choices=list(CASES), default=list(REAL_SETS))
    parser.add_argument("--windows", type=int, default=3, help="rolling windows per data set")
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=["shelfops", *CONTENDERS],
        default=["shelfops", *CONTENDERS],
        help="without shelfops nothing is checked",
    )
    parser.add_argument("--effort", type=float, help="this engine's training size; default: SHELFOPS_EFFORT, or 1")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    args = parser.parse_args()
    if args.windows < 1:
        parser.error("--windows must be at least 1")
    return args


def main() -> None:
    args, where = _arguments(), machine()
    results: list[Result] = []
    try:
        for name in args.sets:
            with tempfile.TemporaryDirectory(prefix="shelfops-bench-") as folder:
                results += compare(CASES[name], args, Path(folder))
    except ShelfOpsError as error:
        sys.exit(f"accuracy: {error}")
    sets = {name: by_contender(results, name) for name in args.sets}
    found = checks(sets)
    if args.json:
        effort = Settings().effort if args.effort is None else args.effort
        task = {"benchmark": "accuracy", "windows": args.windows, "effort": effort, "seed": args.seed}
        finish(task | {"machine": where, "sets": sets}, found)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table(sets, args.windows))
    behind = [check for check in found if not check.ok]
    for check in behind:
        say(f"{check.name}: {check.value:.3f}, must be {check.sense} {check.limit:g}")
    sys.exit(1 if behind else 0)


if __name__ == "__main__":
    main()
