"""Checksums tell apart what differs, and nothing else; they are of what the warehouse gives back."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.columns import ITEM_ID, ON_PROMOTION, QUANTITY, STORE_ID, TRANSACTION_ID, UNIT_PRICE
from shelfops_pipeline.store.checksums import EMPTY, Mismatch, checksum, period_checksums, reconcile, stored_checksums
from shelfops_pipeline.store.transactions import replace_periods
from tests.domain.store.support import SHOP, days, sales

WEEK = days(date(2024, 12, 30), 7)
ODD = [0.1, -0.0, 0.0, 1e-308, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -1 / 3, 1e22, 123456789.123456789]


def changed(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    values = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
    values[row] = value
    kept = table.drop_columns([name]) if name in table.column_names else table
    return kept.append_column(name, pa.array(values))


@given(st.permutations(range(42)), st.integers(1, 42))
def test_order_and_chunks_do_not_matter(order: list[int], size: int) -> None:
    table = sales(WEEK)
    shuffled = table.take(pa.array(order))
    assert checksum(shuffled) == checksum(table)
    parts = [shuffled.slice(start, size) for start in range(0, 42, size)]
    assert period_checksums(parts) == period_checksums(table)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (QUANTITY, np.nextafter(1.0, 2)),
        (UNIT_PRICE, 0.25),
        (ON_PROMOTION, 0.0),
        (TRANSACTION_ID, ""),
        (STORE_ID, "s1"),
        (ITEM_ID, "i0 "),
        ("line", 3),
        ("source", None),
    ],
)
def test_any_change_of_one_value_shows(name: str, value: object) -> None:
    table = sales(WEEK)
    other = changed(table, name, 0, value)
    assert checksum(other) != checksum(table)
    before, after = period_checksums(table), period_checksums(other)
    assert [day for day in WEEK if before[day] != after[day]] == WEEK[:1]


def test_values_that_change_places_show() -> None:
    table = sales(WEEK[:1], stores=1)
    store, item = table[STORE_ID], table[ITEM_ID]
    swapped = table.set_column(2, STORE_ID, item).set_column(3, ITEM_ID, store)
    assert checksum(swapped) != checksum(table)
    moved = table.set_column(4, QUANTITY, table[QUANTITY].take(pa.array([1, 0, 2])))
    assert checksum(moved) != checksum(table)


def test_a_row_that_is_there_twice_counts_twice() -> None:
    table = sales(WEEK[:1])
    assert checksum(pa.concat_tables([table, table])) != checksum(table)
    assert period_checksums(pa.concat_tables([table, table]))[WEEK[0]][0] == 12
    assert checksum(table.slice(0, 0)) == EMPTY[1]


def test_nan_and_none_are_the_same_and_types_do_not_matter() -> None:
    table = sales(WEEK)
    plain = {name: table[name].to_pylist() for name in table.column_names}
    plain[UNIT_PRICE] = [None if np.isnan(v) else v for v in plain[UNIT_PRICE]]
    assert checksum(pa.table(plain)) == checksum(table)
    assert checksum(changed(table, ON_PROMOTION, 0, None)) == checksum(table)


def test_the_checksum_is_a_constant_of_the_rows() -> None:
    """Recorded checksums must be comparable years later, on another machine and in another process."""
    assert checksum(sales(WEEK)) == "0529b5ff04df7e93"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from datetime import date; from support import days, sales\n"
        "from shelfops_pipeline.store.checksums import checksum; print(checksum(sales(days(date(2024, 12, 30), 7))))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == checksum(sales(WEEK))


def test_floats_survive_the_warehouse_by_their_bits(warehouse: Engine) -> None:
    table = sales(WEEK[:1], items=5)
    table = table.set_column(4, QUANTITY, pa.array(ODD)).append_column(ON_PROMOTION, pa.array(ODD[::-1]))
    replace_periods(warehouse, SHOP, WEEK[:1], table)
    assert stored_checksums(warehouse, SHOP, WEEK[:1]) == period_checksums(table)


def test_what_was_written_reconciles(warehouse: Engine) -> None:
    table = changed(changed(sales(WEEK), TRANSACTION_ID, 3, ""), TRANSACTION_ID, 4, 'a\nb,"c"')
    replace_periods(warehouse, SHOP, WEEK, table)
    assert stored_checksums(warehouse, SHOP, WEEK) == period_checksums(table)
    assert reconcile(warehouse, SHOP, WEEK, table) == ()
    assert stored_checksums(warehouse, "other", WEEK[:2]) == dict.fromkeys(WEEK[:2], EMPTY)


def test_each_way_to_differ_is_found_in_its_period(warehouse: Engine) -> None:
    table = sales(WEEK)
    replace_periods(warehouse, SHOP, WEEK, table)
    spoil = {
        WEEK[1]: "UPDATE transactions SET quantity = quantity + 1e-9 WHERE line = 8",
        WEEK[3]: "DELETE FROM transactions WHERE line = 20",
        WEEK[5]: "INSERT INTO transactions SELECT * FROM transactions WHERE line = 32",
    }
    with warehouse.begin() as connection:
        for statement in spoil.values():
            connection.execute(text(statement))
    found = reconcile(warehouse, SHOP, WEEK, table)
    assert [(m.period, m.expected_rows, m.stored_rows) for m in found] == [
        (WEEK[1], 6, 6),
        (WEEK[3], 6, 5),
        (WEEK[5], 6, 7),
    ]
    assert all(m.expected_checksum != m.stored_checksum for m in found)
    withdrawn = reconcile(warehouse, SHOP, WEEK[:1], sales([]))
    expected = period_checksums(table)[WEEK[0]]
    assert withdrawn == (Mismatch(WEEK[0], 0, 6, EMPTY[1], expected[1]),)
