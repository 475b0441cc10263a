"""Arrow batches as PostgreSQL's binary COPY format, assembled with numpy: no Python loop over rows.

The format (PostgreSQL manual, COPY, "Binary Format"): per row the number of fields, and per field its length in bytes
and its value in network byte order; length -1 is NULL. Every column becomes a matrix of cells, wide enough for its
longest value, and a mask of the bytes that are used; the used bytes of a row of cells are the row.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
MAX_BYTES: Final = 32_000_000
"""Of one matrix of cells: a few very long texts make the batch be split, not the memory grow."""
_EPOCH_DAYS: Final = np.datetime64("2000-01-01", "D").astype(np.int64)
_EPOCH_MICROSECONDS: Final = np.datetime64("2000-01-01", "us").astype(np.int64)
_NULL: Final = 0xFF  # four of them are the length -1

Bytes = NDArray[np.uint8]
Cells = tuple[Bytes, NDArray[np.integer[Any]]]
"""`[n x width]` bytes, length and value; and how many of them are used, `[n]`."""


def encode(batch: "pa.RecordBatch") -> Iterator[memoryview]:
    """The rows of `batch`, without header and trailer.

    Columns are date32, timestamp[us], float64, int64, string or dictionary of string; null is NULL.
    """
    if not batch.num_rows:
        return
    if batch.num_rows > 1 and batch.num_rows * _width(batch) > MAX_BYTES:
        half = batch.num_rows // 2
        yield from encode(batch.slice(0, half))
        yield from encode(batch.slice(half))
        return
    fields = np.array([batch.num_columns], ">i2").view(np.uint8)
    parts = [np.broadcast_to(fields, (batch.num_rows, 2))]
    used = [np.ones((batch.num_rows, 2), dtype=bool)]
    for column in batch.columns:
        cells, lengths = _cells(column)
        parts.append(cells)
        used.append(np.arange(cells.shape[1], dtype=np.int32) < lengths[:, None])
    yield np.concatenate(parts, axis=1)[np.concatenate(used, axis=1)].data


def _width(batch: "pa.RecordBatch") -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 2
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary if is_small(column) else column.dictionary_decode()
        longest = pc.max(pc.binary_length(column)).as_py() if pa.types.is_string(column.type) else 8
        total += 4 + (longest or 0)
    return total


def is_small(column: "pa.DictionaryArray") -> bool:
    """Is the dictionary shorter than the column, so that its texts are worth being prepared once?

    One with a missing value in it, which Arrow allows beside missing codes, is better unpacked.
    """
    return 0 < len(column.dictionary) <= len(column) and not column.dictionary.null_count


def _cells(column: "pa.Array") -> Cells:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        if not is_small(column):
            return _cells(column.dictionary_decode())
        texts, lengths = _texts(column.dictionary)
        codes = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return _with_nulls(column, texts[codes], lengths[codes])
    if pa.types.is_string(column.type):
        return _texts(column)
    values = _network_order(column)
    cells = np.empty((len(values), 4 + values.itemsize), dtype=np.uint8)
    cells[:, :4] = _big_endian(np.array([values.itemsize]))
    cells[:, 4:] = values.view(np.uint8).reshape(len(values), -1)
    return _with_nulls(column, cells, np.full(len(values), cells.shape[1]))


def _network_order(column: "pa.Array") -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        return column.fill_null(0).to_numpy(zero_copy_only=False).astype(">f8")
    if pa.types.is_date32(column.type):
        days = column.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        return (days - _EPOCH_DAYS).astype(">i4")
    numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(column.type):
        numbers = numbers - _EPOCH_MICROSECONDS
    return numbers.astype(">i8")


def _texts(column: "pa.Array") -> Cells:
    """Texts, from Arrow's buffers: one of bytes, one of where each text begins."""
    n = len(column)
    _, starts, data = column.buffers()
    bounds = np.frombuffer(starts, np.int32, n + 1, offset=4 * column.offset)
    lengths = np.diff(bounds)
    width = int(lengths.max(initial=0))
    cells = np.zeros((n, 4 + width), dtype=np.uint8)
    cells[:, :4] = _big_endian(lengths)
    if width:
        source = np.frombuffer(data, np.uint8)
        at = bounds[:-1, None] + np.arange(width, dtype=np.int32)
        cells[:, 4:] = source[np.minimum(at, len(source) - 1)]
    return _with_nulls(column, cells, lengths + 4)


def _with_nulls(column: "pa.Array", cells: Bytes, lengths: NDArray[np.integer[Any]]) -> Cells:
    if column.null_count:
        missing = column.is_null().to_numpy(zero_copy_only=False)
        cells[missing, :4] = _NULL
        lengths = np.where(missing, 4, lengths)
    return cells, lengths


def _big_endian(numbers: NDArray[np.integer[Any]]) -> Bytes:
    return numbers.astype(">i4").view(np.uint8).reshape(-1, 4)
