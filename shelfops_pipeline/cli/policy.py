"""`shelfops simulate-policy`."""

from pathlib import Path
from typing import Annotated

import typer


def simulate_policy(
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Retailers, of the ten whose seeds are fixed")] = 10,
    stores: Annotated[int, typer.Option(min=1, help="Stores of each")] = 4,
    items: Annotated[int, typer.Option(min=14, help="Items of each")] = 42,
    days: Annotated[int, typer.Option(min=28, max=364, help="Days that are scored, after two years of history")] = 182,
    holding_rate: Annotated[float, typer.Option(min=0, help="What stock costs a year, as a share of its cost")] = 0.25,
    order_cost: Annotated[float, typer.Option(min=0, help="What a line of an order costs")] = 0.25,
    workers: Annotated[int, typer.Option(min=1, help="Retailers replayed at a time")] = 2,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write: all figures, by retailer too")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same JSON instead of the table")] = False,
) -> None:
    """What our orders are worth in money: simulated retailers replayed under this policy, (s, Q) and seasonal naive.

    Each policy runs its own stock room: its own stockouts, and sales that they cut off.
    """
    from shelfops_pipeline.replenishment.simulation.replay import Trial
    from shelfops_pipeline.replenishment.terms import Economics
    from shelfops_pipeline.services.simulate_policy import run_simulate_policy

    trial = Trial(stores, items, days, Economics(holding_rate, order_cost))
    run_simulate_policy(trial, seeds, workers, out, as_json)
