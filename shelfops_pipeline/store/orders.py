"""Purchase orders: read them, accept, reject and edit them. Whatever is done to one is in its events.

`store.propose` writes the proposals.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Select, case, func, insert, select, true, tuple_, update

from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.errors import DataError, ShelfOpsError
from shelfops_pipeline.store.alerts import mark_ordered
from shelfops_pipeline.store.replenishment_records import OrderEvent, OrderLine, PurchaseOrder
from shelfops_pipeline.store.replenishment_tables import (
    ORDER_ID,
    purchase_order_events,
    purchase_order_lines,
    purchase_orders,
)

table, lines = purchase_orders.c, purchase_order_lines.c
EDITED: Final = "edited"
MAX_QUANTITY: Final = 1e9
_DECIDED: Final = {OrderAction.ACCEPT: OrderStatus.ACCEPTED, OrderAction.REJECT: OrderStatus.REJECTED}
_LINE: Final = [column for column in purchase_order_lines.columns if column.name != ORDER_ID]


class UnknownOrderError(ShelfOpsError):
    """The retailer has no order of that id, or the order has no such line."""


class OrderStateError(ShelfOpsError):
    """The order was decided before, or withdrawn."""


class OrderChangedError(ShelfOpsError):
    """The order is not any more what the caller saw."""


def list_orders(
    engine: Engine,
    dataset: str,
    *,
    status: OrderStatus | None = None,
    supplier_id: str | None = None,
    order_date: date | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[PurchaseOrder]:
    """The orders that match, without their lines, those of the latest day first; `after` is the id last seen.

    Raises UnknownOrderError when there is no order `after`.
    """
    wanted = {"status": status, "supplier_id": supplier_id, "order_date": order_date}
    conditions = [table[name] == value for name, value in wanted.items() if value is not None]
    with engine.connect() as connection:
        if after is not None:
            place = select(table.order_date, table.order_id).where(*_this(dataset, after))
            seen = connection.execute(place).first()
            if seen is None:
                raise _unknown(dataset, after)
            conditions.append(tuple_(table.order_date, table.order_id) < tuple_(*seen))
        statement = _with_totals().where(table.dataset == dataset, *conditions)
        ordered = statement.order_by(table.order_date.desc(), table.order_id.desc()).limit(limit)
        return [PurchaseOrder(**row) for row in connection.execute(ordered).mappings()]


def read_order(engine: Engine, dataset: str, order_id: str) -> PurchaseOrder:
    """One order with its lines, by store and item, of one moment. Raises UnknownOrderError."""
    snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")  # two statements see the same
    with snapshot as connection:
        return _read(connection, dataset, order_id)


def decide_order(
    engine: Engine,
    dataset: str,
    order_id: str,
    *,
    action: OrderAction,
    who: str,
    note: str = "",
    seen: int | None = None,
) -> PurchaseOrder:
    """Accept or reject a proposed order; of two who decide at once the first one does, and the other is told.

    `seen` is the revision that the decision is about; None: whatever it is now. The alerts of what is accepted say so.
    Raises UnknownOrderError, OrderStateError when it is not proposed any more, and OrderChangedError.
    """
    status = _DECIDED[action]
    values = {"status": status.value, "decided_at": func.clock_timestamp(), "decided_by": who}
    with engine.begin() as connection:
        _lock_proposed(connection, dataset, order_id, seen)
        _update(connection, order_id, values)
        if action is OrderAction.ACCEPT:
            mark_ordered(connection, dataset, order_id)
        change = {"before": {"status": OrderStatus.PROPOSED.value}, "after": {"status": status.value}}
        _record(connection, order_id, who, status.value, note, change)
        return _read(connection, dataset, order_id)


def edit_line(
    engine: Engine,
    dataset: str,
    order_id: str,
    store_id: str,
    item_id: str,
    *,
    quantity: float,
    who: str,
    note: str = "",
    seen: int | None = None,
) -> PurchaseOrder:
    """Order another quantity (0: none) of one line of a proposed order, which no later plan changes from then on.

    `seen` is the revision that the change is about. Raises UnknownOrderError for an order or a line that is not there,
    OrderStateError when the order is not proposed any more, OrderChangedError, and DataError for a quantity that is
    none.
    """
    if not 0 <= quantity <= MAX_QUANTITY:
        raise DataError(f"a quantity is between 0 and {MAX_QUANTITY:,.0f}, not {quantity:g}")
    this = (lines.order_id == order_id, lines.store_id == store_id, lines.item_id == item_id)
    with engine.begin() as connection:
        _lock_proposed(connection, dataset, order_id, seen)
        before = connection.scalar(select(lines.quantity).where(*this))
        if before is None:
            raise UnknownOrderError(f"order {order_id} has no line for {item_id} in {store_id}")
        connection.execute(update(purchase_order_lines).where(*this).values(quantity=quantity))
        _update(connection, order_id, {"edited": True})
        change = {"before": {"quantity": before}, "after": {"quantity": float(quantity)}}
        _record(connection, order_id, who, EDITED, note, {**change, "store_id": store_id, "item_id": item_id})
        return _read(connection, dataset, order_id)


def order_events(engine: Engine, dataset: str, order_id: str) -> list[OrderEvent]:
    """What was done to an order, from the first proposal on. Raises UnknownOrderError."""
    events = purchase_order_events.c
    with engine.connect() as connection:
        if connection.execute(select(table.order_id).where(*_this(dataset, order_id))).first() is None:
            raise _unknown(dataset, order_id)
        found = select(purchase_order_events).where(events.order_id == order_id).order_by(events.event_id)
        return [OrderEvent(**row) for row in connection.execute(found).mappings()]


def _read(connection: Connection, dataset: str, order_id: str) -> PurchaseOrder:
    row = connection.execute(_with_totals().where(*_this(dataset, order_id))).mappings().first()
    if row is None:
        raise _unknown(dataset, order_id)
    of_order = select(*_LINE).where(lines.order_id == order_id).order_by(lines.store_id, lines.item_id)
    return PurchaseOrder(**row, lines=tuple(OrderLine(**line) for line in connection.execute(of_order).mappings()))


def _with_totals() -> Select[Any]:
    """Orders beside the sums of their lines."""
    ordered = lines.quantity > 0
    unknown = func.count().filter(ordered, lines.unit_cost.is_(None))
    cost = func.coalesce(func.sum(lines.quantity * lines.unit_cost), 0.0)
    totals = (
        select(
            func.count().filter(ordered).label("line_count"),
            func.coalesce(func.sum(lines.quantity), 0.0).label("units"),
            case((unknown == 0, cost)).label("cost"),
        )
        .where(lines.order_id == table.order_id)
        .lateral("totals")
    )
    return select(purchase_orders, totals).select_from(purchase_orders.join(totals, true()))


def _lock_proposed(connection: Connection, dataset: str, order_id: str, seen: int | None) -> None:
    """Nobody else decides or edits until this transaction ends."""
    statement = (
        select(table.status, table.decided_by, table.revision).where(*_this(dataset, order_id)).with_for_update()
    )
    found = connection.execute(statement).first()
    if found is None:
        raise _unknown(dataset, order_id)
    if found.status != OrderStatus.PROPOSED:
        by = f", by {found.decided_by}" if found.decided_by else ""
        raise OrderStateError(f"order {order_id} is {found.status} already{by}")
    if seen not in (None, found.revision):
        raise OrderChangedError(
            f"order {order_id} has changed since you saw it: revision {seen} is now {found.revision}; look at it again"
        )


def _update(connection: Connection, order_id: str, values: Mapping[str, Any]) -> None:
    changed = {**values, "updated_at": func.clock_timestamp(), "revision": table.revision + 1}
    connection.execute(update(purchase_orders).where(table.order_id == order_id).values(changed))


def _record(connection: Connection, order_id: str, who: str, action: str, note: str, change: Mapping[str, Any]) -> None:
    values = {ORDER_ID: order_id, "who": who, "action": action, "note": note, **change}
    connection.execute(insert(purchase_order_events).values(values))


def _this(dataset: str, order_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.dataset == dataset, table.order_id == order_id


def _unknown(dataset: str, order_id: str) -> UnknownOrderError:
    return UnknownOrderError(f"{dataset} has no order {order_id!r}")
