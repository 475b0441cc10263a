"""Purchase orders as the API tells them, and what may be asked of them."""

from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from shelfops_api.operations import NextField, Note, Told
from shelfops_api.schemas import SeriesId, example_of
from shelfops_pipeline.contracts.replenishment import OrderStatus
from shelfops_pipeline.store.orders import MAX_QUANTITY

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
    "planned_on": "2026-01-05",
    "revision": 1,
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

    model_config = example_of(_LINE)

    store_id: str
    item_id: str
    quantity: float
    proposed_quantity: float = Field(description="As the plan proposed it, whatever people made of it")
    unit_cost: float | None
    delivery_date: date | None
    reason: str


class Order(Told):
    """What is ordered of one supplier on one day."""

    model_config = example_of(_ORDER)

    order_id: str
    supplier_id: str | None = Field(description="null: the items' supplier is not known")
    order_date: date
    release: str
    planned_on: date = Field(description="The day of the plan that first asked for it")
    revision: int = Field(description="Goes up with every change; the `ETag` tells it")
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

    model_config = example_of(_ORDER | {"lines": [_LINE]})

    lines: list[OrderLine]


class OrderPage(Told):
    """Orders without their lines, those of the latest day first."""

    model_config = example_of({"orders": [_ORDER], "next": None})

    orders: list[Order]
    next: NextField


class OrderEvent(Told):
    """What somebody did to an order, or to one of its lines."""

    model_config = example_of(_EVENT)

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

    model_config = example_of({"events": [_EVENT]})

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
