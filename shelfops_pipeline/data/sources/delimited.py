"""Delimited text files: read fast, and every defect told with its line or kept with its row.

The fast path lets Arrow split and convert everything at once. Only when Arrow refuses is the file read again as text.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import LINE, SOURCE
from shelfops_pipeline.data.sources.cells import MISSING, Kind
from shelfops_pipeline.data.sources.lines import line_numbers
from shelfops_pipeline.data.sources.rows import Fail, to_rows
from shelfops_pipeline.data.tables import constant
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError

_BOM: Final = b"\xef\xbb\xbf"
_LARGEST_BLOCK: Final = 2**31 - 1
_LONGEST_RECORD: Final = 2**16  # characters that are looked at to count cells or to find the end of a header
_BLANK: Final = re.compile(rb"(?:[ \t]*\r?\n)*")


class _Text(NamedTuple):
    """A file as UTF-8, and where its rows begin."""

    name: str
    data: bytes
    columns: list[str]
    start: int
    """Offset of the first row."""
    form: Format


class _Table(NamedTuple):
    """The rows of a file, by the retailer's own column names."""

    columns: Mapping[str, pa.ChunkedArray]
    n_records: int
    """All that the file holds, kept or not."""
    kept: NDArray[np.bool_] | None = None
    """[n_records] which records are rows; None: all."""
    broken: Mapping[int, str] | None = None
    """Rows with too few or too many cells, by position."""


def read_delimited(
    name: str,
    data: bytes,
    kinds: Mapping[str, Kind],
    form: Format,
    *,
    names: Mapping[str, str] | None = None,
    lines: bool = False,
    lenient: bool = False,
    fallback: str | None = None,
) -> pd.DataFrame:
    """The columns `kinds` of a text file; `names` says what the file calls them, where it is something else.

    `lines`: also SOURCE (the file's `name`) and LINE (the first is 1). `lenient`: what cannot be read goes to the
    column UNREADABLE; otherwise, and for what makes the whole file unusable, raises DataError naming file, column,
    line and value. `fallback`: the encoding of files that are not in the one that `form` names.
    """
    text = _open(name, data, form, fallback)
    own = {out: (names or {}).get(out, out) for out in kinds}
    _require(text, own.values())
    table = _rows(text, {own[out]: _arrow_type(kind, form) for out, kind in kinds.items()})
    numbers = line_numbers(text.data, table.n_records, form.quote) + form.skip_rows
    if table.kept is not None:
        numbers = numbers[table.kept]
    if not lenient and table.broken:
        raise _ragged(text, numbers, table.broken)
    chosen = {out: table.columns[column] for out, column in own.items()}
    where = {SOURCE: constant(name, len(numbers)), LINE: numbers} if lines else {}
    return to_rows(chosen, kinds, form, None if lenient else _complaint(name, own, numbers), table.broken, where)


def header(name: str, data: bytes, form: Format, fallback: str | None = None) -> list[str]:
    """Column names of a text file. Raises DataError when it is empty."""
    return _open(name, data, form, fallback).columns


def _open(name: str, data: bytes, form: Format, fallback: str | None) -> _Text:
    data = _utf8(name, data, form, fallback)
    for _ in range(form.skip_rows):
        data = data[data.find(b"\n") + 1 or len(data) :]
    start = _BLANK.match(data).end()  # type: ignore[union-attr]  # it matches the empty string too
    end = _end_of_record(data, start, form.quote.encode())
    first = data[start:end].decode().strip("\r\n")
    if not first.strip():
        raise DataError(f"{name}: the file is empty; copy it again, or remove it")
    return _Text(name, data, [cell.strip() for cell in _split(first, form)], end, form)


def _end_of_record(data: bytes, start: int, quote: bytes) -> int:
    """Offset after the line, or lines if the break is inside quotes, that begin at `start`."""
    line = end = data.find(b"\n", start) + 1 or len(data)
    while quote and data.count(quote, start, end) % 2:
        if end - start > _LONGEST_RECORD or end == len(data):
            return line  # a lone quote opens nothing
        end = data.find(b"\n", end) + 1 or len(data)
    return end


def _split(record: str, form: Format) -> list[str]:
    quoting: dict[str, Any] = {"quotechar": form.quote} if form.quote else {"quoting": csv.QUOTE_NONE}
    lines = io.StringIO(record[:_LONGEST_RECORD], newline="")  # str.splitlines would break at a form feed, too
    return next(csv.reader(lines, delimiter=form.separator, **quoting))


