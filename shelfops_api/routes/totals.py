"""Totals of the current release: by store, by category, by both, or of the whole retailer."""

import hashlib
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from shelfops_api.auth import Scope, require
from shelfops_api.conditional import UNCHANGED, json_answer, not_modified
from shelfops_api.cursors import LONGEST, Cursor
from shelfops_api.dates import End, Start, check_order
from shelfops_api.deps import SnapshotDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.lookup import unpublished
from shelfops_api.schemas import SeriesId
from shelfops_api.snapshot import edition_of
from shelfops_pipeline.contracts.columns import TotalLevel
from shelfops_pipeline.store.totals import GroupKey, TotalRow, read_totals

router = APIRouter(prefix="/v1/totals", tags=["forecasts"], dependencies=[Depends(require(Scope.READ))])

_MOST_GROUPS: Final = 1000
_PROBLEMS = documented(
    Code.INVALID_REQUEST,
    Code.CURSOR_EXPIRED,
    Code.NO_CHAMPION,
    Code.RELEASE_UNPUBLISHED,
    Code.WAREHOUSE_UNAVAILABLE,
)

_EXAMPLE: Final[dict[str, Any]] = {
    "release": "v2+v1",
    "level": "store",
    "totals": [
        {
            "store_id": "S01",
            "category": None,
            "forecast": [
                {
                    "date": "2026-01-05",
                    "mean": 612.4,
                    "q05": 541.0,
                    "q25": 583.2,
                    "q50": 612.4,
                    "q75": 641.6,
                    "q95": 683.8,
                }
            ],
        }
    ],
    "next": None,
}


class TotalPeriod(BaseModel):
    """Demand of a whole group in one period, in units.

    The quantiles are of this period's total. They add up neither from those of its series nor over periods: the total
    of a week needs an interval of its own.
    """

    date: date
    mean: float = Field(description="The sum of the series' means")
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


class Total(BaseModel):
    """The forecast of one group's total, in order of date."""

    store_id: str | None = Field(description="null where the level has no stores")
    category: str | None = Field(description="null where the level has no categories")
    forecast: list[TotalPeriod]


class Totals(BaseModel):
    """A page of totals of one level."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    release: str
    level: TotalLevel
    totals: list[Total] = Field(description="In order of store and category; empty where nothing matches")
    next: str | None = Field(description="Give it as `after` for the next page; null on the last one")


@router.get("", operation_id="list_totals", response_model=Totals, responses=UNCHANGED | _PROBLEMS)
def totals(
    request: Request,
    snapshot: SnapshotDep,
    warehouse: WarehouseDep,
    level: Annotated[TotalLevel, Query(description="What is added up")] = TotalLevel.STORE,
    store_id: Annotated[SeriesId | None, Query(description="One store only")] = None,
    category: Annotated[SeriesId | None, Query(description="One category of items only")] = None,
    start: Start = None,
    end: End = None,
    after: Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_GROUPS, description="Most groups on a page")] = 100,
) -> Response:
    """Expected demand of whole stores, of categories, of both together, or of the retailer, per period."""
    check_order(start, end)
    cursor = Cursor.read(after, snapshot.release)
    found = read_totals(
        warehouse.engine(),
        snapshot.release,
        level,
        store_id=store_id,
        category=category,
        start=start,
        end=end,
        after=cursor and (cursor.store_id, cursor.rest),
        limit=limit + 1,
    )
    if found.published_at is None:
        raise unpublished(snapshot.release)
    edition = edition_of(snapshot.release, found.published_at)
    if cursor is not None:
        cursor.check(edition)
    page = list(found.groups.items())[:limit]
    more = len(found.groups) > limit
    answer = Totals(
        release=snapshot.release,
        level=level,
        totals=[_total(key, rows) for key, rows in page],
        next=str(Cursor(edition, *page[-1][0])) if more else None,
    )
    return _send(request, answer, edition)


def _send(request: Request, answer: Totals, edition: str) -> Response:
    """Totals are written after their release is published: the tag tells what they are, too."""
    body = answer.model_dump_json().encode()
    tag = f"{edition}.{hashlib.blake2b(body, digest_size=8).hexdigest()}"
    return not_modified(request, tag) or json_answer(body, tag)


def _total(key: GroupKey, rows: list[TotalRow]) -> Total:
    store_id, category = key
    periods = [TotalPeriod.model_validate(row, from_attributes=True) for row in rows]
    return Total(store_id=store_id or None, category=category or None, forecast=periods)
