"""Months: made when needed, dropped when old, and never while somebody would lose what is not old."""

import threading
from datetime import date

import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store import partitions as rooms
from shelfops_pipeline.store.partitions import ensure_partitions, maintain, next_month
from shelfops_pipeline.store.reference import replace_inventory
from shelfops_pipeline.store.tables import inventory, transactions
from shelfops_pipeline.store.transactions import read_transactions, replace_periods
from tests.domain.store.support import SHOP, partitions, sales, stock

LONG = [date(2023, 11, 30), date(2023, 12, 31), date(2024, 1, 1), date(2024, 2, 29), date(2024, 3, 1)]


@pytest.mark.parametrize(
    ("first", "after"),
    [
        (date(2024, 12, 1), date(2025, 1, 1)),
        (date(2024, 2, 1), date(2024, 3, 1)),
        (date(2025, 2, 1), date(2025, 3, 1)),
        (date(2024, 4, 1), date(2024, 5, 1)),
    ],
)
def test_the_month_after(first: date, after: date) -> None:
    assert next_month(first) == after


def test_making_months_again_makes_none(warehouse: Engine) -> None:
    ensure_partitions(warehouse, transactions, LONG)
    assert len(partitions(warehouse)) == 5
    ensure_partitions(warehouse, transactions, [*LONG, date(2023, 11, 1)])
    assert len(partitions(warehouse)) == 5
    assert partitions(warehouse, "inventory") == []


def test_threads_that_need_the_same_months_make_them_once(warehouse: Engine) -> None:
    failures: list[BaseException] = []

    def make() -> None:
        try:
            ensure_partitions(warehouse, inventory, LONG)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(partitions(warehouse, "inventory")) == 5


def test_months_can_be_made_while_a_reader_and_a_writer_are_busy(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, LONG[:1], sales(LONG[:1]))
    with warehouse.begin() as busy:
        busy.execute(text("SELECT count(*) FROM transactions"))
        busy.execute(text("DELETE FROM transactions WHERE dataset = 'nobody'"))
        making = threading.Thread(target=ensure_partitions, args=(warehouse, transactions, LONG))
        making.start()
        making.join(10)
        assert not making.is_alive(), "waits for a lock that others hold for as long as they load"


def test_what_is_older_than_asked_is_dropped_and_nothing_else(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, LONG, sales(LONG))
    replace_inventory(warehouse, SHOP, LONG, stock(LONG))
    today = date(2024, 3, 5)
    assert maintain(warehouse, today=today) == ()
    assert maintain(warehouse, today=today, keep=2000) == ()
    # Kept from 2024-01-01 on: December is gone as a whole, January stays as a whole.
    dropped = maintain(warehouse, today=today, compress_after=30, keep=64)
    assert dropped == tuple(
        f"{table}_{month}" for table in ("transactions", "inventory") for month in ("2023_11", "2023_12")
    )
    assert set(read_transactions(warehouse, SHOP, LONG[0], LONG[-1])["period"].to_pylist()) == set(LONG[2:])
    assert maintain(warehouse, today=today, keep=64) == ()
    assert maintain(warehouse, today=today, keep=63) == ()
    replace_periods(warehouse, SHOP, LONG[:1], sales(LONG[:1]))  # the past can still be ingested again
    assert len(partitions(warehouse)) == 4
    with pytest.raises(ValueError, match="from 1"):
        maintain(warehouse, today=today, keep=0)


def test_a_month_that_is_being_read_is_not_dropped_and_that_is_said(
    warehouse: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_LOCK_TIMEOUT", "200ms")
    replace_periods(warehouse, SHOP, LONG, sales(LONG))
    with warehouse.begin() as reader:
        reader.execute(text("SELECT count(*) FROM transactions"))
        with pytest.raises(ShelfOpsError, match="transactions is in use"):
            maintain(warehouse, today=date(2024, 3, 5), keep=1)
    assert len(partitions(warehouse)) == 5


def test_tables_of_the_operator_are_left_alone(warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        bounds = "FROM ('2000-01-01') TO ('2020-01-01')"
        connection.execute(text(f"CREATE TABLE transactions_archive PARTITION OF transactions FOR VALUES {bounds}"))
    assert maintain(warehouse, today=date(2024, 3, 5), keep=1) == ()
    assert partitions(warehouse) == ["transactions_archive"]
