"""The warehouse's tables, as SQLAlchemy Core. Migrations create them; reads and writes are built on them.

Published rows are keyed by release (the champion pair of `contracts.bundle.ChampionPointer`), so that an
answer never mixes two releases. Ids collate as "C": compared as bytes, fast and the same everywhere.
"""

from typing import Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from shelfops_pipeline.contracts.columns import (
    DATE,
    FINGERPRINT,
    ITEM_ID,
    KIND,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    LINE,
    MEAN,
    NAME,
    ON_HAND,
    ON_ORDER,
    ON_PROMOTION,
    ORIGIN,
    POINT,
    QUANTILE_COLUMNS,
    QUANTITY,
    REASON,
    SCOPE,
    SOURCE,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
)

RELEASE: Final = "release"
MODEL_VERSION: Final = "model_version"
PAYLOAD: Final = "payload"
DATASET: Final = "dataset"
PERIOD: Final = "period"
"""The day, or the Monday, under which a row is counted: the retailer's grain."""
SUPPLIER_ID: Final = "supplier_id"
ATTRIBUTES: Final = "attributes"
PERIODS: Final = "periods"
MEMBER: Final = "member"
START: Final = "start"
PREDICTION: Final = "prediction"
SENTENCE: Final = "sentence"
REASONS: Final = "reasons"
PAGES_PER_RANGE: Final = 16
PERIOD_COUNTS: Final = ("rows", "accepted", "returns", "quarantined", "late", "corrected", "withdrawn")

metadata = MetaData()


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

# `periods` is 1 for one period, or the number of explained periods for their sum; `date` is the first.
forecast_explanations = Table(
    "forecast_explanations",
    metadata,
    _id(RELEASE),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(DATE, Date, nullable=False),
    Column(PERIODS, Integer, nullable=False),
    Column(MODEL_VERSION, Text, nullable=False),
    Column(MEMBER, Text, nullable=False),
    Column(START, REAL),
    Column(PREDICTION, REAL, nullable=False),
    Column(SENTENCE, Text, nullable=False),
    Column(REASONS, JSONB, nullable=False),
    PrimaryKeyConstraint(RELEASE, STORE_ID, ITEM_ID, DATE, PERIODS),
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
    Column(FINGERPRINT, Text, nullable=False),
    PrimaryKeyConstraint("id"),
    Index("ix_quarantined_transactions_partition", "dataset", "partition_key"),
    Index("ix_quarantined_transactions_fingerprint", "dataset", FINGERPRINT),
)

quarantine_releases = Table(
    "quarantine_releases",
    metadata,
    Column(DATASET, Text, nullable=False),
    Column(FINGERPRINT, Text, nullable=False),
    Column(REASON, Text, nullable=False),
    _now("released_at"),
    Column("released_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint(DATASET, FINGERPRINT),
)

# Accepted rows, as they were accepted. Lines may repeat, so there is no key: whole periods are replaced. A B-tree
# would cost two thirds of the loading speed; a BRIN index costs next to nothing (docs/warehouse.md has the figures).
transactions = Table(
    "transactions",
    metadata,
    _id(DATASET),
    Column(PERIOD, Date, nullable=False),
    Column(TS, DateTime, nullable=False),
    _id(STORE_ID),
    _id(ITEM_ID),
    Column(QUANTITY, Double, nullable=False),
    Column(UNIT_PRICE, Double),
    Column(ON_PROMOTION, Double),
    Column(TRANSACTION_ID, Text),
    Column(SOURCE, Text),
    Column(LINE, BigInteger),
    Index(
        "ix_transactions_series",
        STORE_ID,
        ITEM_ID,
        PERIOD,
        postgresql_using="brin",
        postgresql_with={"pages_per_range": PAGES_PER_RANGE},
    ),
    postgresql_partition_by=f"RANGE ({PERIOD})",  # without TimescaleDB; with it a hypertable
)

inventory = Table(
    "inventory",
    metadata,
    _id(DATASET),
    Column(DATE, Date, nullable=False),
    _id(STORE_ID),
    _id(ITEM_ID),
    *(Column(name, Double) for name in (ON_HAND, ON_ORDER, LEAD_TIME_DAYS, LEAD_TIME_SD)),
    PrimaryKeyConstraint(DATASET, STORE_ID, ITEM_ID, DATE),
    postgresql_partition_by=f"RANGE ({DATE})",
)


def _described(name: str, key: str) -> Table:
    """A reference table: an id, and whatever attributes the retailer has."""
    attributes = Column(ATTRIBUTES, JSONB, nullable=False)
    return Table(name, metadata, _id(DATASET), _id(key), attributes, PrimaryKeyConstraint(DATASET, key))


stores = _described("stores", STORE_ID)
items = _described("items", ITEM_ID)
suppliers = _described("suppliers", SUPPLIER_ID)

calendar = Table(
    "calendar",
    metadata,
    _id(DATASET),
    Column(DATE, Date, nullable=False),
    Column(SCOPE, Text, nullable=False),
    Column(NAME, Text, nullable=False),
    Column(KIND, Text),
    Index("ix_calendar_date", DATASET, DATE),
)

ingested_periods = Table(
    "ingested_periods",
    metadata,
    _id(DATASET),
    Column(PERIOD, Date, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in PERIOD_COUNTS),
    Column("reasons", JSONB, nullable=False),
    Column("source_checksum", Text),
    Column("warehouse_checksum", Text),
    Column("run_id", Text),
    _now("ingested_at"),
    PrimaryKeyConstraint(DATASET, PERIOD),
)
