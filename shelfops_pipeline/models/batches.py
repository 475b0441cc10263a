"""Training rows as XGBoost reads them: whole, or, where they are too many for memory, in batches that it keeps on disk
in binned form (`ExtMemQuantileDMatrix`). Imported where it is used, since it imports XGBoost.
"""

import mmap
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import xgboost
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BATCH_ROWS: Final = 200_000


def train(
    params: dict[str, Any], matrix: Floats, label: Floats, max_bin: int, rounds: int, in_memory: bool
) -> xgboost.Booster:
    """A booster of rows [n, F] with their labels [n]. If not `in_memory`, what is held there of `matrix`, which may be
    memory-mapped, is a batch; the binned rows lie in the system's temporary folder meanwhile."""
    if in_memory:
        data = xgboost.QuantileDMatrix(np.array(matrix), label, max_bin=max_bin)  # it is read many times
        return xgboost.train(params, data, rounds)
    with TemporaryDirectory(prefix="shelfops-rows-") as folder:
        batches = _Batches(matrix, label, Path(folder))
        # No name for the matrix: it must be gone before its folder is.
        return xgboost.train(params, xgboost.ExtMemQuantileDMatrix(batches, max_bin=max_bin), rounds)


class _Batches(xgboost.DataIter):  # type: ignore[misc]  # XGBoost has no types
    """The rows, batch by batch, as often as XGBoost asks for them."""

    def __init__(self, matrix: Floats, label: Floats, cache: Path) -> None:
        self._matrix, self._label = matrix, label
        self._starts = range(0, len(label), _BATCH_ROWS)
        self._next = 0
        super().__init__(cache_prefix=str(cache / "rows"))

    def reset(self) -> None:
        self._next = 0

    def next(self, input_data: Callable[..., Any]) -> bool:
        if self._next == len(self._starts):
            return False
        start = self._starts[self._next]
        part = slice(start, start + _BATCH_ROWS)
        input_data(data=np.array(self._matrix[part]), label=self._label[part])
        file: Any = self._matrix.base
        if isinstance(file, mmap.mmap):
            file.madvise(mmap.MADV_DONTNEED)  # or all of the file would be held in memory as long as there is room
        self._next += 1
        return True
