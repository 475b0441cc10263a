"""What `shelfops orders` does, behind `cli.orders`."""

import re
from datetime import date
from pathlib import Path
from typing import Any, Final

from rich.markup import escape
from rich.table import Column, Table
from sqlalchemy import Engine

from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.console import console
from shelfops_pipeline.services.warehouse import actor, retailer, warehouse_engine
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store import orders as store
from shelfops_pipeline.store.order_csv import order_csv
from shelfops_pipeline.store.reorder import planned_series
from shelfops_pipeline.store.replenishment_records import OrderEvent, PurchaseOrder

_MOST: Final = 10_000  # orders of one day


def list_orders(settings: Settings, status: OrderStatus | None, supplier: str | None, day: date | None) -> None:
    """`shelfops orders list`."""
    with warehouse_engine(settings) as engine:
        found = store.list_orders(
            engine, retailer(settings), status=status, supplier_id=supplier, order_date=day, limit=200
        )
        if not found:
            raise ShelfOpsError(_why_none(engine, asked=any(wanted is not None for wanted in (status, supplier, day))))
    others = (Column(name, no_wrap=True) for name in ("for", "status", "lines", "units", "cost"))
    table = Table(Column("order", overflow="fold"), Column("supplier", overflow="fold"), *others, header_style="bold")
    for order in found:
        told = f"{order.status}{', edited' if order.edited and order.status == OrderStatus.PROPOSED else ''}"
        sums = (str(order.line_count), f"{order.units:,.0f}", _money(order.cost))
        table.add_row(order.order_id, _supplier(order), str(order.order_date), told, *sums)
    console.print(table)


def _why_none(engine: Engine, *, asked: bool) -> str:
    """Why the list is empty; `asked`: for some orders only."""
    series, counted = planned_series(engine)
    if not series:
        return "no orders: they are proposed with every forecast that is published, as `shelfops train` does"
    if not counted:
        return (
            f"no orders: of none of the {series:,} series is the stock known; map `inventory` with counts of these days"
        )
    return "no such order" if asked else f"no orders: none of the {counted:,} series with known stock needs any"


def show_order(settings: Settings, order_id: str) -> None:
    """`shelfops orders show`: what is ordered, why, and what was done to it."""
    with warehouse_engine(settings) as engine:
        order = store.read_order(engine, retailer(settings), order_id)
        events = store.order_events(engine, retailer(settings), order_id)
    _tell(order)
    lines = Table("store", "item", "quantity", "proposed", "unit cost", "arrives", "reason", header_style="bold")
    for line in order.lines:
        numbers = (f"{line.quantity:g}", f"{line.proposed_quantity:g}", _money(line.unit_cost))
        told = (str(line.delivery_date or "–"), line.reason.replace("_", " "))
        lines.add_row(escape(line.store_id), escape(line.item_id), *numbers, *told)
    console.print(lines)
    history = Table("when", "who", "what", "note", title="history", title_justify="left", header_style="bold")
    for event in events:
        history.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", escape(event.who), escape(_what(event)), escape(event.note))
    console.print(history)


def decide_order(settings: Settings, order_id: str, action: OrderAction, note: str, seen: int | None) -> None:
    """`shelfops orders accept` and `reject`."""
    with warehouse_engine(settings) as engine:
        who = actor(settings)
        _tell(store.decide_order(engine, retailer(settings), order_id, action=action, who=who, note=note, seen=seen))


def edit_line(
    settings: Settings, order_id: str, store_id: str, item_id: str, quantity: float, note: str, seen: int | None
) -> None:
    """`shelfops orders edit`."""
    with warehouse_engine(settings) as engine:
        this = (retailer(settings), order_id, store_id, item_id)
        _tell(store.edit_line(engine, *this, quantity=quantity, who=actor(settings), note=note, seen=seen))


def export_order(settings: Settings, order_id: str, out: Path | None) -> None:
    """`shelfops orders export ORDER`: one file, or standard output."""
    with warehouse_engine(settings) as engine:
        text = order_csv([store.read_order(engine, retailer(settings), order_id)])
    if out is None:
        console.file.write(text)
    else:
        _write(out, text)


def export_day(settings: Settings, day: date, status: OrderStatus, out: Path) -> None:
    """`shelfops orders export --day`: one file per supplier in a directory."""
    with warehouse_engine(settings) as engine:
        name = retailer(settings)
        heads = store.list_orders(engine, name, status=status, order_date=day, limit=_MOST)
        found = [store.read_order(engine, name, head.order_id) for head in heads]
    if not found:
        raise ShelfOpsError(f"no order for {day} is {status}; see `shelfops orders list --day {day}`")
    for number, supplier in enumerate(sorted({order.supplier_id or "" for order in found}), 1):
        file = f"orders_{day}_{number:03}_{_file_name(supplier)}.csv"
        _write(out / file, order_csv(order for order in found if (order.supplier_id or "") == supplier))


def _tell(order: PurchaseOrder) -> None:
    by = f" by {order.decided_by}" if order.decided_by else ""
    sums = f"{order.line_count} lines, {order.units:,.0f} units, cost {_money(order.cost)}; revision {order.revision}"
    console.print(
        f"[bold]{order.order_id}[/] is {order.status}{escape(by)}: {_supplier(order)}, {order.order_date}, {sums}"
    )


def _what(event: OrderEvent) -> str:
    where = f" {event.item_id} in {event.store_id}:" if event.item_id else ""
    told: list[Any] = [", ".join(f"{k} {v}" for k, v in (side or {}).items()) for side in (event.before, event.after)]
    return f"{event.action}{where} {' → '.join(filter(None, told))}"


def _supplier(order: PurchaseOrder) -> str:
    return "unknown supplier" if order.supplier_id is None else escape(order.supplier_id)


def _money(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _file_name(supplier: str) -> str:
    """Letters, digits and - of a supplier's id: it must not lead out of the directory."""
    return re.sub(r"[^\w-]+", "_", supplier)[:60] or "unknown"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ShelfOpsError(f"cannot write {path}: {error.strerror}") from error
    console.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
