"""All of the history up to an origin: sums, largest value and last event, for a few origins in one pass.

Origins cut time into segments. One pass reduces each segment, and adding up over segments gives every origin; nothing
as long as the history is kept. All kernels take [S, T] arrays in which NaN means missing, and ascending origins [n].
"""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.features.arrays import Bools, Doubles, Floats

Counts = NDArray[np.int64]


def expanding_sums(values: Floats, origins: NDArray[np.intp]) -> tuple[Doubles, Counts]:
    """([S, n] sum, [S, n] count) of what is known up to and including each origin."""
    past = values[:, : origins[-1] + 1]
    seen = np.isfinite(past)
    total = np.add.reduceat(np.where(seen, past, 0), _starts(origins), axis=1, dtype=np.float64)
    count = np.add.reduceat(seen, _starts(origins), axis=1, dtype=np.int64)
    return np.cumsum(total, axis=1), np.cumsum(count, axis=1)


def expanding_max(values: Floats, origins: NDArray[np.intp]) -> Floats:
    """[S, n] largest known value up to and including each origin; NaN where none is known."""
    highest = np.fmax.reduceat(values[:, : origins[-1] + 1], _starts(origins), axis=1)
    return np.fmax.accumulate(highest, axis=1)


def last_position(event: Bools, origins: NDArray[np.intp]) -> NDArray[np.int32]:
    """[S, n] position of the last event up to and including each origin; -1: none."""
    past = event[:, : origins[-1] + 1]
    at = np.where(past, np.arange(past.shape[1], dtype=np.int32), np.int32(-1))
    return np.maximum.accumulate(np.maximum.reduceat(at, _starts(origins), axis=1), axis=1)


def _starts(origins: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.concatenate([[0], origins[:-1] + 1])
