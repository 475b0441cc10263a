"""What routes that change the retailer's day share: who may, ids, notes and pages."""

from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shelfops_api.auth import Principal, Scope, require
from shelfops_api.errors import Code, Fault, Problem
from shelfops_api.schemas import SeriesId

READ: Final = [Depends(require(Scope.READ))]
Operator = Annotated[Principal, Depends(require(Scope.OPERATE))]
"""Whoever changes something, by name."""
MOST_PER_PAGE: Final = 1000

Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="Most entries of a page")]
After = Annotated[SeriesId | None, Query(description="`next` of the page before")]
StoreFilter = Annotated[SeriesId | None, Query(description="Only this store", examples=["S01"])]
ItemFilter = Annotated[SeriesId | None, Query(description="Only this item", examples=["I003"])]
SupplierFilter = Annotated[SeriesId | None, Query(description="Only this supplier", examples=["SUP1"])]
AlertId = Annotated[SeriesId, Path(description="Of the alert", examples=["3f0c2a9b6f1e4d0c8a57"])]
OrderId = Annotated[SeriesId, Path(description="Of the order", examples=["9b1d20aa41c74f6f8a0e"])]


class Told(BaseModel):
    """An answer made of a row of the warehouse."""

    model_config = ConfigDict(from_attributes=True)


class Remark(BaseModel):
    """Why, for those who look at it later."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "delivered this morning"}]})

    note: Note = ""


def next_of(entries: list[Any], limit: int, key: str) -> str | None:
    """The `next` of a page: the id of its last entry, where there may be more."""
    return str(getattr(entries[-1], key)) if len(entries) == limit else None


def half_cursor(absent: str) -> Problem:
    """A page was asked for by one half of `next_store` and `next_item`."""
    detail = "after_store and after_item go together"
    fault = Fault(location="query", pointer=f"/{absent}", detail=detail, code=Code.INVALID_REQUEST)
    return Problem(Code.INVALID_REQUEST, detail, [fault])


NextField = Annotated[str | None, Field(description="Give it as `after` for the next page; null: this was the last")]
