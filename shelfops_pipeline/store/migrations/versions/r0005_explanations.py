"""Why: explanations of served forecasts, keyed by release like the forecasts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = ("release", "store_id", "item_id")
    op.create_table(
        "forecast_explanations",
        *(sa.Column(name, sa.Text(collation="C"), nullable=False) for name in key),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("periods", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("model_version", "member")),
        sa.Column("start", sa.REAL),
        sa.Column("prediction", sa.REAL, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("reasons", JSONB, nullable=False),
        sa.PrimaryKeyConstraint(*key, "date", "periods"),
    )


def downgrade() -> None:
    op.drop_table("forecast_explanations")
