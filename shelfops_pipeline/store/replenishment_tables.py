"""The tables of replenishment: what to order, who decided what about it, and what is wrong with the stock.

The plan belongs to a release, as forecasts do. Alerts, orders and flags belong to the retailer and outlive releases.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shelfops_pipeline.contracts.columns import ITEM_ID, KIND, ON_HAND, ON_ORDER, QUANTITY, REASON, STORE_ID
from shelfops_pipeline.contracts.replenishment import AlertStatus, OrderStatus
from shelfops_pipeline.store.tables import DATASET, RELEASE, SUPPLIER_ID, metadata

ORDER_ID: Final = "order_id"
LIKE_ITEM: Final = "like_item"
ORDER_DATE: Final = "order_date"
DELIVERY_DATE: Final = "delivery_date"
UNIT_COST: Final = "unit_cost"
COUNTED_ON: Final = "counted_on"
"""The day at the end of which the stock was counted."""
ACCEPTED: Final = "accepted"
"""Units in orders that people have accepted and that count does not know of; part of what is on order."""
PLAN_NUMBERS: Final = (
    "demand",
    "deviation",
    "safety_stock",
    "service_level",
    "reorder_point",
    "order_up_to",
    ON_HAND,
    ON_ORDER,
    ACCEPTED,
    QUANTITY,
    "unconstrained_quantity",
    "days_of_supply",
    "stockout_probability",
    "stockout_date_probability",
    "overstock_units",
    "protection_days",
    UNIT_COST,
)
PLAN_DATES: Final = ("stockout_date", ORDER_DATE, DELIVERY_DATE, COUNTED_ON)
EVERY_STORE: Final = ""
"""In the key of a flag: it holds for the item wherever no flag of a store says otherwise."""


def _id(name: str, *, known: bool = True) -> "Column[str]":
    return Column(name, Text(collation="C"), nullable=not known)


def _moment(name: str, *, known: bool = False) -> "Column[object]":
    return Column(name, DateTime(timezone=True), nullable=not known)


def _now(name: str) -> "Column[object]":
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _change() -> "list[Column[object]]":
    """Who did what when, and what it was before and after."""
    texts: list[Column[object]] = [Column(name, Text, nullable=False) for name in ("who", "action", "note")]
    states: list[Column[object]] = [Column(name, JSONB(none_as_null=True)) for name in ("before", "after")]
    return [_now("at"), *texts, *states]


stock_alerts = Table(
    "stock_alerts",
    metadata,
    _id("alert_id"),
    _id(DATASET),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(KIND, Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("status", String(16), nullable=False, server_default=AlertStatus.OPEN.value),
    _id("raised_release"),
    Column(RELEASE, Text(collation="C"), nullable=False, comment="the last one in which the alert was found anew"),
    _now("raised_at"),
    _now("updated_at"),
    _moment("acknowledged_at"),
    Column("acknowledged_by", Text),
    _moment("resolved_at"),
    Column("resolved_by", Text),
    Column("note", Text),
    _moment("cause_gone_at"),
    _moment("unknown_since"),
    PrimaryKeyConstraint("alert_id"),
    Index(
        "ix_stock_alerts_unresolved",
        DATASET,
        STORE_ID,
        ITEM_ID,
        KIND,
        unique=True,
        postgresql_where=text("status <> 'resolved'"),
    ),
    Index("ix_stock_alerts_status", DATASET, "status", "raised_at"),
)

reorder_plan = Table(
    "reorder_plan",
    metadata,
    _id(RELEASE),
    _id(STORE_ID),
    _id(ITEM_ID),
    _id(SUPPLIER_ID, known=False),
    *(Column(name, Double) for name in PLAN_NUMBERS),
    *(Column(name, Date) for name in PLAN_DATES),
    Column(REASON, Text, nullable=False),
    _id(LIKE_ITEM, known=False),
    PrimaryKeyConstraint(RELEASE, STORE_ID, ITEM_ID),
)

purchase_orders = Table(
    "purchase_orders",
    metadata,
    _id(ORDER_ID),
    _id(DATASET),
    _id(SUPPLIER_ID, known=False),
    Column(ORDER_DATE, Date, nullable=False),
    Column(RELEASE, Text, nullable=False),
    Column("planned_on", Date, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("status", String(16), nullable=False, server_default=OrderStatus.PROPOSED.value),
    Column("edited", Boolean, nullable=False, server_default=text("false")),
    _now("proposed_at"),
    _now("updated_at"),
    _moment("decided_at"),
    Column("decided_by", Text),
    PrimaryKeyConstraint(ORDER_ID),
    Index("ix_purchase_orders_date", DATASET, ORDER_DATE, ORDER_ID),
)

purchase_order_lines = Table(
    "purchase_order_lines",
    metadata,
    Column(ORDER_ID, Text(collation="C"), ForeignKey("purchase_orders.order_id", ondelete="CASCADE"), nullable=False),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(QUANTITY, Double, nullable=False),
    Column("proposed_quantity", Double, nullable=False),
    Column(UNIT_COST, Double),
    Column(DELIVERY_DATE, Date),
    Column(REASON, Text, nullable=False),
    PrimaryKeyConstraint(ORDER_ID, STORE_ID, ITEM_ID),
)

# Append-only: a trigger refuses updates, and rows go only together with their order.
purchase_order_events = Table(
    "purchase_order_events",
    metadata,
    Column("event_id", BigInteger, Identity(always=True)),
    Column(ORDER_ID, Text(collation="C"), ForeignKey("purchase_orders.order_id", ondelete="CASCADE"), nullable=False),
    *_change(),
    _id(STORE_ID, known=False),
    _id(ITEM_ID, known=False),
    PrimaryKeyConstraint("event_id"),
    Index("ix_purchase_order_events_order", ORDER_ID, "event_id"),
)

item_flags = Table(
    "item_flags",
    metadata,
    _id(DATASET),
    _id(ITEM_ID),
    Column(STORE_ID, Text(collation="C"), nullable=False, comment="empty: every store"),
    Column("discontinued", Boolean),
    _id(LIKE_ITEM, known=False),
    Column("note", Text, nullable=False),
    _now("set_at"),
    Column("set_by", Text, nullable=False),
    PrimaryKeyConstraint(DATASET, ITEM_ID, STORE_ID),
)

item_flag_events = Table(
    "item_flag_events",
    metadata,
    Column("event_id", BigInteger, Identity(always=True)),
    _id(DATASET),
    _id(ITEM_ID),
    _id(STORE_ID),
    *_change(),
    PrimaryKeyConstraint("event_id"),
    Index("ix_item_flag_events_item", DATASET, ITEM_ID, "event_id"),
)
