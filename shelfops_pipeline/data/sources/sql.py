"""Queries of any database that SQLAlchemy speaks to, read-only and in pieces.

A query may name `:start` and `:end`, the first and last day that is wanted; then each period is one cheap query.
Connections are opened when used and closed after. No message holds the URL, which may hold a password.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
from sqlalchemy import URL, Connection, Date, Engine, bindparam, column, create_engine, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError, StatementError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.expression import TextClause

from shelfops_pipeline.data.mapping import Query
from shelfops_pipeline.data.sources.locate import substituted
from shelfops_pipeline.data.tables import EARLIEST
from shelfops_pipeline.errors import DataError

_CHUNK: Final = 50_000
"""Rows that are in memory as Python objects at a time."""
_CONNECT_SECONDS: Final = 10
_DRIVERS: Final = dict.fromkeys(("postgres", "postgresql"), "postgresql+psycopg")
_READ_ONLY: Final = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
_PERIOD: Final = frozenset({"start", "end"})

Columns = dict[str, pa.ChunkedArray]


class SqlTable:
    """The rows of one query. `what` names it in messages; relative SQLite files lie in `folder`."""

    def __init__(self, query: Query, what: str, folder: Path | None) -> None:
        self._query, self._what, self._folder = query, what, folder

    @property
    def by_period(self) -> bool:
        """Does the query name `:start` and `:end`? Raises DataError when it names others."""
        names = set(text(self._sql).compile().params)
        if names and names != _PERIOD:
            odd = sorted(names - _PERIOD) or sorted(names)
            raise DataError(
                f"{self._what}: the query names :{odd[0]}; use both :start and :end, or none (a colon is written \\:)"
            )
        return bool(names)

    def batches(self, wanted: Sequence[str], start: date, end: date) -> Iterator[Columns]:
        """The columns `wanted`, piece by piece; of start..end if the query is by period, else of everything."""
        statement, values = self._statement(start, end)
        for names, rows in self._run(statement, values):
            for name in wanted:
                if name not in names:
                    raise DataError(f"{self._what}: column {name} is missing; columns found: {', '.join(names[:20])}")
            columns = list(zip(*rows, strict=True)) or [()] * len(names)
            yield {name: _array(columns[names.index(name)]) for name in wanted}

    def extent(self, name: str) -> pa.ChunkedArray:
        """The least and the greatest value of a column."""
        query, values = self._statement(EARLIEST, date.today())
        inner = query.columns(column(name)).subquery("q")
        (_, rows), *_ = self._run(select(func.min(inner.c[name]), func.max(inner.c[name])), values)
        return _array(rows[0])

    def distinct(self, name: str) -> Iterator[pa.ChunkedArray]:
        """The different values of a column, piece by piece."""
        query, values = self._statement(EARLIEST, date.today())
        inner = query.columns(column(name)).subquery("q")
        for _, rows in self._run(select(inner.c[name]).distinct(), values):
            yield _array([row[0] for row in rows])

    @property
    def _sql(self) -> str:
        return self._query.query.strip().rstrip(";")

    def _statement(self, start: date, end: date) -> tuple[TextClause, Mapping[str, date]]:
        if not self.by_period:
            return text(self._sql), {}
        typed = [bindparam(name, type_=Date()) for name in sorted(_PERIOD)]
        return text(self._sql).bindparams(*typed), {"start": start, "end": end}

    def _run(self, statement: Any, values: Mapping[str, date]) -> Iterator[tuple[list[str], Sequence[Any]]]:
        """(column names, rows) of each piece; once, without rows, where the answer is empty."""
        with self._connection() as connection:
            result = connection.execute(statement, values, execution_options={"yield_per": _CHUNK})
            names, empty = list(result.keys()), True
            for rows in result.partitions(_CHUNK):
                empty = False
                yield names, rows
            if empty:
                yield names, []

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        url = self._url()
        try:
            engine = self._engine(url)
        except ImportError as error:
            raise DataError(f"{self._what}: the driver of {url.drivername} is not installed ({error.name})") from None
        except NoSuchModuleError:
            raise DataError(f"{self._what}: SQLAlchemy knows no database called {url.drivername}") from None
        try:
            with engine.connect() as connection:
                if statement := _READ_ONLY.get(engine.dialect.name):
                    connection.execute(text(statement))
                yield connection
        except SQLAlchemyError as error:
            raise DataError(f"{self._what}: {_reason(error, url)}") from None
        finally:
            engine.dispose()

    def _engine(self, url: URL) -> Engine:
        arguments = {"connect_timeout": _CONNECT_SECONDS} if url.drivername == "postgresql+psycopg" else {}
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
        if engine.dialect.name == "postgresql":
            return engine.execution_options(postgresql_readonly=True)
        return engine

    def _url(self) -> URL:
        try:
            url = make_url(self._substituted())
        except (ArgumentError, ValueError):
            raise DataError(
                f"{self._what}: sql.url cannot be read; expected driver://user:${{PASSWORD}}@host/database"
            ) from None
        if url.drivername in _DRIVERS:
            url = url.set(drivername=_DRIVERS[url.drivername])
        if url.get_backend_name() == "sqlite":
            # SQLite would create what is not there.
            path = (self._folder or Path()) / (url.database or "")
            if not path.is_file():
                raise DataError(f"{self._what}: no such SQLite file: {url.database or '(none named)'}")
            url = url.set(database=str(path))
        return url

    def _substituted(self) -> str:
        """The URL with ${NAME} taken from the environment: in user and password any character stands for itself."""
        template = self._query.url
        head, at, tail = template.rpartition("@")
        scheme, mark, user = head.partition("://")
        names = re.findall(r"\$\{\w+\}", user)
        for name in names:
            user = user.replace(name, quote(substituted(name, self._what), safe=""))
        return substituted(scheme + mark, self._what) + user + at + substituted(tail, self._what)


def _array(values: Sequence[Any]) -> pa.ChunkedArray:
    """Python objects as Arrow would type them; of different types (SQLite allows that), as text."""
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.chunked_array([pa.array([None if value is None else str(value) for value in values], pa.string())])


def _reason(error: SQLAlchemyError, url: URL) -> str:
    """The database's own words in one line, without statement, parameters, URL or password."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else type(error).__name__
    words = " ".join(str(cause).split())[:300]
    return words.replace(url.password, "***") if isinstance(url.password, str) and url.password else words
