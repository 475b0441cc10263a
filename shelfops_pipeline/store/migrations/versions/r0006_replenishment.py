"""Replenishment: alerts with a life of their own, the reorder plan, purchase orders and flags with an audit trail.

Alerts belonged to a release. Those of a retailer's latest release go on; those of earlier ones become history; those of
a release that is gone cannot be told apart by retailer and are dropped.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NUMBERS = (
    *("demand", "deviation", "safety_stock", "service_level", "reorder_point", "order_up_to"),
    *("on_hand", "on_order", "quantity", "unconstrained_quantity", "days_of_supply", "stockout_probability"),
    *("stockout_date_probability", "overstock_units", "protection_days", "unit_cost"),
)


def _id(name: str, *, known: bool = True) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(collation="C"), nullable=not known)


def _text(name: str, *, known: bool = True) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=not known)


def _now(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def _moment(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True))


def _event() -> "sa.Column[int]":
    return sa.Column("event_id", sa.BigInteger, sa.Identity(always=True))


def _change() -> "list[sa.Column[object]]":
    texts: list[sa.Column[object]] = [sa.Column(name, sa.Text, nullable=False) for name in ("who", "action", "note")]
    states: list[sa.Column[object]] = [sa.Column(name, JSONB) for name in ("before", "after")]
    return [_now("at"), *texts, *states]


def _of_order() -> "sa.Column[str]":
    key = sa.ForeignKey("purchase_orders.order_id", ondelete="CASCADE")
    return sa.Column("order_id", sa.Text(collation="C"), key, nullable=False)


def upgrade() -> None:
    _let_alerts_live_on()
    _create_plan()
    _create_orders()
    _create_flags()
    _refuse_updates()


def downgrade() -> None:
    for table in (
        *("item_flag_events", "item_flags", "purchase_order_events", "purchase_order_lines", "purchase_orders"),
        "reorder_plan",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION shelfops_refuse_update")
    op.execute("DELETE FROM stock_alerts WHERE status = 'resolved'")
    op.drop_index("ix_stock_alerts_status", "stock_alerts")
    op.drop_index("ix_stock_alerts_unresolved", "stock_alerts")
    for column in (
        *("dataset", "raised_release", "updated_at", "acknowledged_at", "acknowledged_by"),
        *("resolved_at", "resolved_by", "note", "cause_gone_at"),
    ):
        op.drop_column("stock_alerts", column)
    op.alter_column("stock_alerts", "release", comment=None)
    op.create_index("ix_stock_alerts_release_status", "stock_alerts", ["release", "status"])


def _let_alerts_live_on() -> None:
    op.drop_index("ix_stock_alerts_release_status", "stock_alerts")
    for column in (
        *(_id("dataset", known=False), _id("raised_release", known=False), _now("updated_at")),
        *(_moment("acknowledged_at"), _text("acknowledged_by", known=False)),
        *(_moment("resolved_at"), _text("resolved_by", known=False), _text("note", known=False)),
        _moment("cause_gone_at"),
    ):
        op.add_column("stock_alerts", column)
    op.alter_column("stock_alerts", "release", comment="the last one in which the alert was found anew")
    op.execute("""
        UPDATE stock_alerts AS a SET dataset = r.dataset, raised_release = a.release, updated_at = a.raised_at
        FROM releases AS r WHERE r.release = a.release
    """)
    op.execute("DELETE FROM stock_alerts WHERE dataset IS NULL")
    op.execute("""
        UPDATE stock_alerts AS a SET status = 'resolved', resolved_at = now(), cause_gone_at = now(),
            resolved_by = 'shelfops', note = 'of an earlier release'
        WHERE a.release <> (
            SELECT r.release FROM releases AS r WHERE r.dataset = a.dataset
            ORDER BY r.published_at DESC, r.release DESC LIMIT 1
        )
    """)
    for name in ("dataset", "raised_release"):
        op.alter_column("stock_alerts", name, nullable=False)
    op.create_index(
        "ix_stock_alerts_unresolved",
        "stock_alerts",
        ["dataset", "store_id", "item_id", "kind"],
        unique=True,
        postgresql_where=sa.text("status <> 'resolved'"),
    )
    op.create_index("ix_stock_alerts_status", "stock_alerts", ["dataset", "status", "raised_at"])


def _create_plan() -> None:
    op.create_table(
        "reorder_plan",
        *(_id(name) for name in ("release", "store_id", "item_id")),
        _id("supplier_id", known=False),
        *(sa.Column(name, sa.Double) for name in _NUMBERS),
        *(sa.Column(name, sa.Date) for name in ("stockout_date", "order_date", "delivery_date")),
        _text("reason"),
        _id("like_item", known=False),
        sa.PrimaryKeyConstraint("release", "store_id", "item_id"),
    )


def _create_orders() -> None:
    op.create_table(
        "purchase_orders",
        *(_id("order_id"), _id("dataset"), _id("supplier_id", known=False)),
        sa.Column("order_date", sa.Date, nullable=False),
        _text("release"),
        sa.Column("status", sa.String(16), nullable=False, server_default="proposed"),
        sa.Column("edited", sa.Boolean, nullable=False, server_default=sa.text("false")),
        *(_now("proposed_at"), _now("updated_at"), _moment("decided_at"), _text("decided_by", known=False)),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("ix_purchase_orders_date", "purchase_orders", ["dataset", "order_date", "order_id"])
    op.create_table(
        "purchase_order_lines",
        *(_of_order(), _id("store_id"), _id("item_id")),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("quantity", "proposed_quantity")),
        sa.Column("unit_cost", sa.Double),
        sa.Column("delivery_date", sa.Date),
        _text("reason"),
        sa.PrimaryKeyConstraint("order_id", "store_id", "item_id"),
    )
    op.create_table(
        "purchase_order_events",
        _event(),
        _of_order(),
        *_change(),
        *(_id("store_id", known=False), _id("item_id", known=False)),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_purchase_order_events_order", "purchase_order_events", ["order_id", "event_id"])


def _create_flags() -> None:
    op.create_table(
        "item_flags",
        *(_id("dataset"), _id("item_id")),
        sa.Column("store_id", sa.Text(collation="C"), nullable=False, comment="empty: every store"),
        sa.Column("discontinued", sa.Boolean),
        *(_id("like_item", known=False), _text("note"), _now("set_at"), _text("set_by")),
        sa.PrimaryKeyConstraint("dataset", "item_id", "store_id"),
    )
    op.create_table(
        "item_flag_events",
        _event(),
        *(_id("dataset"), _id("item_id"), _id("store_id")),
        *_change(),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_item_flag_events_item", "item_flag_events", ["dataset", "item_id", "event_id"])


def _refuse_updates() -> None:
    """An audit trail that can be rewritten is none."""
    op.execute("""
        CREATE FUNCTION shelfops_refuse_update() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$
    """)
    for table in ("purchase_order_events", "item_flag_events"):
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE ON {table}
            FOR EACH ROW EXECUTE FUNCTION shelfops_refuse_update()
        """)
