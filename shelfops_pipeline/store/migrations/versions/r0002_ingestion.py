"""What ingestion writes: transactions and inventory by time, reference tables, a record per period, releases.

Where TimescaleDB is installed, the two large tables are hypertables; elsewhere they are partitioned natively by range,
and `store.partitions` makes the months when they are first written to.
"""

import logging
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

log = logging.getLogger(__name__)


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _text(name: str, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=nullable)


def _double(name: str, nullable: bool = True) -> "sa.Column[float]":
    return sa.Column(name, sa.Double, nullable=nullable)


def _now(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    timescale = _has_timescale()
    _create_transactions(timescale)
    _create_inventory(timescale)
    _create_reference()
    _create_periods()
    _identify_quarantine()
    if timescale:
        # Few rows per series and month: segments by store are full, those by series would be nearly empty.
        _compress("transactions", "dataset, store_id", "item_id, period")
        _compress("inventory", "dataset, store_id", "item_id, date")


def downgrade() -> None:
    op.drop_table("quarantine_releases")
    op.drop_index("ix_quarantined_transactions_fingerprint", "quarantined_transactions")
    op.drop_column("quarantined_transactions", "fingerprint")
    for table in ("ingested_periods", "calendar", "suppliers", "items", "stores", "inventory", "transactions"):
        op.drop_table(table)


def _has_timescale() -> bool:
    """0001 has made the extension where it can be had."""
    return op.get_bind().scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")) is not None


def _by_time(table: str, column: str, timescale: bool, *parts: "sa.Column[Any] | sa.Constraint") -> None:
    if not timescale:
        op.create_table(table, *parts, postgresql_partition_by=f"RANGE ({column})")
        return
    op.create_table(table, *parts)
    op.execute(
        f"SELECT create_hypertable('{table}', '{column}',"
        " chunk_time_interval => INTERVAL '1 month', create_default_indexes => FALSE)"
    )


def _create_transactions(timescale: bool) -> None:
    _by_time(
        "transactions",
        "period",
        timescale,
        _id("dataset"),
        sa.Column("period", sa.Date, nullable=False),
        sa.Column("ts", sa.DateTime, nullable=False),
        _id("store_id"),
        _id("item_id"),
        _double("quantity", nullable=False),
        _double("unit_price"),
        _double("on_promotion"),
        _text("transaction_id", nullable=True),
        _text("source", nullable=True),
        sa.Column("line", sa.BigInteger),
    )
    op.create_index(
        "ix_transactions_series",
        "transactions",
        ["store_id", "item_id", "period"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16},
    )


def _create_inventory(timescale: bool) -> None:
    _by_time(
        "inventory",
        "date",
        timescale,
        _id("dataset"),
        sa.Column("date", sa.Date, nullable=False),
        _id("store_id"),
        _id("item_id"),
        *(_double(name) for name in ("on_hand", "on_order", "lead_time_days", "lead_time_sd")),
        sa.PrimaryKeyConstraint("dataset", "store_id", "item_id", "date"),
    )


def _create_reference() -> None:
    for table, key in (("stores", "store_id"), ("items", "item_id"), ("suppliers", "supplier_id")):
        attributes = sa.Column("attributes", JSONB, nullable=False)
        op.create_table(table, _id("dataset"), _id(key), attributes, sa.PrimaryKeyConstraint("dataset", key))
    op.create_table(
        "calendar",
        _id("dataset"),
        sa.Column("date", sa.Date, nullable=False),
        _text("scope"),
        _text("name"),
        _text("kind", nullable=True),
    )
    op.create_index("ix_calendar_date", "calendar", ["dataset", "date"])


def _create_periods() -> None:
    counts = ("rows", "accepted", "returns", "quarantined", "late", "corrected", "withdrawn")
    op.create_table(
        "ingested_periods",
        _id("dataset"),
        sa.Column("period", sa.Date, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
        sa.Column("reasons", JSONB, nullable=False),
        *(_text(name, nullable=True) for name in ("source_checksum", "warehouse_checksum", "run_id")),
        _now("ingested_at"),
        sa.PrimaryKeyConstraint("dataset", "period"),
    )


def _identify_quarantine() -> None:
    """Rows from before get a fingerprint of their own kind: the gate's cannot be had from what was kept of them."""
    op.add_column("quarantined_transactions", sa.Column("fingerprint", sa.Text))
    op.execute(
        "UPDATE quarantined_transactions SET fingerprint = 'old-' || encode(sha256(convert_to("
        " source || E'\\n' || coalesce(line::text, '') || E'\\n' || \"row\"::text, 'UTF8')), 'hex')"
    )
    op.alter_column("quarantined_transactions", "fingerprint", nullable=False)
    op.create_index("ix_quarantined_transactions_fingerprint", "quarantined_transactions", ["dataset", "fingerprint"])
    op.create_table(
        "quarantine_releases",
        _text("dataset"),
        _text("fingerprint"),
        _text("reason"),
        _now("released_at"),
        _text("released_by"),
        _text("note"),
        sa.PrimaryKeyConstraint("dataset", "fingerprint"),
    )


def _compress(table: str, segment: str, order: str) -> None:
    """Allow compression; `store.partitions.maintain` says from which age. Timescale's Apache edition has none."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(
                sa.text(
                    f"ALTER TABLE {table} SET (timescaledb.compress,"
                    f" timescaledb.compress_segmentby = '{segment}', timescaledb.compress_orderby = '{order}')"
                )
            )
    except DBAPIError as error:
        log.warning("This TimescaleDB does not compress %s: %s", table, error.orig)
