"""The types of arrays that features are made of, and the mean that knows when there is none."""

import math
from tempfile import TemporaryFile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


_LARGE: Final = 1 << 30  # bytes


def spacious(shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
    """An array yet to be filled. A large one lies in a nameless file of the system's temporary folder, so that what is
    too much for memory need not stay there."""
    if math.prod(shape) * np.dtype(dtype).itemsize < _LARGE:
        return np.empty(shape, dtype)
    with TemporaryFile(prefix="shelfops-") as file:
        return np.memmap(file, dtype, mode="w+", shape=shape)


def ratio(total: Doubles | NDArray[np.integer], count: Doubles | NDArray[np.integer]) -> Floats:
    """total / count as float32, NaN where nothing was counted."""
    out = np.full(np.broadcast_shapes(total.shape, count.shape), np.nan, dtype=np.float32)
    return np.divide(total, count, out=out, where=count > 0, casting="unsafe")
