"""Requests for retraining, which the API writes and a sensor turns into runs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _moment(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True))


def upgrade() -> None:
    op.create_table(
        "retrain_requests",
        *(_id(name) for name in ("request_id", "dataset", "idempotency_key")),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("status", sa.String(16), nullable=False, server_default="waiting"),
        _moment("claimed_at"),
        sa.Column("run_id", sa.Text),
        _moment("started_at"),
        _moment("finished_at"),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("ix_retrain_requests_key", "retrain_requests", ["dataset", "idempotency_key"], unique=True)
    op.create_index("ix_retrain_requests_status", "retrain_requests", ["dataset", "status"])


def downgrade() -> None:
    op.drop_table("retrain_requests")
