"""Columns of any Arrow type become rows of a canonical frame; what cannot be read is kept beside them, or refused."""

import json
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import UNREADABLE
from shelfops_pipeline.data.sources.cells import WANTED, Cells, Kind, Mask, as_text, typed
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError

LONGEST = 2000  # characters that are kept of a cell or line that cannot be read
Fail = Callable[[str, int, str, str], DataError]
"""Makes an error of (column, row, what was wanted, what was found)."""


def to_rows(
    table: Mapping[str, pa.ChunkedArray],
    kinds: Mapping[str, Kind],
    form: Format,
    fail: Fail | None,
    broken: Mapping[int, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> pd.DataFrame:
    """A frame of `table`, column by column as its kind says.

    With `fail`, the first cell that cannot be read, and a missing date, is raised. Without, such a cell becomes NaN or
    NaT, and the row's column UNREADABLE says what stood there; the column is there only if some row has one. `broken`:
    rows that are no records at all, by position, with their text. `extra`: columns that are ready.
    """
    cells = {name: typed(table[name], kind, form) for name, kind in kinds.items()}
    if fail is not None:
        _refuse(table, kinds, cells, fail)
    columns = {name: cell.values for name, cell in cells.items()} | dict(extra or {})
    frame = pd.DataFrame(columns, copy=False)
    bad = {name: cell.bad for name, cell in cells.items() if cell.bad is not None}
    if bad or broken:
        frame[UNREADABLE] = _unreadable(len(frame), table, bad, broken or {})
    return frame


def safe_text(text: str) -> str:
    """Text that PostgreSQL and JSON can hold, shortened: NUL is shown as its symbol, half a surrogate pair as ?."""
    return text[:LONGEST].replace("\0", "␀").encode("utf-8", "replace").decode()


def _refuse(
    table: Mapping[str, pa.ChunkedArray], kinds: Mapping[str, Kind], cells: Mapping[str, Cells], fail: Fail
) -> None:
    for name, cell in cells.items():
        bad = cell.bad
        if kinds[name] == "date":
            bad = np.isnat(cell.values) if bad is None else bad | np.isnat(cell.values)
        if bad is not None and bad.any():
            row = int(np.argmax(bad))
            raise fail(name, row, WANTED[kinds[name]], _texts(table[name], np.array([row]))[0] or "")


def _unreadable(
    n: int, table: Mapping[str, pa.ChunkedArray], bad: Mapping[str, Mask], broken: Mapping[int, str]
) -> pd.Series:
    """[n] a JSON object per row with unreadable cells, None for the others."""
    found: dict[int, dict[str, str]] = {row: {"line": safe_text(text)} for row, text in broken.items()}
    for name, mask in bad.items():
        for row, text in _cells_of(table[name], np.flatnonzero(mask)):
            found.setdefault(row, {})[name] = safe_text(text)
    column = np.full(n, None, dtype=object)
    column[list(found)] = [json.dumps(cell, ensure_ascii=False) for cell in found.values()]
    return pd.Series(column)


def _cells_of(values: pa.ChunkedArray, rows: NDArray[np.intp]) -> Iterator[tuple[int, str]]:
    return zip(rows.tolist(), (text or "" for text in _texts(values, rows)), strict=True)


def _texts(values: pa.ChunkedArray, rows: NDArray[np.intp]) -> list[str | None]:
    texts: list[str | None] = as_text(values.take(pa.array(rows))).to_pylist()
    return texts
