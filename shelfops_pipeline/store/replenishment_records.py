"""What the warehouse returns and takes of replenishment: plain values, no database objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Alert:
    """Something about one series' stock that a planner should see. One per (store, item, kind)."""

    store_id: str
    item_id: str
    kind: str
    severity: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StockAlert:
    """An alert as stored, with what became of it.

    `release` is the last one in which it was found anew. `cause_gone_at` is None while the cause lasts: a person may
    resolve an alert before that, and hears no more of it until the cause comes again or gets worse. `unknown_since` is
    when a plan first could not judge it, because the stock is not known; None: the last plan could.
    """

    alert_id: str
    dataset: str
    store_id: str
    item_id: str
    kind: str
    severity: str
    message: str
    details: Mapping[str, Any]
    status: str
    raised_release: str
    release: str
    raised_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    note: str | None = None
    cause_gone_at: datetime | None = None
    unknown_since: datetime | None = None


@dataclass(frozen=True)
class PlanLine:
    """What one series needs, as a release's plan says it. None: unknown, such as the quantity without inventory."""

    store_id: str
    item_id: str
    supplier_id: str | None
    demand: float | None
    deviation: float | None
    safety_stock: float | None
    service_level: float | None
    reorder_point: float | None
    order_up_to: float | None
    on_hand: float | None
    on_order: float | None
    accepted: float | None
    quantity: float | None
    unconstrained_quantity: float | None
    days_of_supply: float | None
    stockout_probability: float | None
    stockout_date_probability: float | None
    overstock_units: float | None
    protection_days: float | None
    unit_cost: float | None
    stockout_date: date | None
    order_date: date | None
    delivery_date: date | None
    counted_on: date | None
    reason: str
    like_item: str | None


@dataclass(frozen=True)
class OrderLine:
    """What of one item goes to one store. `proposed_quantity` stays when a person changes `quantity`."""

    store_id: str
    item_id: str
    quantity: float
    proposed_quantity: float
    unit_cost: float | None
    delivery_date: date | None
    reason: str


@dataclass(frozen=True)
class PurchaseOrder:
    """What is ordered from one supplier (None: unknown) on one day.

    `cost` is None where the cost of a line is unknown. `lines` is filled when one order is read, not in lists.
    `planned_on` is the day of the plan that first asked for it; `revision` goes up with every change.
    """

    order_id: str
    dataset: str
    supplier_id: str | None
    order_date: date
    release: str
    planned_on: date
    revision: int
    status: str
    edited: bool
    proposed_at: datetime
    updated_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    line_count: int
    units: float
    cost: float | None
    lines: tuple[OrderLine, ...] = ()


@dataclass(frozen=True)
class OrderEvent:
    """What somebody did to an order, or to one of its lines."""

    event_id: int
    order_id: str
    at: datetime
    who: str
    action: str
    note: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    store_id: str | None
    item_id: str | None


@dataclass(frozen=True)
class ItemFlag:
    """What a person knows of an item, in one store or (store_id None) in all. None: not said here."""

    dataset: str
    item_id: str
    store_id: str | None
    discontinued: bool | None
    like_item: str | None
    note: str
    set_at: datetime
    set_by: str


@dataclass(frozen=True)
class FlagEvent:
    """A flag that was set or cleared."""

    event_id: int
    dataset: str
    item_id: str
    store_id: str | None
    at: datetime
    who: str
    action: str
    note: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
