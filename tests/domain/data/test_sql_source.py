"""Queries as sources: real SQLite and PostgreSQL, read-only, in pieces, without a password in any message."""

import sqlite3
import tracemalloc
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from shelfops_pipeline.data.mapping import Mapping, Query
from shelfops_pipeline.data.sources import sql
from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.data.sources.sql import SqlTable
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.engine import warehouse_url

TODAY = date(2024, 12, 31)
COLUMNS = {"ts": "day", "store_id": "store", "item_id": "item", "quantity": "n"}
ROWS = [
    ("2024-02-01", "007", "A", 1.5),
    ("2024-02-02", "007", "A", 2.0),
    ("2024-02-02", "008", "B", -1.0),
    ("2024-02-04", "008", "A", 4.0),
]
ALL = "SELECT day, store, item, n FROM sales"
PERIOD = f"{ALL} WHERE day BETWEEN :start AND :end"


def mapped(url: str, query: str, folder: Path | None = None, **more: Any) -> Mapped:
    table = {"sql": {"url": url, "query": query}, "columns": COLUMNS} | more.pop("transactions", {})
    return Mapped(Mapping.model_validate({"name": "db", "transactions": table} | more), folder, TODAY)


@pytest.fixture
def lite(tmp_path: Path) -> Callable[..., Path]:
    """Makes a SQLite file with the table `sales`; returns its folder."""

    def make(rows: list[tuple[Any, ...]] = ROWS, day: str = "TEXT") -> Path:
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.execute(f"CREATE TABLE sales (day {day}, store TEXT, item, n)")
            connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
        return tmp_path

    return make


@pytest.fixture
def postgres(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A PostgreSQL with the table `sales`; the mapping's URL of it."""
    url = warehouse_url(postgres_url)
    with psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=url.database) as connection:
        connection.execute("CREATE TABLE sales (day date, store text, item text, n numeric)")
        connection.cursor().executemany("INSERT INTO sales VALUES (%s, %s, %s, %s)", ROWS)
        connection.execute("CREATE TABLE receipts (day timestamptz, store text, item text, n numeric)")
        connection.execute("CREATE FUNCTION wipe() RETURNS date LANGUAGE sql AS 'DELETE FROM sales RETURNING day'")
        connection.execute("INSERT INTO receipts VALUES ('2024-01-31 23:30+00', '007', 'A', 1)")
    monkeypatch.setenv("SHOP_DATABASE_URL", postgres_url)
    return "${SHOP_DATABASE_URL}"


def check_rows(source: Mapped) -> None:
    assert source.span() == (date(2024, 2, 1), date(2024, 2, 4))
    rows = source.transactions(*source.span())
    assert list(rows.columns) == ["ts", "store_id", "item_id", "quantity", "source"]
    found = rows.sort_values(["ts", "store_id"])[["ts", "store_id", "item_id", "quantity"]]
    assert [(f"{day:%F}", *rest) for day, *rest in found.itertuples(index=False)] == ROWS
    assert len(source.transactions(date(2024, 2, 2), date(2024, 2, 2))) == 2
    assert len(source.transactions(date(2024, 2, 3), date(2024, 2, 3))) == 0
    reference = source.reference()
    assert reference.stores["store_id"].tolist() == ["007", "008"]
    assert reference.items["item_id"].tolist() == ["A", "B"]


@pytest.mark.parametrize("query", [ALL, PERIOD, PERIOD + " ;\n"])
def test_sqlite_is_read_whole_or_by_period(query: str, lite: Callable[..., Path]) -> None:
    source = mapped("sqlite:///shop.db", query, lite())
    assert source.incremental is (":start" in query)
    check_rows(source)


@pytest.mark.parametrize("query", [ALL, PERIOD])
def test_postgres_is_read_whole_or_by_period(query: str, postgres: str) -> None:
    source = mapped(postgres, query)
    assert source.incremental is (":start" in query)
    check_rows(source)


def test_postgres_timestamps_are_turned_to_the_shops_day(postgres: str) -> None:
    zone = {"format": {"timezone": "Europe/Vienna"}, "rows": "transaction"}
    source = mapped(postgres, "SELECT * FROM receipts", transactions=zone)
    assert source.span() == (date(2024, 2, 1), date(2024, 2, 1))
    assert source.transactions(*source.span())["ts"].tolist() == [pd.Timestamp("2024-02-01 00:30")]
    in_utc = "SELECT * FROM receipts WHERE (day AT TIME ZONE 'UTC')::date BETWEEN :start AND :end"
    by_period = mapped(postgres, in_utc, transactions=zone)
    assert len(by_period.transactions(*by_period.span())) == 1


