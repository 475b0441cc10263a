"""`shelfops orders`: what is proposed to be ordered, and what becomes of it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Dataset, configure
from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus

orders = typer.Typer(
    no_args_is_help=True, help="Purchase orders: list, show, accept, reject, edit, export. See docs/orders.md."
)

Order = Annotated[str, typer.Argument(metavar="ORDER", help="An order's id, as `list` prints it")]
Day = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Only orders for that day")]
Note = Annotated[str, typer.Option(help="Why; kept on record with your name and the time")]
Seen = Annotated[
    int | None, typer.Option("--revision", help="As `show` prints it: refused if the order has changed since")
]


@orders.command("list", epilog="Example: shelfops orders list --status proposed")
def orders_list(
    dataset: Dataset = "simulated",
    status: Annotated[OrderStatus | None, typer.Option(help="Only orders that stand so")] = None,
    supplier: Annotated[str | None, typer.Option(help="Only orders from that supplier")] = None,
    day: Day = None,
) -> None:
    """The latest 200 orders, those of the latest day first."""
    from shelfops_pipeline.services.orders import list_orders

    list_orders(configure(dataset, None), status, supplier, day and day.date())


@orders.command("show")
def orders_show(order: Order, dataset: Dataset = "simulated") -> None:
    """One order: its lines, why each is ordered, and what was done to it by whom."""
    from shelfops_pipeline.services.orders import show_order

    show_order(configure(dataset, None), order)


@orders.command("accept")
def orders_accept(order: Order, dataset: Dataset = "simulated", note: Note = "", revision: Seen = None) -> None:
    """Place an order as it is: no later plan changes it or orders the same again."""
    _decide(order, dataset, OrderAction.ACCEPT, note, revision)


@orders.command("reject")
def orders_reject(order: Order, dataset: Dataset = "simulated", note: Note = "", revision: Seen = None) -> None:
    """Do not place an order; its items are not proposed again for that day."""
    _decide(order, dataset, OrderAction.REJECT, note, revision)


@orders.command("edit", epilog="Example: shelfops orders edit ORDER S001 I0042 24 --note 'local festival'")
def orders_edit(
    order: Order,
    store: str,
    item: str,
    quantity: Annotated[float, typer.Argument(min=0, help="Units; 0 orders none")],
    dataset: Dataset = "simulated",
    note: Note = "",
    revision: Seen = None,
) -> None:
    """Order another quantity of one item for one store; from then on no later plan changes the order."""
    from shelfops_pipeline.services.orders import edit_line

    edit_line(configure(dataset, None), order, store, item, quantity, note, revision)


@orders.command(
    "export",
    epilog="Examples: shelfops orders export ORDER --out order.csv    ·    "
    "shelfops orders export --day 2026-01-02 --out orders/",
)
def orders_export(
    order: Annotated[str | None, typer.Argument(metavar="ORDER", help="One order")] = None,
    dataset: Dataset = "simulated",
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="All orders for that day, a file per supplier"),
    ] = None,
    status: Annotated[OrderStatus, typer.Option(help="With --day: orders that stand so")] = OrderStatus.ACCEPTED,
    out: Annotated[
        Path | None, typer.Option("--out", help="File (default: standard output); a directory with --day")
    ] = None,
) -> None:
    """CSV of what is to be ordered, safe to open in a spreadsheet."""
    if (order is None) == (day is None):
        raise typer.BadParameter("name an order, or give --day for all of a day")
    from shelfops_pipeline.services.orders import export_day, export_order

    settings = configure(dataset, None)
    if order is not None:
        export_order(settings, order, out)
    elif day is not None:
        export_day(settings, day.date(), status, out or Path())


def _decide(order: str, dataset: str, action: OrderAction, note: str, revision: int | None) -> None:
    from shelfops_pipeline.services.orders import decide_order

    decide_order(configure(dataset, None), order, action, note, revision)
