"""Totals of forecasts by store and category, with intervals of their own, keyed by release like the forecasts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = ("release", "level", "store_id", "category")
    op.create_table(
        "forecast_totals",
        *(sa.Column(name, sa.Text(collation="C"), nullable=False) for name in key),
        sa.Column("date", sa.Date, nullable=False),
        *(sa.Column(name, sa.REAL, nullable=False) for name in ("mean", "q05", "q25", "q50", "q75", "q95")),
        sa.PrimaryKeyConstraint(*key, "date"),
    )


def downgrade() -> None:
    op.drop_table("forecast_totals")
