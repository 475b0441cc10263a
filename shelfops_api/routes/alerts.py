"""Stock alerts: what needs a planner's attention, and that somebody has seen to it."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, BackgroundTasks, Query
from pydantic import Field

from shelfops_api.deps import ServicesDep, SettingsDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.operations import (
    READ,
    After,
    AlertId,
    ItemFilter,
    Limit,
    NextField,
    Operator,
    Remark,
    StoreFilter,
    Told,
    next_of,
)
from shelfops_api.schemas import example_of
from shelfops_pipeline.contracts.messages import AlertEvent
from shelfops_pipeline.contracts.replenishment import AlertKind, AlertSeverity, AlertStatus
from shelfops_pipeline.store import alerts as store
from shelfops_pipeline.store.alerts import alert_message

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

_PROBLEMS: Final = documented(Code.INVALID_REQUEST, Code.UNKNOWN_ALERT, Code.WAREHOUSE_UNAVAILABLE)
_DECISIONS: Final = documented(Code.INVALID_REQUEST, Code.UNKNOWN_ALERT, Code.ALERT_STATE, Code.WAREHOUSE_UNAVAILABLE)
_ALERT: Final[dict[str, Any]] = {
    "alert_id": "3f0c2a9b6f1e4d0c8a57",
    "store_id": "S01",
    "item_id": "I003",
    "kind": "stockout_risk",
    "severity": "high",
    "status": "open",
    "message": "35 on hand and 0 on order: out of stock before a delivery with probability 58 % (by 07 Jan more likely"
    " than not); order 48 on 05 Jan",
    "details": {
        "on_hand": 35.0,
        "on_order": 0.0,
        "counted_on": "2026-01-04",
        "order_quantity": 48.0,
        "stockout_probability": 0.58,
    },
    "release": "v2+v1",
    "raised_at": "2026-01-05T03:20:11Z",
    "updated_at": "2026-01-05T03:20:11Z",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "resolved_at": None,
    "resolved_by": None,
    "note": None,
    "unknown_since": None,
}


class Alert(Told):
    """One thing that is wrong with the stock of an item in a store."""

    model_config = example_of(_ALERT)

    alert_id: str
    store_id: str
    item_id: str
    kind: AlertKind
    severity: AlertSeverity
    status: AlertStatus
    message: str
    details: dict[str, Any] = Field(
        description="The figures behind it; `ordered`: units in an order accepted since, which the next plan counts"
    )
    release: str
    raised_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None = Field(description="Why it was resolved, or is open again")
    unknown_since: datetime | None = Field(
        description="Since when plans cannot judge it, because the stock is not known; null: the last plan could"
    )


class AlertPage(Told):
    """Alerts, the most urgent first, then the newest."""

    model_config = example_of({"alerts": [_ALERT], "next": None})

    alerts: list[Alert]
    next: NextField


@router.get("", responses=_PROBLEMS, dependencies=READ)
def list_alerts(
    settings: SettingsDep,
    warehouse: WarehouseDep,
    status: Annotated[AlertStatus | None, Query(description="Default: all that are not resolved")] = None,
    kind: AlertKind | None = None,
    severity: AlertSeverity | None = None,
    store_id: StoreFilter = None,
    item_id: ItemFilter = None,
    after: After = None,
    limit: Limit = 100,
) -> AlertPage:
    """The alerts that match, page by page. Those that change meanwhile may move to another page."""
    found = store.list_alerts(
        warehouse.engine(),
        settings.retailer,
        status=status,
        store_id=store_id,
        item_id=item_id,
        kind=kind,
        severity=severity,
        after=after,
        limit=limit,
    )
    return AlertPage(alerts=[Alert.model_validate(a) for a in found], next=next_of(found, limit, "alert_id"))


@router.post("/{alert_id}/acknowledge", responses=_DECISIONS)
def acknowledge(alert_id: AlertId, services: ServicesDep, who: Operator, later: BackgroundTasks) -> Alert:
    """Say that you have seen an open alert and take care of it."""
    alert = store.acknowledge(services.warehouse.engine(), services.settings.retailer, alert_id, who=who.name)
    later.add_task(services.alerts.tell, alert_message(AlertEvent.ACKNOWLEDGED, alert))
    return Alert.model_validate(alert)


@router.post("/{alert_id}/resolve", responses=_DECISIONS)
def resolve(
    alert_id: AlertId,
    services: ServicesDep,
    who: Operator,
    later: BackgroundTasks,
    remark: Remark | None = None,
) -> Alert:
    """Say that an alert is settled. The same cause raises a new one only once it has been gone, or gets worse."""
    note = "" if remark is None else remark.note
    alert = store.resolve(services.warehouse.engine(), services.settings.retailer, alert_id, who=who.name, note=note)
    later.add_task(services.alerts.tell, alert_message(AlertEvent.RESOLVED, alert))
    return Alert.model_validate(alert)
