"""When an order can be placed, and when the next one can: suppliers take orders on some weekdays, until an hour."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


def next_order_days(
    weekdays: Bools, cutoff_hour: Doubles, review_days: Doubles, today: date, hour: float
) -> tuple[Doubles, Doubles]:
    """(days until an order can be placed, days until the one after it) of n series.

    `weekdays` [n, 7] has Monday first; a row without any is a supplier that takes orders on all of them. At `hour` of
    `today` the orders of suppliers whose cut-off has passed are of another day (NaN: no cut-off). The order after it
    comes at least `review_days` later.
    """
    taken = np.where(weekdays.any(axis=1, keepdims=True), weekdays, True)
    late = hour >= np.where(np.isfinite(cutoff_hour), cutoff_hour, 24.0)
    first = _next_on(taken, today.weekday(), late.astype(np.int64))
    after = _next_on(taken, today.weekday(), first + np.maximum(np.ceil(review_days), 1).astype(np.int64))
    return first.astype(np.float64), after.astype(np.float64)


def _next_on(taken: Bools, weekday: int, earliest: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n] the first day, `earliest` days from a `weekday` or later, on which orders are taken."""
    ahead = (weekday + earliest[:, None] + np.arange(7)) % 7
    return np.asarray(earliest + np.argmax(np.take_along_axis(taken, ahead, axis=1), axis=1))
