"""`shelfops demo`: a retailer simulated, the graph run, the result shown."""

import time

from rich.panel import Panel as Box

from shelfops_pipeline.contracts.replenishment import OrderStatus
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.commands import show_result
from shelfops_pipeline.services.console import console, step_progress
from shelfops_pipeline.services.ingest import sync
from shelfops_pipeline.services.instance import warehouse
from shelfops_pipeline.services.pipeline import open_pipeline
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.alerts import count_alerts
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.orders import list_orders

_MOST_ORDERS = 1000


def run_demo(settings: Settings) -> None:
    """Run the whole graph on the simulated retailer, and say where to look."""
    began = time.monotonic()
    with warehouse(settings):  # held throughout, so that the server starts once
        with open_pipeline(settings) as pipeline, step_progress("demo") as board:
            sync(pipeline, board.report)
            pipeline.train(board.report)
        show_result(settings)
        _show_shelves(settings)
    size = f"{settings.simulated_stores} stores × {settings.simulated_items} items × {settings.simulated_days} days"
    console.print(f"{size} in {time.monotonic() - began:.0f} s")
    console.print(Box("\n".join(_where(settings)), title="Where to look", title_align="left", expand=False))


def _show_shelves(settings: Settings) -> None:
    """What is proposed to be ordered, and what to look at."""
    pointer = Registry.of(settings).champion()
    if pointer is None:
        return
    with warehouse(settings) as url:
        engine = open_engine(url)
        try:
            kinds = count_alerts(engine, pointer.dataset)
            orders = list_orders(engine, pointer.dataset, status=OrderStatus.PROPOSED, limit=_MOST_ORDERS)
        finally:
            engine.dispose()
    lines, units = sum(o.line_count for o in orders), sum(o.units for o in orders)
    console.print(f"orders proposed: [bold]{len(orders)}[/] ({lines} lines, {units:,.0f} units); shelfops orders list")
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.items())
    console.print(f"stock alerts: [bold]{sum(kinds.values())}[/]" + (f" ({told})" if told else ""))


def _where(settings: Settings) -> list[str]:
    return [
        f"charts, metrics and card   {settings.reports / 'index.html'}",
        f"models                     {settings.models}",
        "graph, MLflow and API      shelfops up",
        "  then Dagster             http://localhost:3000",
        "       MLflow              http://localhost:5000",
        "       planner's page      http://localhost:8000/",
        "       API                 http://localhost:8000/docs",
    ]
