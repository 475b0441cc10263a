"""Official CSV files, plain or gzipped: found, read fast, and every defect told in one line.

The fast path lets Arrow convert all columns at once. Only when that fails is the file read again as text, to
name the column, line and value at fault.
"""

import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import LINE, SOURCE
from shelfops_pipeline.data.tables import coded, constant
from shelfops_pipeline.errors import DataError

Kind = Literal["id", "text", "date", "number"]
"""id: category of stripped strings; text: string, maybe empty; date: never missing; number: maybe NaN."""

_US_MINUTES: Final = "%m/%d/%Y %H:%M"  # the Kaggle edition of Online Retail writes 12/1/2010 8:26
_MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")


def find_file(folder: Path | None, names: Sequence[str], origin: str) -> Path:
    """The first official file name that is there, plain or .gz. Raises DataError saying where to get it."""
    if folder is None:
        raise DataError(f"no data folder: pass --data DIR (or SHELFOPS_DATA) with {names[0]}; get it from {origin}")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: pass the one that holds {names[0]}; get it from {origin}")
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    wanted = " or ".join(names)
    raise DataError(f"{wanted} (plain or .gz) not found in {folder}; get it from {origin}")


def header(path: Path, data: bytes) -> list[str]:
    """Column names of a CSV file. Raises DataError when it is empty or names a column twice."""
    first = data.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip()
    if not first:
        raise DataError(f"{path.name}: the file is empty")
    found = [name.strip().strip('"') for name in first.decode("utf-8").split(",")]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}: column {twice[0]} appears more than once")
    return found


