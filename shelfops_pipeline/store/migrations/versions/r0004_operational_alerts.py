"""Operational alerts: failed runs, one open alert per job and cause."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _moment(name: str, *, known: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not known)


def upgrade() -> None:
    op.create_table(
        "operational_alerts",
        sa.Column("alert_id", sa.BigInteger, sa.Identity(always=True)),
        *(_id(name) for name in ("dataset", "job", "cause")),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("occurrences", sa.BigInteger, nullable=False, server_default="1"),
        _moment("raised_at", known=True),
        _moment("last_at", known=True),
        _moment("resolved_at"),
        sa.Column("resolved_by", sa.Text),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    op.create_index(
        "ix_operational_alerts_open",
        "operational_alerts",
        ["dataset", "job", "cause"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("operational_alerts")
