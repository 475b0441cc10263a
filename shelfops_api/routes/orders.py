"""Purchase orders: proposed by the plan, decided by people, with everything that was done to them on record."""

from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from shelfops_api.auth import Principal, Scope, require
from shelfops_api.deps import SettingsDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.operations import (
    After,
    Limit,
    NextField,
    Note,
    OrderId,
    Remark,
    SupplierFilter,
    Told,
    example,
    next_of,
)
from shelfops_api.schemas import SeriesId
from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.store import orders as store
from shelfops_pipeline.store.order_csv import order_csv as store_csv
from shelfops_pipeline.store.orders import MAX_QUANTITY

router = APIRouter(prefix="/v1/orders", tags=["orders"])

_READ = [Depends(require(Scope.READ))]
Operator = Annotated[Principal, Depends(require(Scope.OPERATE))]
_PROBLEMS: Final = documented(Code.INVALID_REQUEST, Code.UNKNOWN_ORDER, Code.WAREHOUSE_UNAVAILABLE)
_DECISIONS: Final = documented(Code.INVALID_REQUEST, Code.UNKNOWN_ORDER, Code.ORDER_STATE, Code.WAREHOUSE_UNAVAILABLE)
_CSV: Final = "text/csv"

_LINE: Final[dict[str, Any]] = {
    "store_id": "S01",
    "item_id": "I003",
    "quantity": 48.0,
    "proposed_quantity": 48.0,
    "unit_cost": 1.2,
    "delivery_date": "2026-01-08",
    "reason": "case_pack",
}
_ORDER: Final[dict[str, Any]] = {
    "order_id": "9b1d20aa41c74f6f8a0e",
    "supplier_id": "SUP1",
    "order_date": "2026-01-05",
    "release": "v2+v1",
    "status": "proposed",
    "edited": False,
    "proposed_at": "2026-01-05T03:20:11Z",
    "updated_at": "2026-01-05T03:20:11Z",
    "decided_at": None,
    "decided_by": None,
    "line_count": 1,
    "units": 48.0,
    "cost": 57.6,
}
_EVENT: Final[dict[str, Any]] = {
    "event_id": 17,
    "at": "2026-01-05T08:02:40Z",
    "who": "planner",
    "action": "edited",
    "note": "the shelf is narrow",
    "before": {"quantity": 60.0},
    "after": {"quantity": 48.0},
    "store_id": "S01",
    "item_id": "I003",
}


class OrderLine(Told):
    """What of one item goes to one store."""

    model_config = example(_LINE)

    store_id: str
    item_id: str
    quantity: float
    proposed_quantity: float = Field(description="As the plan proposed it, whatever people made of it")
    unit_cost: float | None
    delivery_date: date | None
    reason: str


class Order(Told):
    """What is ordered of one supplier on one day."""

    model_config = example(_ORDER)

    order_id: str
    supplier_id: str | None = Field(description="null: the items' supplier is not known")
    order_date: date
    release: str
    status: OrderStatus
    edited: bool
    proposed_at: datetime
    updated_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    line_count: int
    units: float
    cost: float | None = Field(description="null where the cost of a line is not known")


class OrderWithLines(Order):
    """One order with its lines, by store and item."""

    model_config = example(_ORDER | {"lines": [_LINE]})

    lines: list[OrderLine]


class OrderPage(Told):
    """Orders without their lines, those of the latest day first."""

    model_config = example({"orders": [_ORDER], "next": None})

    orders: list[Order]
    next: NextField


class OrderEvent(Told):
    """What somebody did to an order, or to one of its lines."""

    model_config = example(_EVENT)

    event_id: int
    at: datetime
    who: str
    action: str
    note: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    store_id: str | None
    item_id: str | None


class OrderEvents(Told):
    """Everything that was done to an order, from the first proposal on."""

    model_config = example({"events": [_EVENT]})

    events: list[OrderEvent]


