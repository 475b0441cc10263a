"""Words of replenishment that more than one room uses: kinds and states of alerts and of purchase orders."""

from enum import StrEnum


class AlertKind(StrEnum):
    """What is wrong with a series' stock."""

    STOCKOUT_RISK = "stockout_risk"
    REORDER_NOW = "reorder_now"
    OVERSTOCK = "overstock"
    PHANTOM_STOCK = "phantom_stock"
    """Stock on record, but for longer no sale than the forecast makes credible: it may not be there."""


class AlertSeverity(StrEnum):
    """How urgent an alert is, the most urgent first."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlertStatus(StrEnum):
    """Where a stock alert stands. One that is resolved stays so; the same cause anew is a new alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class OrderStatus(StrEnum):
    """Where a purchase order stands. Only a proposed one may be changed."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    """Nobody decided: its day has passed, or a later plan no longer asks for it."""


class OrderAction(StrEnum):
    """What a person decides about a proposed order."""

    ACCEPT = "accept"
    REJECT = "reject"
