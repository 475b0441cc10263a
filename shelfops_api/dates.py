"""From when to when: what routes that narrow forecasts by date share."""

from datetime import date
from typing import Annotated

from fastapi import Query

from shelfops_api.errors import Code, Fault, Problem

Start = Annotated[date | None, Query(description="First date wanted", examples=["2026-01-05"])]
End = Annotated[date | None, Query(description="Last date wanted", examples=["2026-01-11"])]


def check_order(start: date | None, end: date | None) -> None:
    """Raises Problem for a range that ends before it begins."""
    if start is not None and end is not None and start > end:
        raise date_problem(Code.INVALID_REQUEST, f"start, {start}, is after end, {end}", start, end)


def date_problem(code: Code, detail: str, start: date | None, end: date | None) -> Problem:
    """A problem with those of the two dates that were given."""
    faults = [
        Fault(location="query", pointer=f"/{name}", detail=detail, code=code)
        for name, value in (("start", start), ("end", end))
        if value is not None
    ]
    return Problem(code, detail, faults)
