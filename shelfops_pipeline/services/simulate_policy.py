"""`shelfops simulate-policy`: replay simulated retailers under our policy and others, and say what it is worth."""

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from shelfops_pipeline.services.commands import require_file
from shelfops_pipeline.services.console import console, step_progress

if TYPE_CHECKING:
    from shelfops_pipeline.replenishment.simulation.replay import Account, Trial
    from shelfops_pipeline.replenishment.simulation.verdict import Interval


def run_simulate_policy(trial: "Trial", seeds: int, workers: int, out: Path | None, as_json: bool) -> None:
    """Replay the first `seeds` retailers and show the table."""
    from shelfops_pipeline.replenishment.simulation import verdict
    from shelfops_pipeline.replenishment.simulation.replay import SEEDS

    if out is not None:
        require_file(out)
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

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core for each retailer: their models are small
    found: dict[int, list[Account]] = {}
    with step_progress(f"simulate-policy, {len(seeds)} retailers") as board:
        if workers == 1:
            for k, seed in enumerate(seeds, start=1):
                board.say(f"retailer {k} of {len(seeds)}")
                found[seed] = replay(seed, trial, progress=board.say)
        else:
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
    console.print(_policies(accounts, f"{retailers} simulated retailers, {trial.days} days: means per retailer"))
    if retailers > 1:
        console.print(_categories(accounts))
    for saving in verdict.savings(accounts):
        cheaper, better = (
            _compared(saving.cost, "%", "less", "more"),
            _compared(saving.fill_rate, "points", "more", "less"),
        )
        console.print(f"shelfops costs {cheaper} than {saving.rival}; fill rate {better}", highlight=False)
    e = trial.economics
    console.print(
        f"Costs: stock {100 * e.holding_rate:g} % of its cost a year; {e.order_cost:g} per order line; the margin of"
        " what is not sold; the cost of what is thrown away. Forecasts: the production tier's XGBoost, without LSTM and"
        " totals, fitted once before the days that are scored. `true rate` knows what nobody can.",
        highlight=False,
    )


def _policies(accounts: "list[Account]", title: str) -> Table:
    """A column per policy."""
    from shelfops_pipeline.replenishment.simulation import verdict

    found = verdict.standings(accounts)
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for standing in found:
        table.add_column(standing.policy, justify="right", no_wrap=True)
    for name in ("fill_rate", "stockout_days"):
        table.add_row(name.replace("_", " "), *(f"{100 * getattr(s, name):.1f} %" for s in found))
    for name, label in (("stock", "average stock, units"), ("wasted", "waste, units")):
        table.add_row(label, *(f"{getattr(s, name):,.0f}" for s in found), end_section=name == "wasted")
    for name in ("holding", "lost_margin", "ordering", "waste"):
        table.add_row(f"{name.replace('_', ' ')}, cost", *(f"{getattr(s, name):,.0f}" for s in found))
    table.add_row("total cost", *(f"{s.cost:,.0f}" for s in found), style="bold")
    return table


def _categories(accounts: "list[Account]") -> Table:
    """What is saved beside the tuned rival where."""
    from shelfops_pipeline.replenishment.simulation import verdict
    from shelfops_pipeline.replenishment.simulation.replay import EVERYTHING, FIXED_QUANTITY, OURS

    table = Table(title=f"beside {FIXED_QUANTITY}, by category", title_justify="left")
    for name in ("category", "its cost", "ours", "saved", "its fill rate", "ours"):
        table.add_column(name, justify="left" if name == "category" else "right")
    for category in dict.fromkeys(a.category for a in accounts if a.category != EVERYTHING):
        by = {s.policy: s for s in verdict.standings(accounts, category)}
        ours, theirs = by[OURS], by[FIXED_QUANTITY]
        costs = (f"{theirs.cost:,.0f}", f"{ours.cost:,.0f}", f"{100 * (1 - ours.cost / theirs.cost):.0f} %")
        table.add_row(category, *costs, *(f"{100 * s.fill_rate:.1f} %" for s in (theirs, ours)))
    return table


def _compared(value: "Interval", unit: str, above: str, below: str) -> str:
    """A difference in words, with its interval where there is one."""
    more = value.mean >= 0
    mean, low, high = (100 * (v if more else -v) for v in (value.mean, value.low, value.high))
    interval = "" if low != low else f" (95 %: {min(low, high):.1f} to {max(low, high):.1f})"
    return f"{mean:.1f} {unit} {above if more else below}{interval}"
