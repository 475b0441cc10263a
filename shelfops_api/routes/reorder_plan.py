"""The reorder plan of the serving release: what every series needs, whether or not it is ordered."""

from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from shelfops_api.auth import Scope, require
from shelfops_api.deps import SnapshotDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.operations import ItemFilter, Limit, StoreFilter, SupplierFilter, Told, half_cursor
from shelfops_api.schemas import SeriesId, example_of
from shelfops_pipeline.store.reorder import read_plan

router = APIRouter(prefix="/v1/reorder-plan", tags=["orders"], dependencies=[Depends(require(Scope.READ))])

_PROBLEMS: Final = documented(Code.INVALID_REQUEST, Code.NO_CHAMPION, Code.WAREHOUSE_UNAVAILABLE)
_LINE: Final[dict[str, Any]] = {
    "store_id": "S01",
    "item_id": "I003",
    "supplier_id": "SUP1",
    "demand": 61.3,
    "deviation": 9.8,
    "safety_stock": 15.7,
    "service_level": 0.94,
    "reorder_point": 77.0,
    "order_up_to": 77.0,
    "on_hand": 35.0,
    "on_order": 0.0,
    "accepted": 0.0,
    "counted_on": "2026-01-04",
    "quantity": 48.0,
    "unconstrained_quantity": 42.0,
    "days_of_supply": 2.0,
    "stockout_probability": 0.58,
    "stockout_date": "2026-01-07",
    "stockout_date_probability": 0.58,
    "overstock_units": 0.0,
    "protection_days": 5.0,
    "unit_cost": 1.2,
    "order_date": "2026-01-05",
    "delivery_date": "2026-01-08",
    "reason": "case_pack",
    "like_item": None,
}


class PlanLine(Told):
    """What one series needs. null: not known, such as the quantity where there is no inventory data."""

    model_config = example_of(_LINE)

    store_id: str
    item_id: str
    supplier_id: str | None
    demand: float | None = Field(description="Expected until a later order could arrive, units")
    deviation: float | None
    safety_stock: float | None
    service_level: float | None
    reorder_point: float | None
    order_up_to: float | None
    on_hand: float | None = Field(description="At the last count, less what was sold since")
    on_order: float | None
    accepted: float | None = Field(description="Of that: in accepted orders that the count does not know of")
    counted_on: date | None = Field(description="The day of the last count; null: none that is recent enough")
    quantity: float | None = Field(description="To order now, in whole packs and within what the supplier allows")
    unconstrained_quantity: float | None
    days_of_supply: float | None
    stockout_probability: float | None
    stockout_date: date | None
    stockout_date_probability: float | None
    overstock_units: float | None
    protection_days: float | None
    unit_cost: float | None
    order_date: date | None
    delivery_date: date | None
    reason: str
    like_item: str | None = Field(description="The item from which this one's demand was taken, if any")


class PlanPage(Told):
    """Lines by store and item, all of one release."""

    model_config = example_of({"release": "v2+v1", "lines": [_LINE], "next_store": None, "next_item": None})

    release: str
    lines: list[PlanLine]
    next_store: str | None = Field(description="Give both as `after_store` and `after_item` for the next page")
    next_item: str | None


@router.get("", responses=_PROBLEMS)
def reorder_plan(
    snapshot: SnapshotDep,
    warehouse: WarehouseDep,
    store_id: StoreFilter = None,
    item_id: ItemFilter = None,
    supplier_id: SupplierFilter = None,
    only_orders: Annotated[bool, Query(description="Only what is to be ordered now")] = False,
    after_store: Annotated[SeriesId | None, Query(description="`next_store` of the page before")] = None,
    after_item: Annotated[SeriesId | None, Query(description="`next_item` of the page before")] = None,
    limit: Limit = 100,
) -> PlanPage:
    """What the serving release plans, page by page."""
    if (after_store is None) != (after_item is None):
        raise half_cursor("after_item" if after_item is None else "after_store")
    found = read_plan(
        warehouse.engine(),
        snapshot.release,
        store_id=store_id,
        item_id=item_id,
        supplier_id=supplier_id,
        only_orders=only_orders,
        after=None if after_store is None or after_item is None else (after_store, after_item),
        limit=limit,
    )
    last = found[-1] if len(found) == limit else None
    return PlanPage(
        release=snapshot.release,
        lines=[PlanLine.model_validate(line) for line in found],
        next_store=last and last.store_id,
        next_item=last and last.item_id,
    )
