"""Purchase orders: proposed by the plan, decided by people, with everything that was done to them on record."""

import re
from datetime import date
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, BackgroundTasks, Header, Query, Request
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError

from shelfops_api.auth import Principal
from shelfops_api.conditional import CSV, JSON, UNCHANGED, caching_headers, etag, json_answer, not_modified, tags
from shelfops_api.deps import Services, ServicesDep, SettingsDep, WarehouseDep
from shelfops_api.errors import Code, Problem, documented
from shelfops_api.negotiation import preferred
from shelfops_api.operations import (
    READ,
    After,
    Limit,
    Operator,
    OrderId,
    Remark,
    SupplierFilter,
    next_of,
)
from shelfops_api.routes.order_models import LineChange, Order, OrderEvent, OrderEvents, OrderPage, OrderWithLines
from shelfops_pipeline.contracts.messages import AlertEvent
from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store import orders as store
from shelfops_pipeline.store.alerts import alert_message, alerts_of_order
from shelfops_pipeline.store.engine import reason_of
from shelfops_pipeline.store.order_csv import order_csv
from shelfops_pipeline.store.replenishment_records import PurchaseOrder

router = APIRouter(prefix="/v1/orders", tags=["orders"])

_PROBLEMS: Final = documented(Code.INVALID_REQUEST, Code.UNKNOWN_ORDER, Code.WAREHOUSE_UNAVAILABLE)
_DECISIONS: Final = documented(
    Code.INVALID_REQUEST, Code.UNKNOWN_ORDER, Code.ORDER_STATE, Code.ORDER_CHANGED, Code.WAREHOUSE_UNAVAILABLE
)
_FORMS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {CSV: {"schema": {"type": "string", "description": "The lines that order something (RFC 4180)"}}}},
}
_TAG: Final = re.compile(r'"(?P<revision>[0-9]{1,9})\.(json|csv)"')
IfMatch = Annotated[
    str | None,
    Header(
        max_length=200,
        description="The `ETag` of the order as it was seen: refused with 412 if it has changed since. Left out, the "
        "order is taken as it is now",
        examples=['"3.json"'],
    ),
]

log = structlog.get_logger(__name__)


@router.get("", responses=_PROBLEMS, dependencies=READ)
def list_orders(
    settings: SettingsDep,
    warehouse: WarehouseDep,
    status: Annotated[OrderStatus | None, Query(description="Default: all")] = None,
    supplier_id: SupplierFilter = None,
    order_date: date | None = None,
    after: After = None,
    limit: Limit = 100,
) -> OrderPage:
    """The orders that match, page by page."""
    found = store.list_orders(
        warehouse.engine(),
        settings.retailer,
        status=status,
        supplier_id=supplier_id,
        order_date=order_date,
        after=after,
        limit=limit,
    )
    return OrderPage(orders=[Order.model_validate(o) for o in found], next=next_of(found, limit, "order_id"))


@router.get(
    "/{order_id}",
    response_model=OrderWithLines,
    responses=_FORMS | UNCHANGED | _PROBLEMS | documented(Code.NOT_ACCEPTABLE),
    dependencies=READ,
)
def read_order(order_id: OrderId, request: Request, settings: SettingsDep, warehouse: WarehouseDep) -> Response:
    """One order with its lines. `Accept` chooses: `application/json`, or `text/csv` as a file for the supplier."""
    media_type = preferred(request.headers.get("accept"), (JSON, CSV))
    order = store.read_order(warehouse.engine(), settings.retailer, order_id)
    edition = str(order.revision)
    if unchanged := not_modified(request, edition, media_type):
        return unchanged
    if media_type == JSON:
        return json_answer(OrderWithLines.model_validate(order).model_dump_json().encode(), edition)
    disposition = f'attachment; filename="order-{order.order_date}.csv"'
    headers = {"Content-Disposition": disposition, **caching_headers(edition, CSV)}
    return Response(order_csv([order]), media_type=CSV, headers=headers)


@router.get("/{order_id}/events", responses=_PROBLEMS, dependencies=READ)
def order_events(order_id: OrderId, settings: SettingsDep, warehouse: WarehouseDep) -> OrderEvents:
    """Who did what to an order, and when."""
    events = store.order_events(warehouse.engine(), settings.retailer, order_id)
    return OrderEvents(events=[OrderEvent.model_validate(event) for event in events])


@router.post("/{order_id}/accept", responses=_DECISIONS)
def accept(
    order_id: OrderId,
    services: ServicesDep,
    who: Operator,
    response: Response,
    later: BackgroundTasks,
    remark: Remark | None = None,
    if_match: IfMatch = None,
) -> OrderWithLines:
    """Accept a proposed order; its alerts say at once how much is ordered."""
    told = _decided(services, order_id, OrderAction.ACCEPT, who, remark, if_match, response)
    later.add_task(_tell_alerts, services, order_id)
    return told


@router.post("/{order_id}/reject", responses=_DECISIONS)
def reject(
    order_id: OrderId,
    services: ServicesDep,
    who: Operator,
    response: Response,
    remark: Remark | None = None,
    if_match: IfMatch = None,
) -> OrderWithLines:
    """Reject a proposed order."""
    return _decided(services, order_id, OrderAction.REJECT, who, remark, if_match, response)


@router.patch("/{order_id}/lines", responses=_DECISIONS)
def edit_line(
    order_id: OrderId,
    change: LineChange,
    services: ServicesDep,
    who: Operator,
    response: Response,
    if_match: IfMatch = None,
) -> OrderWithLines:
    """Order another quantity of one line of a proposed order; no later plan changes that order from then on."""
    order = store.edit_line(
        services.warehouse.engine(),
        services.settings.retailer,
        order_id,
        change.store_id,
        change.item_id,
        quantity=change.quantity,
        who=who.name,
        note=change.note,
        seen=_seen(order_id, if_match),
    )
    return _told(order, response)


def _decided(
    services: Services,
    order_id: str,
    action: OrderAction,
    who: Principal,
    remark: Remark | None,
    if_match: str | None,
    response: Response,
) -> OrderWithLines:
    order = store.decide_order(
        services.warehouse.engine(),
        services.settings.retailer,
        order_id,
        action=action,
        who=who.name,
        note="" if remark is None else remark.note,
        seen=_seen(order_id, if_match),
    )
    return _told(order, response)


def _tell_alerts(services: Services, order_id: str) -> None:
    """Announce what an accepted order has changed. It is decided already: what fails here is no refusal, and watchers
    find it in the warehouse."""
    try:
        alerts = alerts_of_order(services.warehouse.engine(), services.settings.retailer, order_id)
    except (ShelfOpsError, SQLAlchemyError) as error:
        log.warning("alerts_not_told", order_id=order_id, reason=reason_of(error))
        return
    services.alerts.tell(*(alert_message(AlertEvent.UPDATED, alert) for alert in alerts))


def _told(order: PurchaseOrder, response: Response) -> OrderWithLines:
    response.headers["ETag"] = etag(str(order.revision))
    return OrderWithLines.model_validate(order)


def _seen(order_id: str, if_match: str | None) -> int | None:
    """The revision that a caller saw; None where none is said. Raises Problem where no order has such a tag."""
    if if_match is None or if_match.strip() == "*":
        return None
    revisions = [int(found["revision"]) for tag in tags(if_match) if (found := _TAG.fullmatch(tag))]
    if not revisions:
        raise Problem(Code.ORDER_CHANGED, f"order {order_id} has no revision {if_match}: send the ETag of its answer")
    return max(revisions)  # of several that were seen only the latest can still be true
