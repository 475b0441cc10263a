"""Windows over known-future channels: how much lies just before or after each period, how long since or until.

All functions take [S, W] arrays and return [S, W]; nothing reaches beyond the array, so what is not known yet at the
origin (periods after the horizon) cannot be used by accident.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def _padded_cumsum(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """[S, W + 1]: sums of the first k values."""
    total = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


@lru_cache(maxsize=64)
def _bounds(width: int, before: int, after: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    at = np.arange(width)
    return np.clip(at - before, 0, width), np.clip(at + after + 1, 0, width)


def sum_before(values: NDArray[np.generic], n: int) -> Floats:
    """Sum of the n periods before each, itself excluded."""
    total = _padded_cumsum(values)
    low, _ = _bounds(values.shape[1], n, 0)
    return (total[:, :-1] - total[:, low]).astype(np.float32)


def sum_after(values: NDArray[np.generic], n: int) -> Floats:
    """Sum of the n periods after each, itself excluded."""
    total = _padded_cumsum(values)
    _, high = _bounds(values.shape[1], 0, n)
    return (total[:, high] - total[:, 1:]).astype(np.float32)


def _mean(total: Floats, count: Floats) -> Floats:
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def mean_before(values: Floats, n: int) -> Floats:
    """Mean of the known values among the n periods before each; NaN where none is known."""
    known = np.isfinite(values)
    return _mean(sum_before(np.where(known, values, 0), n), sum_before(known, n))


def mean_after(values: Floats, n: int) -> Floats:
    """Mean of the known values among the n periods after each; NaN where none is known."""
    known = np.isfinite(values)
    return _mean(sum_after(np.where(known, values, 0), n), sum_after(known, n))


def _last(event: Bools) -> NDArray[np.intp]:
    """Position of the last event up to and including each period; -1: none."""
    at = np.where(event, np.arange(event.shape[1]), -1)
    return np.maximum.accumulate(at, axis=1)


def since(event: Bools, cap: int) -> Floats:
    """Periods since the last event (0: now), at most `cap`."""
    last = _last(event)
    gap = np.arange(event.shape[1]) - last
    return np.where(last < 0, cap, np.minimum(gap, cap)).astype(np.float32)


def until(event: Bools, cap: int) -> Floats:
    """Periods until the next event (0: now), at most `cap`."""
    return since(event[:, ::-1], cap)[:, ::-1]


def run_length(event: Bools) -> Floats:
    """Length so far of the run of events that each period is in; 0 outside."""
    return np.where(event, np.arange(event.shape[1]) - _last(~event), 0).astype(np.float32)


def last_run_length(event: Bools) -> Floats:
    """Length of the run of events that ended most recently before or at each period; 0: none seen."""
    last = _last(event)
    length = np.take_along_axis(run_length(event), np.maximum(last, 0), axis=1)
    return np.where(last < 0, 0, length).astype(np.float32)


def previous(values: Floats) -> Floats:
    """The last known value before each period; NaN where none is known."""
    last = _last(np.isfinite(values))
    before = np.concatenate([np.full((len(values), 1), -1), last[:, :-1]], axis=1)
    found = np.take_along_axis(values, np.maximum(before, 0), axis=1)
    return np.where(before < 0, np.float32(np.nan), found)
