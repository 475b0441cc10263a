"""`shelfops simulate-policy`: replay simulated retailers under our policy and others, and say what it is worth."""

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from shelfops_pipeline.services.commands import require_folder
from shelfops_pipeline.services.console import console, step_progress

if TYPE_CHECKING:
    from shelfops_pipeline.replenishment.simulation.replay import Account, Trial
    from shelfops_pipeline.replenishment.simulation.verdict import Interval


def run_simulate_policy(trial: "Trial", seeds: int, workers: int, out: Path | None, as_json: bool) -> None:
    """Replay the first `seeds` retailers and show the table."""
    from shelfops_pipeline.replenishment.simulation import verdict
    from shelfops_pipeline.replenishment.simulation.replay import SEEDS

    if out is not None:
        require_folder(out.parent)
    accounts = _replayed(trial, SEEDS[:seeds], workers)
    text = json.dumps(verdict.as_json(accounts), indent=1)
    if out is not None:
        out.write_text(text)
    if as_json:
        print(text)
    else:
        _show(trial, accounts)


def _replayed(trial: "Trial", seeds: tuple[int, ...], workers: int) -> "list[Account]":
    from shelfops_pipeline.replenishment.simulation.replay import replay

    found: dict[int, list[Account]] = {}
    with step_progress(f"simulate-policy, {len(seeds)} retailers") as board:
        if workers == 1:
            for k, seed in enumerate(seeds, start=1):
                board.say(f"retailer {k} of {len(seeds)}")
                found[seed] = replay(seed, trial, progress=board.say)
        else:
            os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core for each process, not all for all
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context) as pool:
                running = {pool.submit(replay, seed, trial): seed for seed in seeds}
                board.say(f"0 of {len(seeds)} retailers done")
                for done in as_completed(running):
                    found[running[done]] = done.result()
                    board.say(f"{len(found)} of {len(seeds)} retailers done")
    return [account for seed in seeds for account in found[seed]]


def _show(trial: "Trial", accounts: "list[Account]") -> None:
    from shelfops_pipeline.replenishment.simulation import verdict

    retailers = len({a.seed for a in accounts})
    table = Table(title=f"{retailers} simulated retailers, {trial.days} days each: means per retailer")
    table.add_column("policy")
    for name in ("fill rate", "stockout days", "average stock", "waste, units"):
        table.add_column(name, justify="right")
    for name in ("holding", "lost margin", "ordering", "waste", "total cost"):
        table.add_column(name, justify="right")
    for s in verdict.standings(accounts):
        money = (s.holding, s.lost_margin, s.ordering, s.waste, s.cost)
        table.add_row(
            s.policy,
            f"{100 * s.fill_rate:.1f} %",
            f"{100 * s.stockout_days:.1f} %",
            f"{s.stock:,.0f}",
            f"{s.wasted:,.0f}",
            *(f"{m:,.0f}" for m in money),
        )
    console.print(table)
    for saving in verdict.savings(accounts):
        console.print(
            f"shelfops costs {_percent(saving.cost)} less than {saving.rival}, "
            f"at a fill rate {_percent(saving.fill_rate, 'points')} higher",
            highlight=False,
        )
    e = trial.economics
    console.print(
        f"Costs: stock {100 * e.holding_rate:g} % of its cost a year; {e.order_cost:g} per order line; the regular "
        "margin of what is not sold; the cost of what is thrown away. Forecasts: the production tier's XGBoost, without "
        "the LSTM and totals, fitted once before the days that are scored. `true rate` knows what nobody can.",
        highlight=False,
    )


def _percent(value: "Interval", unit: str = "%") -> str:
    found = f"{100 * value.mean:.1f} {unit}"
    return found if value.low != value.low else f"{found} (95 %: {100 * value.low:.1f} to {100 * value.high:.1f})"
