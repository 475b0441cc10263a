"""Tables leave a database as of one moment, and arrive in another bit for bit."""

from datetime import date, datetime

import psycopg
import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import OperationalError

from shelfops_pipeline.store.dump import copy_table_in, copy_table_out, existing, has_rows, snapshot
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import migrate
from shelfops_pipeline.store.partitions import ensure_partitions
from shelfops_pipeline.store.schema import metadata
from shelfops_pipeline.store.tables import calendar, quarantined_transactions, releases, transactions

DAYS = (date(2025, 1, 31), date(2025, 2, 1))
LINE = {"dataset": "shop", "ts": datetime(2025, 1, 31, 9, 30), "store_id": "Ü\t1", "item_id": "a,b", "source": None}
REFUSED = {"dataset": "shop", "partition_key": "2025-01-31", "source": "f.csv", "line": None, "reason": "no price"}


@pytest.fixture
def filled(warehouse: Engine) -> Engine:
    ensure_partitions(warehouse, transactions, DAYS)
    numbers = ((DAYS[0], 0.1 + 0.2), (DAYS[1], -1e-300), (DAYS[1], 3.0))
    with warehouse.begin() as connection:
        connection.execute(insert(transactions), [LINE | {"period": p, "quantity": q} for p, q in numbers])
        rows = [REFUSED | {"row": {"quantity": "1,5", "note": None}, "fingerprint": f"{n}"} for n in range(3)]
        connection.execute(insert(quarantined_transactions), rows)
    return warehouse


def test_rows_arrive_as_they_were_and_counters_go_on(filled: Engine, postgres_url: str) -> None:
    other = open_engine(postgres_url)
    migrate(other)
    ensure_partitions(other, transactions, DAYS)
    tables = [transactions.name, quarantined_transactions.name, calendar.name]
    with snapshot(filled, tables) as connection, other.begin() as there:
        for name in tables:
            pieces: list[bytes] = []
            dumped = copy_table_out(connection, name, pieces.append)
            assert copy_table_in(there, name, dumped.columns, pieces) == dumped.rows
    for table in (transactions, quarantined_transactions):
        with filled.connect() as before, other.connect() as after:
            assert before.execute(select(table)).all() == after.execute(select(table)).all()
    with other.begin() as connection:
        row = REFUSED | {"row": {}, "fingerprint": "4th"}
        again = connection.execute(insert(quarantined_transactions).returning(quarantined_transactions.c.id), row)
        assert again.scalar() == 4
    other.dispose()


def test_what_is_written_after_the_snapshot_began_is_not_in_it(filled: Engine) -> None:
    tables = [table.name for table in metadata.sorted_tables]
    with snapshot(filled, tables) as connection:
        with filled.begin() as writer:
            writer.execute(text("DELETE FROM quarantined_transactions"))
            row = {"release": "v1", "champion_version": "v1", "dataset": "shop", "manifest": {}}
            writer.execute(insert(releases), row)
        dumped = {name: copy_table_out(connection, name, lambda _: None).rows for name in tables}
    assert (dumped[quarantined_transactions.name], dumped[releases.name]) == (3, 0)


def test_a_month_is_not_dropped_under_a_snapshot(filled: Engine) -> None:
    with snapshot(filled, [transactions.name]) as connection:
        with filled.connect() as retention:
            retention.execute(text("SET lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                retention.execute(text("DROP TABLE transactions_2025_01"))
        assert copy_table_out(connection, transactions.name, lambda _: None).rows == 3


def test_half_a_table_is_no_table(filled: Engine, postgres_url: str) -> None:
    other = open_engine(postgres_url)
    migrate(other)
    pieces: list[bytes] = []
    with snapshot(filled, []) as connection:
        dumped = copy_table_out(connection, quarantined_transactions.name, pieces.append)
    with pytest.raises(psycopg.Error), other.begin() as there:
        copy_table_in(there, quarantined_transactions.name, dumped.columns, [b"".join(pieces)[:-40]])
    with other.connect() as after:
        assert not has_rows(after, quarantined_transactions.name)
        assert existing(after, ["transactions", "nothing"]) == ["transactions"]
    other.dispose()
