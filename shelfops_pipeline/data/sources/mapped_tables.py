"""One table of a mapping, read under canonical names from files or a query."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import SOURCE
from shelfops_pipeline.data.mapping import Constant, Table
from shelfops_pipeline.data.sources.cells import Cells, Kind, as_text, typed
from shelfops_pipeline.data.sources.delimited import header, read_delimited
from shelfops_pipeline.data.sources.locate import Place, find_places
from shelfops_pipeline.data.sources.parquet import read_parquet
from shelfops_pipeline.data.sources.rows import to_rows
from shelfops_pipeline.data.sources.sql import SqlTable
from shelfops_pipeline.data.tables import EARLIEST, coded, constant, joined
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError


class MappedTable:
    """A table of the retailer's, read as `kinds` says; `names` gives a canonical column another name in the mapping.

    `lenient`: what cannot be read is kept in UNREADABLE; else it raises DataError with file, column, line and value.
    """

    def __init__(
        self,
        table: Table,
        what: str,
        folder: Path | None,
        kinds: Mapping[str, Kind],
        *,
        names: Mapping[str, str] | None = None,
        lenient: bool = False,
    ) -> None:
        chosen = {out: table.columns[(names or {}).get(out, out)] for out in kinds}
        self.what, self.lenient, self._form = what, lenient, table.format
        self._own = {out: column for out, column in chosen.items() if isinstance(column, str)}
        self._kinds = {out: kinds[out] for out in self._own}
        self._fixed = {
            o: _fixed(f"{what}.columns.{o}", v, kinds[o]) for o, v in chosen.items() if isinstance(v, Constant)
        }
        self._files, self._folder = table.files, folder
        self.sql = None if table.sql is None else SqlTable(table.sql, what, folder)

    def read(self, start: date = EARLIEST, end: date | None = None, *, once: bool = False) -> pd.DataFrame:
        """All rows, with SOURCE (and LINE, of files); of a query that is by period, those of start..end (today).

        Raises DataError when there is no such file or column; with `once`, also when a file is a copy of another.
        """
        if self.sql is not None:
            return joined(list(self.batches(start, end or date.today())))
        places = find_places(self._files or "", self._folder, f"{self.what}.files")
        frames: list[pd.DataFrame] = []
        seen: dict[Any, str] = {}
        for place in places:
            data = place.read()
            frames.append(self._with_constants(self._file(place, data)))
            content = (hashlib.sha256(data).digest(), *place.partitions.items())
            if once and len(frames[-1]) and (first := seen.setdefault(content, place.name)) != place.name:
                raise DataError(f"{self.what}: {place.name} is a copy of {first}: remove one, or its rows count twice")
        return joined([frame for frame in frames if len(frame)] or frames[:1])

    def batches(self, start: date, end: date) -> Iterator[pd.DataFrame]:
        """The query's rows piece by piece; of start..end if the query is by period."""
        assert self.sql is not None  # noqa: S101  # only called for queries
        before = 0

        def fail(column: str, row: int, wanted: str, found: str) -> DataError:
            at = f"{self.what}, column {self._own[column]}, row {before + row + 1}"
            return DataError(f"{at}: {wanted}, found '{found[:60]}'")

        for columns in self.sql.batches(list(dict.fromkeys(self._own.values())), start, end):
            chosen = {out: columns[own] for out, own in self._own.items()}
            rows = len(next(iter(chosen.values())))
            where = {SOURCE: constant(f"{self.what} query", rows)}
            frame = to_rows(chosen, self._kinds, self._form, None if self.lenient else fail, extra=where)
            yield self._with_constants(frame)
            before += rows

    def days(self, column: str) -> NDArray[np.datetime64]:
        """The different days of a query's date column; NaT where unreadable."""
        assert self.sql is not None  # noqa: S101
        parts = [self._days(values, column) for values in self.sql.distinct(self._own[column])]
        return np.unique(np.concatenate(parts))

    def first_and_last(self, column: str) -> NDArray[np.datetime64]:
        """[2] the least and greatest day of a query's date column, by the database's own order; NaT if unreadable."""
        assert self.sql is not None  # noqa: S101
        return self._days(self.sql.extent(self._own[column]), column)

    def is_text(self, column: str) -> bool:
        """Are the dates text in the query's answer, so that only their own format can order them?"""
        assert self.sql is not None  # noqa: S101
        return bool(pa.types.is_string(self.sql.extent(self._own[column]).type))

    def ids(self, column: str) -> list[str]:
        """The different ids in a query's column, sorted."""
        if column in self._fixed:
            return [str(x) for x in pd.Series(self._fixed[column].values).dropna()]
        assert self.sql is not None  # noqa: S101
        parts = [typed(v, "id", self._form).values for v in self.sql.distinct(self._own[column])]
        return sorted({str(name) for part in parts for name in part.categories})

    def _days(self, values: pa.ChunkedArray, column: str) -> NDArray[np.datetime64]:
        return np.asarray(typed(values, self._kinds[column], self._form).values).astype("datetime64[D]")

    def _file(self, place: Place, data: bytes) -> pd.DataFrame:
        stated = place.partitions
        if place.is_parquet:
            return read_parquet(
                place.name, data, self._kinds, self._form, names=self._own, stated=stated, lenient=self.lenient
            )
        in_path: dict[str, str | None] = {}
        if stated:
            there = header(place.name, data, self._form)
            in_path = {out: stated[own] for out, own in self._own.items() if own in stated and own not in there}
        kinds = {out: kind for out, kind in self._kinds.items() if out not in in_path}
        frame = read_delimited(place.name, data, kinds, self._form, names=self._own, lines=True, lenient=self.lenient)
        for out, value in in_path.items():
            cell = _fixed(f"{place.name}, {self._own[out]}", Constant(value=value or ""), self._kinds[out], self._form)
            frame[out] = _repeated(cell, len(frame))
        return frame

    def _with_constants(self, frame: pd.DataFrame) -> pd.DataFrame:
        for name, cell in self._fixed.items():
            frame[name] = _repeated(cell, len(frame))
        return frame


_PLAIN = Format()


def _fixed(what: str, column: Constant, kind: Kind, form: Format = _PLAIN) -> Cells:
    """The one cell of a constant. Raises DataError if it cannot be read."""
    cell = typed(as_text(pa.chunked_array([pa.array([column.value])])), kind, form)
    if cell.bad is not None:
        raise DataError(f"{what}: {column.value!r} cannot be read as a {kind}")
    return cell


def _repeated(cell: Cells, n: int) -> Any:
    if isinstance(cell.values, pd.Categorical):
        return coded(np.repeat(cell.values.codes, n), cell.values.categories)
    return np.repeat(np.asarray(cell.values), n)
