"""Whole tables out of one database and into another, of one moment: what a backup is made of.

By COPY in PostgreSQL's binary format, so that values read back bit for bit, and whether a table is a TimescaleDB
hypertable, natively partitioned or neither does not matter. Tables are made by migrations before rows come in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from shelfops_pipeline.store.bulk import driver

_CHUNK: Final = 1 << 20
_COLUMNS: Final = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"""
_COUNTERS: Final = """
    SELECT a.attname, pg_get_serial_sequence(:name, a.attname) FROM pg_attribute a
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
        AND pg_get_serial_sequence(:name, a.attname) IS NOT NULL"""


@dataclass(frozen=True)
class Dumped:
    """What was copied out of a table."""

    columns: tuple[str, ...]
    rows: int


@contextmanager
def snapshot(engine: Engine, tables: Sequence[str]) -> Iterator[Connection]:
    """A connection that goes on seeing the database as it is now, while others write.

    `tables` can be read and written meanwhile, but not be altered or dropped: retention and migrations wait.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        take_time(connection)
        if tables:  # before the first query, whose moment the snapshot is
            connection.execute(text(f"LOCK TABLE {', '.join(map(_quoted, tables))} IN ACCESS SHARE MODE"))
        connection.execute(text("SELECT 1"))
        yield connection


def take_time(connection: Connection) -> None:
    """Lift the limits of time that a server may have for everybody, in this transaction."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def existing(connection: Connection, tables: Iterable[str]) -> list[str]:
    """Those of `tables` that are there, in the order given."""
    there = text("SELECT to_regclass(:name) IS NOT NULL")
    return [name for name in tables if connection.scalar(there, {"name": _quoted(name)})]


def has_rows(connection: Connection, table: str) -> bool:
    """Is there a row in `table`?"""
    return bool(connection.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {_quoted(table)})")))  # noqa: S608


def copy_table_out(connection: Connection, table: str, write: Callable[[bytes], object]) -> Dumped:
    """Give all rows of `table` to `write`, about a megabyte at a time."""
    columns = tuple(connection.scalars(text(_COLUMNS), {"name": _quoted(table)}))
    what = (_listed(columns), sql.Identifier(table))
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)").format(*what)
    with driver(connection).cursor() as cursor:
        pending = bytearray()
        with cursor.copy(query) as copy:
            for piece in copy:
                pending += piece
                if len(pending) >= _CHUNK:
                    write(bytes(pending))
                    pending.clear()
        write(bytes(pending))
        return Dumped(columns, cursor.rowcount)


def copy_table_in(connection: Connection, table: str, columns: Sequence[str], chunks: Iterable[bytes]) -> int:
    """Append what `copy_table_out` gave, in the caller's transaction; returns the number of rows.

    Counters go on after the greatest number that came in.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), _listed(columns))
    with driver(connection).cursor() as cursor:
        with cursor.copy(statement) as copy:
            for chunk in chunks:
                copy.write(chunk)
        rows = cursor.rowcount
    for column, counter in connection.execute(text(_COUNTERS), {"name": _quoted(table)}).all():
        last = f"SELECT max({_quoted(column)}) FROM {_quoted(table)}"  # noqa: S608
        connection.execute(text(f"SELECT setval(CAST(:counter AS regclass), ({last}))"), {"counter": counter})
    return rows


def count_rows(connection: Connection, table: str) -> int:
    """The number of rows of `table`."""
    return int(connection.scalar(text(f"SELECT count(*) FROM {_quoted(table)}")) or 0)  # noqa: S608


def _listed(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
