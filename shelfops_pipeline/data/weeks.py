"""Weeks: dated by their Monday, and whole or not."""

from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.keys import first_day
from shelfops_pipeline.errors import DataError

_LOOK: Final = 8  # weeks that say on which weekday a week of this retailer begins or ends


def weekdays(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Weekday of each day, Monday is 0."""
    number = days.astype("datetime64[D]").astype(np.int64)
    return number - first_day(number, Grain.WEEK)


def mondays(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The Monday of each day's week, as datetime64[D]; NaT stays."""
    whole = days.astype("datetime64[D]")
    return np.where(np.isnat(whole), whole, whole - weekdays(whole))


def whole_weeks(days: NDArray[np.datetime64]) -> tuple[date, date]:
    """First and last day of trade of the weeks that are there as a whole.

    A first or last week that lacks days would look like a rise or a collapse of demand. A week is whole when it reaches
    as far as the retailer's other weeks do: who never opens on Sundays has whole weeks that end on a Saturday.
    Raises DataError when no week is whole.
    """
    days = np.unique(days.astype("datetime64[D]"))
    weekday, week = weekdays(days), mondays(days)
    starts = np.flatnonzero(np.r_[True, week[1:] != week[:-1]])
    ends = np.r_[starts[1:], len(days)] - 1
    first, last = 0, len(starts) - 1
    begins, stops = weekday[starts], weekday[ends]
    if begins[0] > _usual(begins[1:-1][:_LOOK], 0):
        first += 1
    if stops[-1] < 6 - _usual(6 - stops[1:-1][-_LOOK:], 0):
        last -= 1
    if first > last:
        raise DataError(f"{days[0]} to {days[-1]}: less than one whole week; weekly demand needs whole weeks")
    return days[starts[first]].item(), days[ends[last]].item()


def _usual(seen: NDArray[np.int64], otherwise: int) -> int:
    """The most frequent of small numbers, the least of equals; `otherwise` where there are none."""
    return int(np.bincount(seen).argmax()) if len(seen) else otherwise
