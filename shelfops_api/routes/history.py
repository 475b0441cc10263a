"""What one series sold before its forecast begins."""

from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from shelfops_api.auth import Scope, require
from shelfops_api.deps import SnapshotDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.lookup import stored_forecast
from shelfops_api.schemas import SeriesId
from shelfops_api.series_route import SERIES, SeriesRoute
from shelfops_pipeline.store.sales import Sale, series_sales

router = APIRouter(
    prefix="/v1/history", tags=["forecasts"], route_class=SeriesRoute, dependencies=[Depends(require(Scope.READ))]
)

_LONGEST: Final = 1100  # periods: three years of days
_PROBLEMS = documented(
    Code.UNKNOWN_SERIES,
    Code.INVALID_REQUEST,
    Code.NO_CHAMPION,
    Code.RELEASE_UNPUBLISHED,
    Code.WAREHOUSE_UNAVAILABLE,
)
_EXAMPLE: Final[dict[str, Any]] = {
    "store_id": "S01",
    "item_id": "I003",
    "history": [
        {"date": "2026-01-03", "quantity": 14.0, "price": 2.49},
        {"date": "2026-01-04", "quantity": 0.0, "price": None},
    ],
}


class SalesPeriod(BaseModel):
    """Units sold in one period, returns taken off; 0 where nothing was sold, for whatever reason."""

    date: date
    quantity: float
    price: float | None = Field(description="Mean price of what was sold; null where none is known")


class SeriesHistory(BaseModel):
    """What one item sold in one store, in order of date."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    store_id: str
    item_id: str
    history: list[SalesPeriod] = Field(
        description="Every period from the first sale among those asked for to the last before the forecast"
    )


@router.get(f"/{SERIES}", operation_id="get_history", responses=_PROBLEMS)
def series_history(
    snapshot: SnapshotDep,
    warehouse: WarehouseDep,
    store_id: Annotated[SeriesId, Path(examples=["S01"])],
    item_id: Annotated[SeriesId, Path(examples=["I003"])],
    periods: Annotated[int, Query(ge=1, le=_LONGEST, description="How many periods back from the forecast")] = 91,
) -> SeriesHistory:
    """Sales of one item in one store in the periods before its forecast.

    Sales are not demand: an empty shelf sells nothing. What the models learn from leaves known stockouts out.
    """
    step = timedelta(days=snapshot.manifest.grain.days)
    last = stored_forecast(warehouse, snapshot.release, (store_id, item_id))[0].date - step
    first = last - (periods - 1) * step
    sales = series_sales(warehouse.engine(), snapshot.pointer.dataset, store_id, item_id, first, last)
    return SeriesHistory(store_id=store_id, item_id=item_id, history=_every_period(sales, last, step))


def _every_period(sales: list[Sale], last: date, step: timedelta) -> list[SalesPeriod]:
    """From the first sale to `last`, what has no row as 0."""
    sold = {sale.period: sale for sale in sales}
    first = min(sold, default=last + step)
    dates = [first + k * step for k in range((last - first) // step + 1)]
    found = [sold.get(day, Sale(day, 0.0, None)) for day in dates]
    return [SalesPeriod(date=sale.period, quantity=sale.quantity, price=sale.price) for sale in found]
