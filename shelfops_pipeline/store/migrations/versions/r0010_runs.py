"""Runs of the pipeline that ended: what became of them, when, and how long they took."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pipeline_runs",
        *(sa.Column(name, sa.Text(collation="C"), nullable=False) for name in ("run_id", "dataset", "job")),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("ix_pipeline_runs_latest", "pipeline_runs", ["dataset", "job", "status", "ended_at"])


def downgrade() -> None:
    op.drop_table("pipeline_runs")
