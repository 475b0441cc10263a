"""The types of arrays that features are made of, and the mean that knows when there is none."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


def ratio(total: Doubles | NDArray[np.integer], count: Doubles | NDArray[np.integer]) -> Floats:
    """total / count as float32, NaN where nothing was counted."""
    out = np.full(np.broadcast_shapes(total.shape, count.shape), np.nan, dtype=np.float32)
    return np.divide(total, count, out=out, where=count > 0, casting="unsafe")