def test_a_query_cannot_change_sqlite(lite: Callable[..., Path]) -> None:
    folder = lite()
    table = SqlTable(Query(url="sqlite:///shop.db", query="DELETE FROM sales RETURNING *"), "transactions", folder)
    with pytest.raises(DataError, match=r"transactions: attempt to write a readonly database"):
        list(table.batches(["day"], TODAY, TODAY))
    check_rows(mapped("sqlite:///shop.db", ALL, folder))


@pytest.mark.parametrize("query", ["SELECT wipe() AS day", "DELETE FROM sales RETURNING *"])
def test_a_query_cannot_change_postgres(query: str, postgres: str) -> None:
    with pytest.raises(DataError, match=r"read-only transaction|syntax error"):
        list(SqlTable(Query(url=postgres, query=query), "transactions", None).batches(["day"], TODAY, TODAY))
    check_rows(mapped(postgres, ALL))


def test_pieces_together_are_the_whole_and_memory_stays_that_of_one(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_CHUNK", 5_000)
    query = "SELECT date '2024-01-01' + (i / 1000)::int AS day, '1' AS store, i::text AS item, 1 AS n FROM {} AS i"
    peaks = []
    for rows in (20_000, 80_000):
        table = SqlTable(
            Query(url=postgres, query=query.format(f"generate_series(0, {rows - 1})")), "transactions", None
        )
        tracemalloc.start()
        sizes = [len(batch["day"]) for batch in table.batches(["day", "item"], TODAY, TODAY)]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sizes == [5_000] * (rows // 5_000)
    assert peaks[1] < 1.3 * peaks[0]


def test_rows_without_a_right_date_belong_to_the_first_day_because_a_query_has_no_order(
    lite: Callable[..., Path],
) -> None:
    odd = [(None, "007", "A", 5.0), ("2099-01-01", "007", "A", 6.0), ("bald", "007", "A", 7.0)]
    source = mapped("sqlite:///shop.db", ALL, lite([*ROWS, *odd]))
    assert source.span() == (date(2024, 2, 1), date(2024, 2, 4))
    days = [source.transactions(d.date(), d.date()) for d in pd.date_range(*source.span())]
    assert [len(day) for day in days] == [4, 2, 0, 1]
    assert days[0]["unreadable"].dropna().tolist() == ['{"ts": "bald"}']
    assert sorted(source.transactions(*source.span())["quantity"]) == [-1, 1.5, 2, 4, 5, 6, 7]


def test_a_column_of_mixed_types_is_read_as_its_text(lite: Callable[..., Path]) -> None:
    rows = [("2024-02-01", "1", 7, 1), ("2024-02-01", "1", "007", "2,5"), ("2024-02-01", "1", b"x", 3.5)]
    source = mapped("sqlite:///shop.db", ALL, lite(rows))
    found = source.transactions(*source.span())
    assert found["item_id"].tolist()[:2] == ["7", "007"]
    assert found["quantity"].isna().tolist() == [False, True, False]
    assert found["unreadable"].tolist()[1] == '{"quantity": "2,5"}'


def test_dates_in_a_format_of_their_own_are_ordered_as_dates(lite: Callable[..., Path]) -> None:
    rows = [("31.01.2024", "1", "A", 1), ("01.03.2024", "1", "A", 1), ("15.02.2024", "1", "A", 1)]
    source = mapped("sqlite:///shop.db", ALL, lite(rows), transactions={"format": {"date": "%d.%m.%Y"}})
    assert source.span() == (date(2024, 1, 31), date(2024, 3, 1))


def test_days_of_a_query_feed_whole_weeks(lite: Callable[..., Path]) -> None:
    rows = [(f"{day:%F}", "1", "A", 1) for day in pd.date_range("2024-01-03", "2024-02-06")]
    source = mapped("sqlite:///shop.db", PERIOD, lite(rows), grain="week")
    assert source.span() == (date(2024, 1, 8), date(2024, 2, 4))
    assert len(source.transactions(date(2024, 1, 1), date(2024, 2, 28))) == 28


def test_a_week_named_by_its_last_day_is_asked_for_whole(lite: Callable[..., Path]) -> None:
    rows = [(f"{day:%F}", "1", "A", 1) for day in pd.date_range("2024-01-07", periods=4, freq="7D")]
    source = mapped("sqlite:///shop.db", PERIOD, lite(rows), grain="week", transactions={"rows": "week"})
    assert source.span() == (date(2024, 1, 1), date(2024, 1, 22))
    assert source.transactions(*source.span())["ts"].dt.day.tolist() == [1, 8, 15, 22]
    assert source.transactions(date(2024, 1, 8), date(2024, 1, 14))["ts"].dt.day.tolist() == [8]


def test_a_plan_in_the_database_is_read_beyond_today(lite: Callable[..., Path]) -> None:
    folder = lite()
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("CREATE TABLE plan (day TEXT, promo INTEGER)")
        connection.executemany("INSERT INTO plan VALUES (?, ?)", [("2024-02-04", 0), ("2024-02-05", 1)])
    query = "SELECT day, promo FROM plan WHERE day BETWEEN :start AND :end"
    plan = {"sql": {"url": "sqlite:///shop.db", "query": query}, "columns": {"date": "day", "on_promotion": "promo"}}
    (frame,) = mapped("sqlite:///shop.db", ALL, folder, known_future=[plan]).reference().covariates
    assert frame["value"].tolist() == [0, 1]


def test_special_days_in_the_database_are_read_beyond_today(lite: Callable[..., Path]) -> None:
    yesterday = date.today() - timedelta(days=1)
    folder = lite([(f"{yesterday}", "007", "A", 1)])
    query = "SELECT date(:end, '-1 day') AS day, 'Jubiläum' AS called WHERE :start < :end"
    special = {"sql": {"url": "sqlite:///shop.db", "query": query}, "columns": {"date": "day", "name": "called"}}
    table = {"sql": {"url": "sqlite:///shop.db", "query": ALL}, "columns": COLUMNS}
    mapping = Mapping.model_validate({"name": "db", "transactions": table, "calendar": special})
    calendar = Mapped(mapping, folder).reference().calendar
    assert calendar["name"].tolist() == ["Jubiläum"]
    assert calendar["date"].iloc[0].date() > date.today()


def test_inventory_comes_from_a_query_too(lite: Callable[..., Path]) -> None:
    columns = {"date": "day", "store_id": "store", "item_id": "item", "on_hand": "n"}
    stock = {"sql": {"url": "sqlite:///shop.db", "query": PERIOD}, "columns": columns}
    source = mapped("sqlite:///shop.db", ALL, lite(), inventory=stock)
    rows = source.inventory(date(2024, 2, 2), date(2024, 2, 4))
    assert rows is not None
    assert rows["on_hand"].tolist() == [2, -1, 4]


PASSWORD = "p@ss/w:rd"  # noqa: S105


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("${NO_SUCH_VARIABLE}", "the environment variable NO_SUCH_VARIABLE is not set"),
        ("postgresql://u:${PASSWORD}@127.0.0.1:1/db", "transactions: .*onnection"),
        ("not a url ${PASSWORD}", "sql.url cannot be read"),
        ("nosuchdb://u:${PASSWORD}@h/db", "SQLAlchemy knows no database called nosuchdb"),
        ("mysql+nosuchdriver://u:${PASSWORD}@h/db", "mysql"),
        ("oracle://u:${PASSWORD}@h/db", "the driver of oracle is not installed"),
        ("sqlite:///nowhere.db", "no such SQLite file: nowhere.db"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    url: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    with pytest.raises(DataError, match=words) as caught:
        mapped(url, ALL, tmp_path).span()
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None  # nothing in a traceback either
    assert not (tmp_path / "nowhere.db").exists()


def test_a_password_may_hold_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    url = SqlTable(Query(url="postgresql://u:${PASSWORD}@h/db", query=ALL), "transactions", None)._url()
    assert (url.password, url.host, url.database, url.drivername) == (PASSWORD, "h", "db", "postgresql+psycopg")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT day FROM nowhere", "transactions: .*nowhere"),
        ("SELECT store, item, n FROM sales", "day"),
        (f"{ALL} WHERE day > :since", "the query names :since; use both :start and :end"),
        (f"{ALL} WHERE day > :start", "the query names :start; use both"),
    ],
)
def test_a_query_that_does_not_answer_is_told_in_one_line(query: str, words: str, lite: Callable[..., Path]) -> None:
    folder = lite()
    with pytest.raises(DataError, match=words) as caught:
        mapped("sqlite:///shop.db", query, folder).transactions(TODAY, TODAY)
    assert "\n" not in str(caught.value)


def test_a_database_that_moves_on_is_asked_again(lite: Callable[..., Path]) -> None:
    folder = lite()
    source = mapped("sqlite:///shop.db", PERIOD, folder)
    assert source.span()[1] == date(2024, 2, 4)
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("INSERT INTO sales VALUES ('2024-02-05', '007', 'A', 1)")
    assert source.span()[1] == date(2024, 2, 5)
    assert len(source.transactions(date(2024, 2, 5), date(2024, 2, 5))) == 1


def test_an_empty_answer_is_refused(lite: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="no row with a date between 1990 and today"):
        mapped("sqlite:///shop.db", ALL, lite([])).span()
