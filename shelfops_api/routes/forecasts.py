"""Stored forecasts of the current release."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from shelfops_api.auth import Scope, require
from shelfops_api.deps import SnapshotDep, WarehouseDep
from shelfops_api.errors import Code, Fault, Problem, documented
from shelfops_api.lookup import stored_forecast
from shelfops_api.schemas import ForecastPeriod, SeriesForecast, SeriesId
from shelfops_api.whatif import PERIOD_COLUMNS, covered

router = APIRouter(prefix="/v1/forecasts", tags=["forecasts"], dependencies=[Depends(require(Scope.READ))])

_PROBLEMS = documented(
    Code.UNKNOWN_SERIES,
    Code.INVALID_REQUEST,
    Code.DATE_OUTSIDE_HORIZON,
    Code.NO_CHAMPION,
    Code.RELEASE_UNPUBLISHED,
    Code.WAREHOUSE_UNAVAILABLE,
)


# An item may be called BREAD/BAKERY, hence `:path`.
@router.get("/{store_id}/{item_id:path}", responses=_PROBLEMS)
def series_forecast(
    snapshot: SnapshotDep,
    warehouse: WarehouseDep,
    store_id: Annotated[SeriesId, Path(examples=["S01"])],
    item_id: Annotated[SeriesId, Path(examples=["I003"])],
    start: Annotated[date | None, Query(description="First date wanted", examples=["2026-01-05"])] = None,
    end: Annotated[date | None, Query(description="Last date wanted", examples=["2026-01-11"])] = None,
) -> SeriesForecast:
    """The published forecast of one item in one store, whole or from `start` to `end`, both included."""
    rows = stored_forecast(warehouse, snapshot.release, (store_id, item_id))
    wanted = [r for r in rows if (start is None or r.date >= start) and (end is None or r.date <= end)]
    if not wanted:
        raise _nothing_between(start, end, [r.date for r in rows])
    return SeriesForecast(
        store_id=store_id,
        item_id=item_id,
        release=snapshot.release,
        model_version=wanted[0].model_version,
        forecast=[ForecastPeriod(**{name: getattr(r, name) for name in PERIOD_COLUMNS}) for r in wanted],
    )


def _nothing_between(start: date | None, end: date | None, dates: list[date]) -> Problem:
    if start is not None and end is not None and start > end:
        code, detail = Code.INVALID_REQUEST, f"start, {start}, is after end, {end}"
    else:
        code = Code.DATE_OUTSIDE_HORIZON
        detail = f"no date of the forecast lies from {start or '...'} to {end or '...'}; it has {covered(dates)}"
    faults = [
        Fault(location="query", pointer=f"/{name}", detail=detail, code=code)
        for name, value in (("start", start), ("end", end))
        if value is not None
    ]
    return Problem(code, detail, faults)
