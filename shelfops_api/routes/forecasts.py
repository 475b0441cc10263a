"""Stored forecasts of the current release."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response

from shelfops_api import bulk
from shelfops_api.auth import Scope, require
from shelfops_api.conditional import CSV, JSON, NDJSON, UNCHANGED, json_answer, not_modified
from shelfops_api.cursors import LONGEST, Cursor
from shelfops_api.dates import End, Start, check_order, date_problem
from shelfops_api.deps import ServicesDep, SnapshotDep
from shelfops_api.errors import Code, Problem, documented
from shelfops_api.lookup import forecast_answer
from shelfops_api.negotiation import preferred
from shelfops_api.schemas import ForecastPage, SeriesForecast, SeriesId
from shelfops_api.series_route import SERIES, SeriesRoute
from shelfops_api.whatif import covered
from shelfops_pipeline.store.forecasts import Wanted

router = APIRouter(
    prefix="/v1/forecasts", tags=["forecasts"], route_class=SeriesRoute, dependencies=[Depends(require(Scope.READ))]
)

PAGE = 100
_MOST = 1000
_STORED = (Code.INVALID_REQUEST, Code.NO_CHAMPION, Code.RELEASE_UNPUBLISHED, Code.WAREHOUSE_UNAVAILABLE)
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page as JSON; all series as a stream of NDJSON or CSV",
        "content": {
            NDJSON: {
                "schema": {
                    "type": "string",
                    "description": "A `SeriesForecast` a line. The last line has `complete`, `series` and "
                    "`periods`: without it the answer broke off",
                }
            },
            CSV: {"schema": {"type": "string", "description": "A period a line, after a line with the columns' names"}},
        },
    }
}

_Ids = Annotated[list[SeriesId], Query(max_length=200)]


@router.get(
    "",
    operation_id="list_forecasts",
    response_model=ForecastPage,
    responses=_FORMS
    | UNCHANGED
    | documented(Code.NOT_ACCEPTABLE, Code.CURSOR_EXPIRED, Code.TOO_MANY_STREAMS, *_STORED),
)
async def forecasts(
    request: Request,
    snapshot: SnapshotDep,
    services: ServicesDep,
    store_id: Annotated[_Ids, Query(description="Only these stores", examples=[["S01"]])] = [],  # noqa: B006
    item_id: Annotated[_Ids, Query(description="Only these items", examples=[["I003"]])] = [],  # noqa: B006
    category: Annotated[_Ids, Query(description="Only items of these categories", examples=[["dairy"]])] = [],  # noqa: B006
    start: Start = None,
    end: End = None,
    limit: Annotated[
        int | None, Query(ge=1, le=_MOST, description=f"Series at most; default {PAGE}, of a stream all")
    ] = None,
    after: Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before")] = None,
) -> Response:
    """The published forecasts of many series: page by page, or all at once as a stream.

    `Accept` chooses: `application/json` is a page; `application/x-ndjson` and `text/csv` are streams of every series
    that the filters leave. Series come in order of store and item; those without a period in the dates are left out.
    """
    media_type = preferred(request.headers.get("accept"), (JSON, NDJSON, CSV))
    check_order(start, end)
    if unchanged := not_modified(request, snapshot.edition, media_type):
        return unchanged
    cursor = Cursor.read(after, snapshot.release)
    last = None if cursor is None else (cursor.store_id, cursor.rest)
    wanted = Wanted(tuple(store_id), tuple(item_id), tuple(category), start, end, last)
    if media_type != JSON:
        return await bulk.stream(services, snapshot, wanted, cursor, limit, media_type)
    size = limit or PAGE
    known = snapshot.edition if cursor is None or cursor.edition == snapshot.edition else None
    stored = await services.answers.find(
        known, bulk.page_key(wanted, size), lambda: bulk.page(services, snapshot, wanted, cursor, size)
    )
    return json_answer(stored.body, stored.edition)


@router.get(
    f"/{SERIES}",
    operation_id="get_forecast",
    response_model=SeriesForecast,
    responses=UNCHANGED | documented(Code.UNKNOWN_SERIES, Code.DATE_OUTSIDE_HORIZON, *_STORED),
)
async def series_forecast(
    request: Request,
    snapshot: SnapshotDep,
    services: ServicesDep,
    store_id: Annotated[SeriesId, Path(examples=["S01"])],
    item_id: Annotated[SeriesId, Path(examples=["I003"])],
    start: Start = None,
    end: End = None,
) -> Response:
    """The published forecast of one item in one store, whole or from `start` to `end`, both included."""
    if unchanged := not_modified(request, snapshot.edition):
        return unchanged
    key = (store_id, item_id)
    stored = await services.answers.find(
        snapshot.edition,
        ("forecast", *key),
        lambda: forecast_answer(services.warehouse, snapshot.release, key),
    )
    whole = start is None and end is None
    return json_answer(stored.body if whole else _between(stored.body, start, end), stored.edition)


def _between(body: bytes, start: date | None, end: date | None) -> bytes:
    """The series with the periods from `start` to `end` only: cached answers are of whole series."""
    series: dict[str, Any] = from_json(body)
    rows = series["forecast"]
    first, last = start or date.min, end or date.max
    kept = [row for row in rows if first <= date.fromisoformat(row["date"]) <= last]
    if not kept:
        raise _nothing_between(start, end, [date.fromisoformat(row["date"]) for row in rows])
    return to_json(series | {"forecast": kept})


def _nothing_between(start: date | None, end: date | None, dates: list[date]) -> Problem:
    check_order(start, end)
    detail = f"no date of the forecast lies from {start or '...'} to {end or '...'}; it has {covered(dates)}"
    return date_problem(Code.DATE_OUTSIDE_HORIZON, detail, start, end)