class LineChange(BaseModel):
    """Another quantity of one line."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"store_id": "S01", "item_id": "I003", "quantity": 48, "note": "the shelf is narrow"}]
        },
    )

    store_id: SeriesId
    item_id: SeriesId
    quantity: float = Field(ge=0, le=MAX_QUANTITY, allow_inf_nan=False, strict=True, description="0: none of it")
    note: Note = ""


@router.get("", responses=_PROBLEMS, dependencies=_READ)
def list_orders(
    settings: SettingsDep,
    warehouse: WarehouseDep,
    status: Annotated[OrderStatus | None, Query(description="Default: all")] = None,
    supplier_id: SupplierFilter = None,
    order_date: date | None = None,
    after: After = None,
    limit: Limit = 100,
) -> OrderPage:
    """The orders that match, page by page."""
    found = store.list_orders(
        warehouse.engine(),
        settings.retailer,
        status=status,
        supplier_id=supplier_id,
        order_date=order_date,
        after=after,
        limit=limit,
    )
    return OrderPage(orders=[Order.model_validate(o) for o in found], next=next_of(found, limit, "order_id"))


@router.get("/{order_id}", responses=_PROBLEMS, dependencies=_READ)
def read_order(order_id: OrderId, settings: SettingsDep, warehouse: WarehouseDep) -> OrderWithLines:
    """One order with its lines."""
    return OrderWithLines.model_validate(store.read_order(warehouse.engine(), settings.retailer, order_id))


@router.get("/{order_id}/events", responses=_PROBLEMS, dependencies=_READ)
def order_events(order_id: OrderId, settings: SettingsDep, warehouse: WarehouseDep) -> OrderEvents:
    """Who did what to an order, and when."""
    events = store.order_events(warehouse.engine(), settings.retailer, order_id)
    return OrderEvents(events=[OrderEvent.model_validate(event) for event in events])


@router.get(
    "/{order_id}/csv",
    responses={**_PROBLEMS, 200: {"content": {_CSV: {"schema": {"type": "string"}}}}},
    response_class=Response,
    dependencies=_READ,
)
def order_csv(order_id: OrderId, settings: SettingsDep, warehouse: WarehouseDep) -> Response:
    """The lines of an order that order something, as a file for the supplier (RFC 4180)."""
    order = store.read_order(warehouse.engine(), settings.retailer, order_id)
    disposition = f'attachment; filename="order-{order.order_date}.csv"'
    return Response(store_csv([order]), media_type=_CSV, headers={"Content-Disposition": disposition})


@router.post("/{order_id}/accept", responses=_DECISIONS)
def accept(
    order_id: OrderId, settings: SettingsDep, warehouse: WarehouseDep, who: Operator, remark: Remark | None = None
) -> OrderWithLines:
    """Accept a proposed order as it is now."""
    return _decided(settings.retailer, warehouse, order_id, OrderAction.ACCEPT, who, remark)


@router.post("/{order_id}/reject", responses=_DECISIONS)
def reject(
    order_id: OrderId, settings: SettingsDep, warehouse: WarehouseDep, who: Operator, remark: Remark | None = None
) -> OrderWithLines:
    """Reject a proposed order."""
    return _decided(settings.retailer, warehouse, order_id, OrderAction.REJECT, who, remark)


@router.patch("/{order_id}/lines", responses=_DECISIONS)
def edit_line(
    order_id: OrderId, change: LineChange, settings: SettingsDep, warehouse: WarehouseDep, who: Operator
) -> OrderWithLines:
    """Order another quantity of one line of a proposed order; no later plan changes that order from then on."""
    order = store.edit_line(
        warehouse.engine(),
        settings.retailer,
        order_id,
        change.store_id,
        change.item_id,
        quantity=change.quantity,
        who=who.name,
        note=change.note,
    )
    return OrderWithLines.model_validate(order)


def _decided(
    retailer: str, warehouse: WarehouseDep, order_id: str, action: OrderAction, who: Principal, remark: Remark | None
) -> OrderWithLines:
    note = "" if remark is None else remark.note
    order = store.decide_order(warehouse.engine(), retailer, order_id, action=action, who=who.name, note=note)
    return OrderWithLines.model_validate(order)
