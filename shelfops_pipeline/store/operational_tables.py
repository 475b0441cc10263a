"""The tables of running the system, beside those of the retailer: requests for retraining, alerts about runs, keys."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from shelfops_pipeline.contracts.columns import REASON
from shelfops_pipeline.store.tables import DATASET, metadata


class RequestStatus(StrEnum):
    """Where a request for retraining stands."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RunStatus(StrEnum):
    """How a run ended. One that somebody stopped is not kept."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


def _id(name: str) -> "Column[str]":
    return Column(name, Text(collation="C"), nullable=False)


def _moment(name: str, *, known: bool = False) -> "Column[object]":
    return Column(name, DateTime(timezone=True), nullable=not known)


retrain_requests = Table(
    "retrain_requests",
    metadata,
    _id("request_id"),
    _id(DATASET),
    _id("idempotency_key"),
    Column("requested_by", Text, nullable=False),
    Column(REASON, Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("status", String(16), nullable=False, server_default=RequestStatus.WAITING.value),
    _moment("claimed_at"),
    Column("run_id", Text),
    _moment("started_at"),
    _moment("finished_at"),
    Column("error", Text),
    PrimaryKeyConstraint("request_id"),
    Index("ix_retrain_requests_key", DATASET, "idempotency_key", unique=True),
    Index("ix_retrain_requests_status", DATASET, "status"),
)

operational_alerts = Table(
    "operational_alerts",
    metadata,
    Column("alert_id", BigInteger, Identity(always=True)),
    _id(DATASET),
    _id("job"),
    _id("cause"),
    Column("message", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("occurrences", BigInteger, nullable=False, server_default="1"),
    _moment("raised_at", known=True),
    _moment("last_at", known=True),
    _moment("resolved_at"),
    Column("resolved_by", Text),
    PrimaryKeyConstraint("alert_id"),
    Index(
        "ix_operational_alerts_open",
        DATASET,
        "job",
        "cause",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
)

pipeline_runs = Table(
    "pipeline_runs",
    metadata,
    _id("run_id"),
    _id(DATASET),
    _id("job"),
    Column("status", String(16), nullable=False),
    Column("trigger", Text, nullable=False),
    _moment("started_at", known=True),
    _moment("ended_at", known=True),
    PrimaryKeyConstraint("run_id"),
    Index("ix_pipeline_runs_latest", DATASET, "job", "status", "ended_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id("key_id"),
    _id(DATASET),
    _id("name"),
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", Text, nullable=False),
    _moment("expires_at"),
    _moment("revoked_at"),
    Column("revoked_by", Text),
    _moment("last_used_at"),
    PrimaryKeyConstraint("key_id"),
    Index("ix_api_keys_name", DATASET, "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
)
