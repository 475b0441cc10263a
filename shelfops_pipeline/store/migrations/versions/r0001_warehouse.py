"""The warehouse's first tables; forecasts become a TimescaleDB hypertable where that extension can be had.

Columns are spelled out, not taken from `store.tables`: a revision must not change when the tables do.
"""

import logging

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

log = logging.getLogger(__name__)


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _text(name: str, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=nullable)


def _json(name: str) -> "sa.Column[object]":
    return sa.Column(name, JSONB, nullable=False)


def _now(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    _create_published()
    _create_alerts()
    _create_quarantine()
    _make_hypertable()


def downgrade() -> None:
    for table in (
        "quarantined_transactions",
        "stock_alerts",
        "online_features",
        "demand_forecasts",
        "releases",
    ):
        op.drop_table(table)


def _create_published() -> None:
    op.create_table(
        "releases",
        _id("release"),
        _text("champion_version"),
        _text("cold_start_version", nullable=True),
        _text("dataset"),
        _now("published_at"),
        _json("manifest"),
        sa.PrimaryKeyConstraint("release"),
    )
    op.create_index("ix_releases_dataset_published_at", "releases", ["dataset", "published_at"])
    key = ("release", "store_id", "item_id")
    numbers = ("mean", "point", "q05", "q25", "q50", "q75", "q95")
    op.create_table(
        "demand_forecasts",
        *(_id(name) for name in key),
        sa.Column("date", sa.Date, nullable=False),
        _text("model_version"),
        *(sa.Column(name, sa.REAL, nullable=False) for name in numbers),
        sa.PrimaryKeyConstraint(*key, "date"),
    )
    op.create_table(
        "online_features",
        *(_id(name) for name in key),
        _text("model_version"),
        sa.Column("origin", sa.Date, nullable=False),
        sa.Column(
            "payload",
            sa.LargeBinary,
            nullable=False,
            comment="float32, little-endian; laid out as the manifest says",
        ),
        sa.PrimaryKeyConstraint(*key),
    )
    # Packed floats do not compress; trying costs time on every write.
    op.execute("ALTER TABLE online_features ALTER COLUMN payload SET STORAGE EXTERNAL")


def _create_alerts() -> None:
    op.create_table(
        "stock_alerts",
        _id("alert_id"),
        _id("release"),
        _id("store_id"),
        _id("item_id"),
        _text("kind"),
        _text("severity"),
        _text("message"),
        _json("details"),
        _now("raised_at"),
        sa.Column("status", sa.String(16), nullable=False, server_default="open"),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    op.create_index("ix_stock_alerts_release_status", "stock_alerts", ["release", "status"])


def _create_quarantine() -> None:
    op.create_table(
        "quarantined_transactions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True)),
        _text("dataset"),
        _text("partition_key"),
        _text("source"),
        sa.Column("line", sa.BigInteger),
        _text("reason"),
        _json("row"),
        _now("quarantined_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_quarantined_transactions_partition",
        "quarantined_transactions",
        ["dataset", "partition_key"],
    )


def _make_hypertable() -> None:
    """Partition forecasts by time where TimescaleDB can be had; plain tables serve otherwise."""
    connection = op.get_bind()
    offered = connection.scalar(sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"))
    if offered is None:
        return
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
            connection.execute(
                sa.text(
                    "SELECT create_hypertable('demand_forecasts', 'date', chunk_time_interval => INTERVAL '28 days')"
                )
            )
    except DBAPIError as error:
        log.warning("TimescaleDB is offered but cannot be used; demand_forecasts stays a plain table: %s", error.orig)
