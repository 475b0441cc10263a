"""Transactions: a period is replaced as a whole, or not at all, and nothing beside it moves."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, STORE_ID, TRANSACTION_ID, TS, UNIT_PRICE
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.arrow import MAX_ID_BYTES
from shelfops_pipeline.store.checksums import reconcile
from shelfops_pipeline.store.tables import PERIOD
from shelfops_pipeline.store.transactions import read_transactions, replace_periods
from tests.domain.store.support import SHOP, days, partitions, sales, stored

FIRST = date(2024, 12, 30)
WEEK = days(FIRST, 7)  # across a new year


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    kept = table.drop_columns([name]) if name in table.column_names else table
    return kept.append_column(name, pa.array(values))


def test_rows_read_back_as_they_were_written(warehouse: Engine) -> None:
    table = with_column(sales(WEEK), TRANSACTION_ID, [f"t{k}" if k % 3 else None for k in range(42)])
    assert replace_periods(warehouse, SHOP, WEEK, table) == 42
    found = read_transactions(warehouse, SHOP, WEEK[0], WEEK[-1])
    assert found[TS].cast(pa.timestamp("ns")).equals(table[TS].cast(pa.timestamp("ns")))
    assert found[TRANSACTION_ID].to_pylist() == table[TRANSACTION_ID].to_pylist()
    assert found[QUANTITY].to_numpy().tobytes() == table[QUANTITY].to_numpy().tobytes()
    missing = np.isnan(table[UNIT_PRICE].to_numpy())
    assert found[UNIT_PRICE].is_null().to_numpy().tolist() == missing.tolist()
    assert found[UNIT_PRICE].drop_null().to_pylist() == table[UNIT_PRICE].to_numpy()[~missing].tolist()


def test_a_day_is_replaced_and_its_neighbours_are_not(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    before = read_transactions(warehouse, SHOP, WEEK[0], WEEK[-1])
    assert replace_periods(warehouse, SHOP, [WEEK[2]], sales([WEEK[2]], level=90, stores=1)) == 3
    after = read_transactions(warehouse, SHOP, WEEK[0], WEEK[-1])
    for day in WEEK:
        here = pc.equal(after[PERIOD], pa.scalar(day))
        if day == WEEK[2]:
            assert after.filter(here)[QUANTITY].to_pylist() == [90, 90.125, 90.25]
        else:
            assert after.filter(here).equals(before.filter(pc.equal(before[PERIOD], pa.scalar(day))))


def test_writing_twice_is_writing_once(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    once = stored(warehouse)
    replace_periods(warehouse, SHOP, list(reversed(WEEK)) + WEEK, sales(WEEK))
    assert stored(warehouse) == once


def test_a_period_without_rows_ends_up_empty(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    assert replace_periods(warehouse, SHOP, WEEK[1:3], sales(WEEK[2:3])) == 6
    assert replace_periods(warehouse, SHOP, WEEK[5:], sales([])) == 0
    left = {row[1] for row in stored(warehouse)}
    assert left == {WEEK[0], *WEEK[2:5]}
    assert replace_periods(warehouse, SHOP, [], sales([])) == 0


def test_lines_may_repeat(warehouse: Engine) -> None:
    twice = pa.concat_tables([sales(WEEK[:1])] * 2)
    assert replace_periods(warehouse, SHOP, WEEK[:1], twice) == 12
    assert len(stored(warehouse)) == 12


def test_data_sets_do_not_see_each_other(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    replace_periods(warehouse, "other", WEEK, sales(WEEK, level=7))
    replace_periods(warehouse, "other", WEEK, sales([]))
    assert read_transactions(warehouse, SHOP, WEEK[0], WEEK[-1]).num_rows == 42
    assert read_transactions(warehouse, "other", WEEK[0], WEEK[-1]).num_rows == 0


def test_a_series_and_a_range_are_read_alone(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    found = read_transactions(warehouse, SHOP, WEEK[1], WEEK[4], store_id="s1", item_id="i2")
    assert found[PERIOD].to_pylist() == WEEK[1:5]
    assert set(zip(found[STORE_ID].to_pylist(), found[ITEM_ID].to_pylist(), strict=True)) == {("s1", "i2")}


def test_a_stream_of_tables_and_plain_columns_are_rows_too(warehouse: Engine) -> None:
    table = sales(WEEK)
    replace_periods(warehouse, SHOP, WEEK, table)
    once = stored(warehouse)
    assert replace_periods(warehouse, SHOP, WEEK, (table.slice(k, 9) for k in range(0, 42, 9))) == 42
    assert stored(warehouse) == once
    plain = {name: table[name].to_numpy() for name in table.column_names} | {"source": "sales.csv"}
    assert replace_periods(warehouse, SHOP, WEEK, plain) == 42
    assert stored(warehouse) == once


def test_months_are_made_when_they_are_written_to(warehouse: Engine) -> None:
    assert partitions(warehouse) == []
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    assert partitions(warehouse) == ["transactions_2024_12", "transactions_2025_01"]
    leap = [date(2024, 2, 29), date(2024, 3, 1)]
    replace_periods(warehouse, SHOP, leap, sales(leap))
    with warehouse.connect() as connection:
        counts = {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in partitions(warehouse)}  # noqa: S608
    assert counts == {
        "transactions_2024_02": 6,
        "transactions_2024_03": 6,
        "transactions_2024_12": 12,
        "transactions_2025_01": 30,
    }


NASTY = [
    "Ærø käse",
    "牛乳",
    "🥛",
    'quote " and \\ and \\.',
    "tab\tline\nfeed\r",
    "\\N",
    "'; DROP TABLE items; --",
    " ",
    "x" * 1000,
]


def test_any_text_is_an_id(warehouse: Engine) -> None:
    table = sales(WEEK[:1], stores=3).slice(0, len(NASTY))
    replace_periods(warehouse, SHOP, WEEK[:1], with_column(table, ITEM_ID, NASTY))
    assert read_transactions(warehouse, SHOP, WEEK[0], WEEK[0])[ITEM_ID].to_pylist() == NASTY
    assert read_transactions(warehouse, SHOP, WEEK[0], WEEK[0], item_id=NASTY[4]).num_rows == 1


def test_ids_may_come_as_numbers_and_texts_in_any_coding(warehouse: Engine) -> None:
    table = with_column(sales(WEEK[:1], stores=1), ITEM_ID, [30, 7, 7])
    large = pa.array([1.5, 2.5, 1.5], pa.float64()).dictionary_encode()
    gaps = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", None, "unused", "more"]))
    table = with_column(with_column(table, TRANSACTION_ID, gaps), UNIT_PRICE, large)
    replace_periods(warehouse, SHOP, WEEK[:1], with_column(table, STORE_ID, pa.array(["s"] * 3, pa.large_string())))
    found = read_transactions(warehouse, SHOP, WEEK[0], WEEK[0])
    assert found[ITEM_ID].to_pylist() == ["30", "7", "7"]
    assert found[STORE_ID].to_pylist() == ["s"] * 3
    assert found[TRANSACTION_ID].to_pylist() == ["a", None, None]
    assert found[UNIT_PRICE].to_pylist() == [1.5, 2.5, 1.5]
    assert reconcile(warehouse, SHOP, WEEK[:1], found) == ()


def test_nul_which_postgres_cannot_store_is_shown_as_the_replacement_character(warehouse: Engine) -> None:
    table = with_column(sales(WEEK[:1], stores=1), ITEM_ID, ["a\x00b", "\x00", "c"])
    replace_periods(warehouse, SHOP, WEEK[:1], with_column(table, TRANSACTION_ID, ["\x00", None, ""]))
    found = read_transactions(warehouse, SHOP, WEEK[0], WEEK[0])
    assert found[ITEM_ID].to_pylist() == ["a\ufffdb", "\ufffd", "c"]
    assert found[TRANSACTION_ID].to_pylist() == ["\ufffd", None, ""]


def test_a_long_transaction_id_is_kept_whole(warehouse: Engine) -> None:
    long = "7" * 200_000
    table = with_column(sales(WEEK[:1], stores=1), TRANSACTION_ID, ["1", long, "2"])
    replace_periods(warehouse, SHOP, WEEK[:1], table)
    assert read_transactions(warehouse, SHOP, WEEK[0], WEEK[0])[TRANSACTION_ID].to_pylist() == ["1", long, "2"]


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        (ITEM_ID, ["x" * (MAX_ID_BYTES + 1), "b", "c"], "item_id 'x+'... has 1001 bytes, more than 1000"),
        (STORE_ID, ["a", None, "c"], "store_id is missing in 1 rows"),
        (QUANTITY, [1.0, float("nan"), 2.0], "quantity is missing in 1 rows"),
        (QUANTITY, ["1", "two", "3"], "quantity cannot be read as double"),
        (TS, np.array(["2025-01-01", "NaT", "2025-01-01"], "datetime64[ns]"), "ts is missing in 1 rows"),
        (TS, pa.array([0, 0, 0], pa.timestamp("ns", tz="Europe/Paris")), "time zone Europe/Paris"),
        ("line", [1.0, 2.5, 3.0], "line cannot be read as int64"),
    ],
)
def test_rows_that_cannot_be_stored_are_refused_and_change_nothing(
    warehouse: Engine, name: str, values: object, complaint: str
) -> None:
    replace_periods(warehouse, SHOP, WEEK[:1], sales(WEEK[:1]))
    before = stored(warehouse)
    with pytest.raises(DataError, match=complaint):
        replace_periods(warehouse, SHOP, WEEK[:1], with_column(sales(WEEK[:1], stores=1), name, values))
    assert stored(warehouse) == before


def test_a_missing_column_and_unequal_lengths_are_refused(warehouse: Engine) -> None:
    with pytest.raises(DataError, match=r"column quantity is missing \(has period, ts"):
        replace_periods(warehouse, SHOP, WEEK[:1], sales(WEEK[:1]).drop_columns([QUANTITY]))
    with pytest.raises(DataError, match="columns differ in length"):
        replace_periods(
            warehouse, SHOP, WEEK[:1], {PERIOD: WEEK[:1], TS: [], STORE_ID: "s", ITEM_ID: "i", QUANTITY: [1.0]}
        )


def test_a_row_of_a_period_that_is_not_replaced_changes_nothing(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    before = stored(warehouse)
    with pytest.raises(ValueError, match="rows of period 2025-01-02"):
        replace_periods(warehouse, SHOP, WEEK[:3], sales(WEEK[:4], level=5))
    assert stored(warehouse) == before


def test_a_load_is_findable_by_index_at_once(warehouse: Engine) -> None:
    """Summarised and analysed: otherwise BRIN reads every new page, and the planner does not use it."""
    month = days(date(2025, 3, 1), 31)
    replace_periods(warehouse, SHOP, month, sales(month, stores=10, items=100))
    with warehouse.connect() as connection:
        analysed = connection.scalar(text("SELECT reltuples FROM pg_class WHERE relname = 'transactions_2025_03'"))
        plan = connection.scalars(
            text("EXPLAIN SELECT * FROM transactions WHERE dataset = 'shop' AND period = DATE '2025-03-09'")
        ).all()
        index = "transactions_2025_03_store_id_item_id_period_idx"
        pending = connection.scalar(
            text("SELECT brin_summarize_new_values(CAST(:index AS regclass))"), {"index": index}
        )
    assert analysed == 31_000
    assert any("Bitmap Index Scan" in line for line in plan), plan
    assert pending == 0
