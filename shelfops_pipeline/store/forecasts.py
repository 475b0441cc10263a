"""Forecasts of many series, formatted by PostgreSQL: the API passes them on as they are.

A series is one piece of text, made of its rows in order of date, so that a hundred thousand rows a second are few
thousand values to fetch. Everything given is bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Connection,
    Engine,
    Select,
    Text,
    TextClause,
    any_,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
)

from shelfops_pipeline.contracts.columns import CATEGORY, DATE, FORECAST_COLUMNS, ITEM_ID, STORE_ID
from shelfops_pipeline.store.csv_cells import sql_cell
from shelfops_pipeline.store.reads import SeriesKey
from shelfops_pipeline.store.tables import ATTRIBUTES, MODEL_VERSION, RELEASE, demand_forecasts, items, releases

SERIES_PER_CHUNK: Final = 100
STALLED_SECONDS: Final = 60
"""A reader that takes nothing for so long loses its stream: an open transaction holds up the vacuum."""

NUMBERS: Final = FORECAST_COLUMNS[3:]
CSV_COLUMNS: Final = (STORE_ID, ITEM_ID, DATE, MODEL_VERSION, *NUMBERS)


# Only names of ours are put into these; to_json quotes the ids, and writes dates as ISO 8601 whatever DateStyle says.
_JSON_PERIOD: Final = " || ".join(
    [f"""'{{"{DATE}":' || to_json({DATE})::text""", *(f"""',"{name}":' || {name}::text""" for name in NUMBERS), "'}'"]
)
_JSON_SERIES: Final = " || ".join(
    [
        f"""'{{"{STORE_ID}":' || to_json({STORE_ID})::text""",
        f"""',"{ITEM_ID}":' || to_json({ITEM_ID})::text""",
        f"""',"{RELEASE}":' || to_json({demand_forecasts.name}.{RELEASE})::text""",
        f"""',"{MODEL_VERSION}":' || to_json(min({MODEL_VERSION}))::text""",
        f"""',"forecast":[' || string_agg({_JSON_PERIOD}, ',' ORDER BY {DATE}) || ']}}'""",
    ]
)
_CSV_PERIOD: Final = " || ".join(
    [
        f"""{sql_cell(STORE_ID)} || ',' || {sql_cell(ITEM_ID)}""",
        f"""',' || (to_json({DATE}) #>> '{{}}')""",
        f"""',' || {MODEL_VERSION}""",
        *(f"""',' || {name}::text""" for name in NUMBERS),
    ]
)
_CSV_SERIES: Final = f"""string_agg({_CSV_PERIOD}, E'\\n' ORDER BY {DATE})"""


class Form(Enum):
    """How a series is written: one JSON object, or CSV lines of `CSV_COLUMNS`; without a line feed at the end."""

    JSON = _JSON_SERIES
    CSV = _CSV_SERIES


@dataclass(frozen=True)
class Wanted:
    """Which series, and which of their periods; what is empty or None does not restrict."""

    store_ids: tuple[str, ...] = ()
    item_ids: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None
    after: SeriesKey | None = None
    """Only series that come later than this one in the order of store and item."""


class SeriesText(NamedTuple):
    """One series in a `Form`."""

    store_id: str
    item_id: str
    text: str
    rows: int


class ForecastStream:
    """A release's forecasts in order of store and item, by chunks, out of one transaction that sees one publication.

    Use it as a context manager. It raises SQLAlchemyError where the database fails, before or between chunks.
    """

    def __init__(
        self, engine: Engine, dataset: str, release: str, wanted: Wanted, form: Form, *, limit: int | None = None
    ) -> None:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._connection = engine.connect().execution_options(**options)
        try:
            self._connection.execute(_stalled())
            self.published_at = published_at(self._connection, release)
            statement = _statement(dataset, release, wanted, form, limit)
            self._rows = self._connection.execution_options(stream_results=True).execute(statement)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[list[SeriesText]]:
        for chunk in self._rows.partitions(SERIES_PER_CHUNK):
            yield [SeriesText(*row) for row in chunk]

    def close(self) -> None:
        """Give the connection back; what was not read stays unread."""
        try:
            self._rows.close()
        finally:
            self._connection.close()


def published_at(connection: Connection, release: str) -> datetime | None:
    """When the release's rows were written; None for a release that has not been published, or not kept."""
    found: datetime | None = connection.scalar(select(releases.c.published_at).where(releases.c.release == release))
    return found


def forecast_text(engine: Engine, release: str, store_id: str, item_id: str) -> tuple[str, datetime] | None:
    """One series as JSON, and when it was published; None for a series that the release does not have."""
    statement = (
        select(literal_column(_JSON_SERIES, Text), releases.c.published_at)
        .join_from(demand_forecasts, releases, releases.c.release == demand_forecasts.c.release)
        .where(
            demand_forecasts.c.release == release,
            demand_forecasts.c.store_id == store_id,
            demand_forecasts.c.item_id == item_id,
        )
        .group_by(*_KEY, releases.c.published_at)
    )
    with engine.connect() as connection:
        row = connection.execute(statement).first()
    return None if row is None else (row[0], row[1])


_KEY: Final = (demand_forecasts.c.release, demand_forecasts.c.store_id, demand_forecasts.c.item_id)


def _statement(dataset: str, release: str, wanted: Wanted, form: Form, limit: int | None) -> Select[str, str, str, int]:
    table = demand_forecasts.c
    statement = (
        select(table.store_id, table.item_id, literal_column(form.value, Text), func.count())
        .where(table.release == release)
        .group_by(*_KEY)
        .order_by(*_KEY)
        .limit(limit)
    )
    if wanted.store_ids:
        statement = statement.where(table.store_id == any_(_array(wanted.store_ids)))
    if wanted.item_ids:
        statement = statement.where(table.item_id == any_(_array(wanted.item_ids)))
    if wanted.categories:
        statement = statement.where(table.item_id.in_(_items_of(dataset, wanted.categories)))
    if wanted.start is not None:
        statement = statement.where(table.date >= wanted.start)
    if wanted.end is not None:
        statement = statement.where(table.date <= wanted.end)
    if wanted.after is not None:
        key = tuple_(*(literal(part, Text) for part in wanted.after))
        statement = statement.where(tuple_(table.store_id, table.item_id) > key)
    return statement


def _items_of(dataset: str, categories: tuple[str, ...]) -> Select[str]:
    category = items.c[ATTRIBUTES][CATEGORY].astext
    return select(items.c.item_id).where(items.c.dataset == dataset, category == any_(_array(categories)))


def _array(values: tuple[str, ...]) -> BindParameter[Any]:
    return literal(list(values), ARRAY(Text))


def _stalled() -> TextClause:
    return text(f"SET LOCAL idle_in_transaction_session_timeout = '{STALLED_SECONDS}s'")
