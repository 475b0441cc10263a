"""Decisions on what was seen: orders have revisions and the day of their plan, plans say what was counted when, and an
alert says since when its stock is not known. Orders of before count as planned on their own day."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stock_alerts", sa.Column("unknown_since", sa.DateTime(timezone=True)))
    op.add_column("reorder_plan", sa.Column("accepted", sa.Double))
    op.add_column("reorder_plan", sa.Column("counted_on", sa.Date))
    op.add_column("purchase_orders", sa.Column("revision", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.add_column("purchase_orders", sa.Column("planned_on", sa.Date))
    op.execute("UPDATE purchase_orders SET planned_on = order_date")
    op.alter_column("purchase_orders", "planned_on", nullable=False)


def downgrade() -> None:
    for table, column in (
        *(("purchase_orders", "planned_on"), ("purchase_orders", "revision")),
        *(("reorder_plan", "counted_on"), ("reorder_plan", "accepted")),
        ("stock_alerts", "unknown_since"),
    ):
        op.drop_column(table, column)
