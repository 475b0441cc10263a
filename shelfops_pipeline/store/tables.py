"""The warehouse's tables, as SQLAlchemy Core. Migrations create them; reads and writes are built on them.

Published rows are keyed by release (the champion pair of `contracts.bundle.ChampionPointer`), so that an
answer never mixes two releases. Ids collate as "C": compared as bytes, fast and the same everywhere.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    KIND,
    LINE,
    MEAN,
    ORIGIN,
    POINT,
    QUANTILE_COLUMNS,
    REASON,
    SOURCE,
    STORE_ID,
)

RELEASE: Final = "release"
MODEL_VERSION: Final = "model_version"
PAYLOAD: Final = "payload"

metadata = MetaData()


class AlertStatus(StrEnum):
    """Where a stock alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"


def _id(name: str) -> "Column[str]":
    return Column(name, Text(collation="C"), nullable=False)


def _now(name: str) -> "Column[object]":
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


releases = Table(
    "releases",
    metadata,
    _id(RELEASE),
    Column("champion_version", Text, nullable=False),
    Column("cold_start_version", Text),
    Column("dataset", Text, nullable=False),
    _now("published_at"),
    Column("manifest", JSONB, nullable=False),
    PrimaryKeyConstraint(RELEASE),
    Index("ix_releases_dataset_published_at", "dataset", "published_at"),
)

demand_forecasts = Table(
    "demand_forecasts",
    metadata,
    _id(RELEASE),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(DATE, Date, nullable=False),
    Column(MODEL_VERSION, Text, nullable=False),
    Column(MEAN, REAL, nullable=False),
    Column(POINT, REAL, nullable=False),
    *(Column(name, REAL, nullable=False) for name in QUANTILE_COLUMNS),
    PrimaryKeyConstraint(RELEASE, STORE_ID, ITEM_ID, DATE),
)

online_features = Table(
    "online_features",
    metadata,
    _id(RELEASE),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(MODEL_VERSION, Text, nullable=False),
    Column(ORIGIN, Date, nullable=False),
    Column(PAYLOAD, LargeBinary, nullable=False, comment="float32, little-endian; laid out as the manifest says"),
    PrimaryKeyConstraint(RELEASE, STORE_ID, ITEM_ID),
)

stock_alerts = Table(
    "stock_alerts",
    metadata,
    _id("alert_id"),
    _id(RELEASE),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(KIND, Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    _now("raised_at"),
    Column("status", String(16), nullable=False, server_default=AlertStatus.OPEN.value),
    PrimaryKeyConstraint("alert_id"),
    Index("ix_stock_alerts_release_status", RELEASE, "status"),
)

quarantined_transactions = Table(
    "quarantined_transactions",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("dataset", Text, nullable=False),
    Column("partition_key", Text, nullable=False),
    Column(SOURCE, Text, nullable=False),
    Column(LINE, BigInteger),
    Column(REASON, Text, nullable=False),
    Column("row", JSONB, nullable=False),
    _now("quarantined_at"),
    PrimaryKeyConstraint("id"),
    Index("ix_quarantined_transactions_partition", "dataset", "partition_key"),
)
