"""Rows into and out of PostgreSQL by COPY, in chunks: memory does not grow with their number."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from psycopg import Connection, sql
from psycopg.errors import DataError as PostgresDataError
from psycopg.errors import IntegrityError

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.binary import HEADER, TRAILER, encode

if TYPE_CHECKING:
    import pyarrow as pa

BYTES_PER_CHUNK: Final = 8_000_000
JSONB_VERSION: Final = "\x01"
"""In binary COPY, a value of JSONB is this byte and the text."""


def copy_in(
    connection: "Connection[Any]", table: str, batches: "Iterable[pa.RecordBatch]", names: Sequence[str]
) -> int:
    """COPY `batches`, whose columns are `names`, into `table`; returns the number of rows.

    Runs in the caller's transaction. Raises DataError when a key occurs twice or a required value is missing.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), columns)
    rows = 0
    try:
        with connection.cursor().copy(statement) as copy:
            copy.write(HEADER)
            for batch in batches:
                for piece in encode(batch):
                    copy.write(piece)
                rows += batch.num_rows
            copy.write(TRAILER)
    except (IntegrityError, PostgresDataError) as error:
        detail = error.diag.message_detail or error.diag.context or ""
        raise DataError(f"Cannot write {table}: {error.diag.message_primary}. {detail}".strip()) from error
    return rows


def copy_out(
    connection: "Connection[Any]", query: sql.Composable, schema: "pa.Schema", parameters: Sequence[object] = ()
) -> "Iterator[pa.RecordBatch]":
    """The rows of `query`, a SELECT whose columns are those of `schema`, a few megabytes at a time.

    Numbers come back bit for bit: PostgreSQL prints doubles so that they read back the same.
    """
    cursor = connection.cursor()
    cursor.execute("SET LOCAL datestyle = 'ISO'; SET LOCAL extra_float_digits = 1")
    pending = bytearray()
    with cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query), parameters) as copy:
        for row in copy:  # the protocol sends row by row
            pending += row
            if len(pending) >= BYTES_PER_CHUNK:
                yield from _parsed(pending, schema)
                pending = bytearray()
    if pending:
        yield from _parsed(pending, schema)


def _parsed(text: bytearray, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow import csv

    table = csv.read_csv(
        pa.BufferReader(pa.py_buffer(text)),
        # One block: values may contain line breaks, and a batch of dictionaries shall share one.
        csv.ReadOptions(column_names=schema.names, block_size=len(text) + 1, use_threads=True),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,  # so PostgreSQL tells "" from NULL
        ),
    )
    for batch in table.to_batches():
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