def read_bytes(path: Path) -> bytes:
    """The decompressed content as UTF-8. Raises DataError if unreadable, truncated or wrongly named."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except EOFError as error:
        raise DataError(f"{path.name}: the gzip file is truncated; download it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name}: not a valid gzip file ({error}); download it again") from error
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        # Older official files are Windows exports; every byte sequence is valid latin-1.
        data = data.decode("latin-1").encode("utf-8")
    return data


def read_csv(path: Path, kinds: Mapping[str, Kind], *, lines: bool = False) -> pd.DataFrame:
    """The named columns of a CSV file; with `lines` also `source` (file name) and `line` (the header is 1).

    Raises DataError naming file, column, line and value of the first defect.
    """
    return read_csv_bytes(path, read_bytes(path), kinds, lines=lines)


def read_csv_bytes(path: Path, data: bytes, kinds: Mapping[str, Kind], *, lines: bool = False) -> pd.DataFrame:
    """`read_csv` of content that was read before."""
    found = header(path, data)
    absent = [name for name in kinds if name not in found]
    if absent:
        raise DataError(f"{path.name}: column {absent[0]} is missing; columns found: {', '.join(found[:20])}")
    table = _parse(path, data, kinds)
    if not table.num_rows:
        raise DataError(f"{path.name}: the file has a header but no rows")
    columns: dict[str, object] = {name: _column(table[name], kind) for name, kind in kinds.items()}
    if lines:
        columns[SOURCE] = constant(path.name, table.num_rows)
        columns[LINE] = line_numbers(data, table.num_rows)
    frame = pd.DataFrame(columns, copy=False)
    for name in (name for name, kind in kinds.items() if kind == "date"):
        empty = frame[name].isna().to_numpy()
        if empty.any():
            raise _first_bad(path, data, name, empty, "")
    return frame


def line_numbers(data: bytes, n_rows: int) -> NDArray[np.int64]:
    """1-based file line of each of the `n_rows` records after the header.

    Counts lines only where blank lines or line breaks inside quotes put records and lines out of step.
    """
    if data.count(b"\n") + (not data.endswith(b"\n")) == n_rows + 1:
        return np.arange(2, n_rows + 2)
    chars = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    newline = np.flatnonzero(chars == ord("\n"))
    outside = np.cumsum(chars == ord('"'))[newline] % 2 == 0
    ends = newline[outside]
    starts = np.r_[0, ends[:-1] + 1]
    content = ends - starts - (chars[np.maximum(ends - 1, 0)] == ord("\r"))
    first_lines = np.asarray(np.searchsorted(newline, starts) + 1, dtype=np.int64)
    records: NDArray[np.int64] = first_lines[content > 0]
    return records[1 : n_rows + 1]


def _parse(path: Path, data: bytes, kinds: Mapping[str, Kind]) -> pa.Table:
    types = {
        "id": pa.dictionary(pa.int32(), pa.string()),
        "text": pa.string(),
        "date": pa.timestamp("ns"),
        "number": pa.float64(),
    }
    try:
        return _arrow(data, {name: types[kind] for name, kind in kinds.items()})
    except pa.ArrowInvalid as error:
        raise _diagnose(path, data, kinds, error) from error


def _arrow(data: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=b'"' in data),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=list(types),
            column_types=dict(types),
            null_values=list(_MISSING),
            timestamp_parsers=[arrow_csv.ISO8601, _US_MINUTES],
        ),
    )


def _column(values: pa.ChunkedArray, kind: Kind) -> pd.Series:
    if kind != "id":
        return cast(pd.Series, values.to_pandas())
    merged = values.unify_dictionaries().combine_chunks()
    merged = merged.chunk(0) if isinstance(merged, pa.ChunkedArray) else merged
    names = pd.Series(merged.dictionary.to_pandas(), dtype=object).str.strip()
    return pd.Series(recode(merged.indices.fill_null(-1).to_numpy(zero_copy_only=False), names))


def recode(codes: NDArray[np.integer[Any]], names: pd.Series) -> pd.Categorical:
    """A categorical of `names[codes]` (-1: missing), where cleaning may have made names equal or empty."""
    to, categories = pd.factorize(names.where(names != ""), sort=True)
    table = np.append(to, -1).astype(np.int32)
    return coded(table[codes], categories)


def _diagnose(path: Path, data: bytes, kinds: Mapping[str, Kind], error: Exception) -> DataError:
    """Find what Arrow could not read; it names neither line nor column."""
    try:
        text = _arrow(data, {name: pa.string() for name in kinds})
    except pa.ArrowInvalid:
        return _ragged(path, data, error)
    for name, kind in kinds.items():
        values = cast(pd.Series, text[name].to_pandas()).str.strip()
        empty = values.isin(_MISSING).to_numpy()
        if kind == "number":
            bad = pd.to_numeric(values, errors="coerce").isna().to_numpy() & ~empty
        elif kind == "date":
            iso = pd.to_datetime(values, errors="coerce", format="ISO8601")
            bad = (iso.isna() & pd.to_datetime(values, errors="coerce", format=_US_MINUTES).isna()).to_numpy()
        else:
            continue
        if bad.any():
            wanted = "a number is expected" if kind == "number" else "unreadable date"
            return _first_bad(path, data, name, bad, str(values[bad].iloc[0]), wanted)
    return DataError(f"{path.name}: cannot be read: {_one_line(error)}")


def _first_bad(
    path: Path, data: bytes, column: str, bad: NDArray[np.bool_], value: str, wanted: str = "unreadable date"
) -> DataError:
    row = int(np.argmax(bad))
    line = int(line_numbers(data, len(bad))[row])
    return DataError(f"{path.name}, column {column}, line {line}: {wanted}, found '{value[:60]}'")


def _ragged(path: Path, data: bytes, error: Exception) -> DataError:
    seen: list[arrow_csv.InvalidRow] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        seen.append(row)
        return "skip"

    try:
        arrow_csv.read_csv(
            io.BytesIO(data),
            arrow_csv.ReadOptions(use_threads=False),
            arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
            arrow_csv.ConvertOptions(),
        )
    except pa.ArrowInvalid as again:
        return DataError(f"{path.name}: cannot be read: {_one_line(again)}")
    if not seen:
        return DataError(f"{path.name}: cannot be read: {_one_line(error)}")
    row = seen[0]
    expected, actual = row.expected_columns, row.actual_columns
    return DataError(f"{path.name}, line {row.number}: {expected} columns expected, {actual} found")


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))[:200]