def _utf8(name: str, data: bytes, form: Format, fallback: str | None) -> bytes:
    """The content as UTF-8 with \\n or \\r\\n between lines, without a byte order mark."""
    if not (data.isascii() and "\n;09az".encode(form.encoding) == b"\n;09az"):
        try:
            text = data.decode(form.encoding)
            data = data if codecs.lookup(form.encoding).name == "utf-8" else text.encode()
        except UnicodeDecodeError as error:
            if fallback is None:
                line = data.count(b"\n", 0, error.start) + 1
                raise DataError(
                    f"{name}, line {line}: not {form.encoding}; name the file's own `encoding`, such as cp1252"
                ) from error
            data = data.decode(fallback).encode()
        except UnicodeEncodeError as error:  # half a surrogate pair, which utf-16 can hold
            raise DataError(f"{name}: not valid {form.encoding} ({error.reason})") from error
    data = data.removeprefix(_BOM)
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return data


def _require(text: _Text, wanted: Iterable[str]) -> None:
    for column in wanted:
        if column not in text.columns:
            found = ", ".join(text.columns[:20])
            hint = "" if len(text.columns) > 1 else f" (separator {text.form.separator!r})"
            raise DataError(f"{text.name}: column {column} is missing; columns found: {found}{hint}")
        if text.columns.count(column) > 1:
            raise DataError(f"{text.name}: column {column} appears more than once")


def _arrow_type(kind: Kind, form: Format) -> pa.DataType:
    """The type that Arrow is to read a column as: what it cannot read itself is read as text and parsed after."""
    if kind == "number" and not form.thousands:
        return pa.float64()
    if kind == "date" and form.date is None and form.timezone is None:
        return pa.timestamp("ns")
    return pa.string() if kind in ("text", "number") else pa.dictionary(pa.int32(), pa.string())


def _rows(text: _Text, types: Mapping[str, pa.DataType]) -> _Table:
    rest = pa.py_buffer(text.data).slice(text.start)
    if len(rest) < 2**16 and not text.data[text.start :].strip():
        return _Table({name: pa.chunked_array([], kind) for name, kind in types.items()}, 0)
    try:
        table = _arrow(text, rest, types)
    except pa.ArrowInvalid:
        return _salvage(text, rest, list(types))
    return _Table({name: table[name] for name in types}, table.num_rows)


def _arrow(text: _Text, rest: pa.Buffer, types: Mapping[str, pa.DataType], **options: Any) -> pa.Table:
    form, quote = text.form, text.form.quote
    block = {} if not options else {"use_threads": False, "block_size": min(max(rest.size, 2), _LARGEST_BLOCK)}
    unique = [n if n in types else f"{n} #{i}" for i, n in enumerate(text.columns)]
    return arrow_csv.read_csv(
        pa.BufferReader(rest),
        read_options=arrow_csv.ReadOptions(column_names=unique, **block),
        parse_options=arrow_csv.ParseOptions(
            delimiter=form.separator,
            quote_char=quote or False,
            newlines_in_values=bool(quote) and quote.encode() in text.data,
            **options,
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=list(types),
            column_types=dict(types),
            null_values=list(MISSING),
            decimal_point=form.decimal,
            timestamp_parsers=[arrow_csv.ISO8601],
        ),
    )


def _salvage(text: _Text, rest: pa.Buffer, columns: list[str]) -> _Table:
    """Every cell as text, and records with too few or too many cells as rows without any."""
    seen: list[tuple[int, str]] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        seen.append((row.number - 1, row.text))
        return "skip"

    try:
        table = _arrow(text, rest, dict.fromkeys(columns, pa.string()), invalid_row_handler=keep)
    except pa.ArrowInvalid as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise DataError(f"{text.name}: cannot be read: {reason}") from error
    n = table.num_rows + len(seen)
    if not seen:
        return _Table({name: table[name] for name in columns}, n)
    whole, blank = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    whole[[at for at, _ in seen]] = False
    blank[[at for at, line in seen if not line.strip()]] = True
    position = np.where(whole, np.cumsum(whole) - 1, -1)[~blank]
    index = pa.array(position, mask=position < 0)
    row_of = np.cumsum(~blank) - 1
    broken = {int(row_of[at]): line for at, line in seen if not blank[at]}
    return _Table({name: table[name].take(index) for name in columns}, n, ~blank, broken)


def _complaint(name: str, own: Mapping[str, str], numbers: NDArray[np.int64]) -> Fail:
    def fail(column: str, row: int, wanted: str, found: str) -> DataError:
        return DataError(f"{name}, column {own[column]}, line {numbers[row]}: {wanted}, found '{found[:60]}'")

    return fail


def _ragged(text: _Text, numbers: NDArray[np.int64], broken: Mapping[int, str]) -> DataError:
    row = min(broken)
    cells = _split(broken[row], text.form)
    return DataError(f"{text.name}, line {numbers[row]}: {len(text.columns)} columns expected, {len(cells)} found")
