"""Totals of the current release: by store, by category, by both, or of the whole retailer."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from shelfops_api.auth import Scope, require
from shelfops_api.deps import SnapshotDep, WarehouseDep
from shelfops_api.errors import Code, Fault, Problem, documented
from shelfops_api.lookup import check_published
from shelfops_api.schemas import SeriesId
from shelfops_pipeline.contracts.columns import TotalLevel
from shelfops_pipeline.store.totals import GroupKey, TotalRow, read_totals

router = APIRouter(prefix="/v1/totals", tags=["forecasts"], dependencies=[Depends(require(Scope.READ))])

_MOST_GROUPS: Final = 1000
_PROBLEMS = documented(Code.INVALID_REQUEST, Code.NO_CHAMPION, Code.RELEASE_UNPUBLISHED, Code.WAREHOUSE_UNAVAILABLE)

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


@router.get("", operation_id="list_totals", responses=_PROBLEMS)
def totals(
    snapshot: SnapshotDep,
    warehouse: WarehouseDep,
    level: Annotated[TotalLevel, Query(description="What is added up")] = TotalLevel.STORE,
    store_id: Annotated[SeriesId | None, Query(description="One store only")] = None,
    category: Annotated[SeriesId | None, Query(description="One category of items only")] = None,
    start: Annotated[date | None, Query(description="First date wanted")] = None,
    end: Annotated[date | None, Query(description="Last date wanted")] = None,
    after: Annotated[str | None, Query(max_length=4000, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_GROUPS, description="Most groups on a page")] = 100,
) -> Totals:
    """Expected demand of whole stores, of categories, of both together, or of the retailer, per period."""
    found = read_totals(
        warehouse.engine(),
        snapshot.release,
        level,
        store_id=store_id,
        category=category,
        start=start,
        end=end,
        after=None if after is None else _key(after),
        limit=limit + 1,
    )
    if not found:
        check_published(warehouse, snapshot.release)
    page = list(found.items())[:limit]
    return Totals(
        release=snapshot.release,
        level=level,
        totals=[_total(key, rows) for key, rows in page],
        next=_cursor(page[-1][0]) if len(found) > limit else None,
    )


def _total(key: GroupKey, rows: list[TotalRow]) -> Total:
    store_id, category = key
    periods = [TotalPeriod.model_validate(row, from_attributes=True) for row in rows]
    return Total(store_id=store_id or None, category=category or None, forecast=periods)


def _cursor(key: GroupKey) -> str:
    return urlsafe_b64encode(json.dumps(key).encode()).decode()


def _key(cursor: str) -> GroupKey:
    try:
        store_id, category = json.loads(urlsafe_b64decode(cursor.encode()))
        if _storable(store_id) and _storable(category):
            return store_id, category
    except (NotBase64, ValueError, TypeError, RecursionError):
        pass
    detail = "`after` is not the `next` of another page"
    fault = Fault(location="query", pointer="/after", detail=detail, code=Code.INVALID_REQUEST)
    raise Problem(Code.INVALID_REQUEST, detail, [fault])


def _storable(part: object) -> bool:
    """A text that PostgreSQL can compare with: without NUL and lone surrogates."""
    return isinstance(part, str) and "\0" not in part and not any("\ud800" <= c <= "\udfff" for c in part)
