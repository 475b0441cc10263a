"""Columns as callers have them, brought to the types of a warehouse table: one form for writing and for checksums."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.binary import is_small
from shelfops_pipeline.store.bulk import Columns
from shelfops_pipeline.store.jsonb import REPLACEMENT

if TYPE_CHECKING:
    import pyarrow as pa

Rows: TypeAlias = "Columns | pa.Table | Iterable[pa.Table]"
"""Columns of one length (a string stands for a constant column), an Arrow table, or a stream of tables."""

ROWS_PER_BATCH: Final = 50_000
MAX_ID_BYTES: Final = 1_000
"""Ids are indexed, and an index entry must fit into a third of a page. Longer ones are refused, not cut."""


def tables(rows: Rows) -> "Iterator[pa.Table]":
    """`rows` as Arrow tables. Raises DataError where columns differ in length or hold what Arrow cannot."""
    import pyarrow as pa

    if isinstance(rows, pa.Table):
        yield rows
    elif isinstance(rows, Mapping):
        yield _table(rows)
    else:
        yield from rows


def canonical(rows: Rows, schema: "pa.Schema", what: str) -> "Iterator[pa.RecordBatch]":
    """`rows` in batches of the columns of `schema`, cast to its types; text may stay plain or dictionary-encoded.

    A nullable column that is missing is all null; NaN is null; NUL in a text becomes U+FFFD; other columns are left
    out. Raises DataError, naming the table `what` and the column, for a column or value that is required and missing,
    a value that cannot be cast, a time with a zone, and an id longer than MAX_ID_BYTES.
    """
    import pyarrow as pa

    for table in tables(rows):
        missing = [f.name for f in schema if f.name not in table.column_names and not f.nullable]
        if missing:
            given = ", ".join(table.column_names)
            raise DataError(f"Cannot write {what}: column {', '.join(missing)} is missing (has {given})")
        here = [field for field in schema if field.name in table.column_names]
        for batch in table.select([f.name for f in here]).to_batches(max_chunksize=ROWS_PER_BATCH):
            done = {f.name: _column(column, f, what) for f, column in zip(here, batch.columns, strict=True)}
            columns = [done.get(f.name, pa.nulls(batch.num_rows, _plain(f.type))) for f in schema]
            yield pa.RecordBatch.from_arrays(columns, schema.names)


def constant(value: str, n: int) -> "pa.DictionaryArray":
    """`value`, n times."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value], pa.string()))


def text_type() -> "pa.DataType":
    """The type of a column of few distinct texts."""
    import pyarrow as pa

    return pa.dictionary(pa.int32(), pa.string())


def _table(columns: Columns) -> "pa.Table":
    import pyarrow as pa

    rows = next((len(value) for value in columns.values() if not isinstance(value, str)), 0)
    arrays = {name: constant(v, rows) if isinstance(v, str) else v for name, v in columns.items()}
    # Arrow ends a text of numpy's fixed-width kind at its first NUL: "a\0b" would become "a".
    arrays |= {n: v.astype(object) for n, v in arrays.items() if isinstance(v, np.ndarray) and v.dtype.kind == "U"}
    lengths = {name: len(value) for name, value in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"Cannot write: columns differ in length: {lengths}")
    made = {}
    for name, value in arrays.items():
        try:
            made[name] = value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise DataError(f"Cannot write column {name}: {error}") from error
    return pa.table(made)


def _plain(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _column(column: "pa.Array", field: "pa.Field", what: str) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        done = _text(column) if pa.types.is_string(_plain(field.type)) else _number(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"Cannot write {what}: column {field.name} cannot be read as {field.type}: {error}") from error
    if not field.nullable:
        if done.null_count:
            raise DataError(f"Cannot write {what}: {field.name} is missing in {done.null_count} rows; it is required")
        texts = done.dictionary if pa.types.is_dictionary(done.type) else done
        if pa.types.is_string(texts.type) and (pc.max(pc.binary_length(texts)).as_py() or 0) > MAX_ID_BYTES:
            long = texts.filter(pc.greater(pc.binary_length(texts), MAX_ID_BYTES))[0].as_py()
            raise DataError(
                f"Cannot write {what}: {field.name} {long[:40]!r}... has {len(long.encode())} bytes, "
                f"more than {MAX_ID_BYTES}; use a shorter id"
            )
    return done


def _text(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        if is_small(column):
            values = pc.replace_substring(column.dictionary.cast(pa.string()), "\x00", REPLACEMENT)
            return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), values)
        column = column.dictionary_decode()
    return pc.replace_substring(column.cast(pa.string()), "\x00", REPLACEMENT)


def _number(column: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_timestamp(column.type):
        if column.type.tz is not None:
            raise pa.ArrowTypeError(f"it has the time zone {column.type.tz}; give local times without a zone")
        return column.cast(kind, safe=False)  # nanoseconds are cut
    return column.cast(kind)
