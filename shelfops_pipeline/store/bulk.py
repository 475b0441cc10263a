"""Fast bulk loads: columns to CSV by Arrow, CSV to PostgreSQL by COPY. No Python loop over values."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.errors import DataError as PostgresDataError
from psycopg.errors import IntegrityError
from sqlalchemy import Connection

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, STORE_ID
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.tables import RELEASE

if TYPE_CHECKING:
    import pyarrow as pa

Column = NDArray[Any] | Sequence[Any]
Columns = Mapping[str, Column]

ROWS_PER_CHUNK: Final = 100_000


def driver(connection: Connection) -> "psycopg.Connection[Any]":
    """The psycopg connection beneath SQLAlchemy's, in the same transaction."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def arrow_table(columns: Columns, names: Sequence[str], release: str) -> "pa.Table":
    """`columns` as an Arrow table in the order of `names`, with the release in front.

    A string stands for a column of that value. Raises DataError for missing columns or unequal lengths.
    """
    import pyarrow as pa

    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(f"Cannot publish: column {', '.join(missing)} is missing (has {', '.join(columns)})")
    lengths = {name: len(columns[name]) for name in names if not isinstance(columns[name], str)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"Cannot publish: columns differ in length: {lengths}")
    rows = next(iter(lengths.values()))
    arrays = {RELEASE: pa.repeat(pa.scalar(release, pa.string()), rows)}
    for name in names:
        value = columns[name]
        arrays[name] = pa.repeat(pa.scalar(value), rows) if isinstance(value, str) else _arrow(name, value)
    return pa.table(arrays)


def _arrow(name: str, value: Column) -> "pa.Array":
    import pyarrow as pa

    if isinstance(value, np.ndarray) and value.dtype.kind == "M":
        value = value.astype("datetime64[D]")
    try:
        return pa.array(value)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"Cannot publish column {name}: {error}") from error


def replace_series(connection: Connection, table: str, data: "pa.Table") -> int:
    """Replace the rows of every (release, store, item) in `data`; returns their number.

    Runs in the caller's transaction. Other series of the release stay, so shards can be published one by one,
    and again. Raises DataError when two rows have the same key, or a required value is missing.
    """
    if not data.num_rows:
        return 0
    delete_series(connection, table, data)
    # In key order the index grows at its right edge: 1.4 times as fast.
    order = [name for name in (STORE_ID, ITEM_ID, DATE) if name in data.column_names]
    return copy_table(connection, table, data.sort_by([(name, "ascending") for name in order]))


def delete_series(connection: Connection, table: str, data: "pa.Table") -> None:
    """Delete the rows of every (release, store, item) in `data`, in the caller's transaction."""
    keys = data.select([RELEASE, STORE_ID, ITEM_ID]).group_by([RELEASE, STORE_ID, ITEM_ID]).aggregate([])
    driver(connection).execute(
        sql.SQL(
            "DELETE FROM {} AS t"
            " USING unnest(%s::text[], %s::text[], %s::text[]) AS k (release, store_id, item_id)"
            " WHERE t.release = k.release AND t.store_id = k.store_id AND t.item_id = k.item_id"
        ).format(sql.Identifier(table)),
        [keys.column(name).to_pylist() for name in (RELEASE, STORE_ID, ITEM_ID)],
    )


def delete_others(connection: Connection, table: str, release: str, data: "pa.Table") -> int:
    """Delete the release's rows of every (store, item) that is not in `data`, in the caller's transaction; returns
    their number."""
    keys = data.select([STORE_ID, ITEM_ID]).group_by([STORE_ID, ITEM_ID]).aggregate([])
    deleted = driver(connection).execute(
        sql.SQL(
            "DELETE FROM {} AS t WHERE t.release = %s AND NOT EXISTS ("
            "SELECT FROM unnest(%s::text[], %s::text[]) AS k (store_id, item_id)"
            " WHERE t.store_id = k.store_id AND t.item_id = k.item_id)"
        ).format(sql.Identifier(table)),
        [release, *(keys.column(name).to_pylist() for name in (STORE_ID, ITEM_ID))],
    )
    return deleted.rowcount


def copy_table(connection: Connection, table: str, data: "pa.Table") -> int:
    """Add all rows of `data`, in the caller's transaction; returns their number.

    Raises DataError when two rows have the same key, or a required value is missing.
    """
    from pyarrow import csv

    cursor = driver(connection).cursor()
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, data.column_names))
    )
    options = csv.WriteOptions(include_header=False)
    try:
        with cursor.copy(statement) as copy:
            for start in range(0, data.num_rows, ROWS_PER_CHUNK):
                buffer = io.BytesIO()
                csv.write_csv(data.slice(start, ROWS_PER_CHUNK), buffer, options)
                copy.write(buffer.getbuffer())
    except (IntegrityError, PostgresDataError) as error:
        detail = error.diag.message_detail or error.diag.context or ""
        raise DataError(f"Cannot publish {table}: {error.diag.message_primary}. {detail}".strip()) from error
    return int(data.num_rows)


def as_bytea(payload: Column) -> list[str]:
    """`[n x k]` float32 values (or n byte strings) as PostgreSQL's hexadecimal bytea text."""
    if isinstance(payload, np.ndarray) and payload.ndim == 2:
        if not payload.shape[1]:
            raise DataError("Cannot publish online features: the payload has no values")
        packed = np.ascontiguousarray(payload, dtype="<f4")
        return ["\\x" + row.tobytes().hex() for row in packed]
    return ["\\x" + bytes(value).hex() for value in payload]
