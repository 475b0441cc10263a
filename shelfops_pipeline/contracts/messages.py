"""What is announced on Redis: channels and messages. A lost message loses nothing: the warehouse has everything."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class AlertEvent(StrEnum):
    """What happened to a stock alert."""

    RAISED = "raised"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertMessage(BaseModel):
    """A stock alert as it is now, and what has just happened to it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: AlertEvent
    alert_id: str
    dataset: str
    store_id: str
    item_id: str
    kind: str
    severity: str
    status: str
    message: str
    details: dict[str, Any]
    raised_at: datetime
    updated_at: datetime
    acknowledged_by: str | None = None
    note: str | None = None
    unknown_since: datetime | None = None
    """A plan could not judge it since, because the stock is not known"""


class ReleaseMessage(BaseModel):
    """A release whose rows are all in the warehouse: readers may go over to it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str
    release: str
    published_at: datetime


def alerts_channel(dataset: str) -> str:
    """Where a retailer's AlertMessages go."""
    return f"shelfops:{dataset}:alerts"


def releases_channel(dataset: str) -> str:
    """Where a retailer's ReleaseMessages go."""
    return f"shelfops:{dataset}:releases"
