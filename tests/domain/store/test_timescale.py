"""The same calls on a real TimescaleDB. Run where SHELFOPS_TEST_TIMESCALE_URL names a database that may be emptied."""

import os
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.checksums import reconcile
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.history import ROWS, series_history
from shelfops_pipeline.store.migrate import downgrade, migrate
from shelfops_pipeline.store.partitions import maintain
from shelfops_pipeline.store.reference import replace_inventory
from shelfops_pipeline.store.transactions import read_transactions, replace_periods
from tests.domain.store.support import SHOP, days, sales, stock, stored

URL = os.environ.get("SHELFOPS_TEST_TIMESCALE_URL")
pytestmark = pytest.mark.skipif(not URL, reason="SHELFOPS_TEST_TIMESCALE_URL names no TimescaleDB")

TODAY = date.today()
LAST_YEAR = TODAY - timedelta(days=300)
PERIODS = days(LAST_YEAR, 70)


@pytest.fixture
def timescale() -> Iterator[Engine]:
    engine = open_engine(str(URL))
    migrate(engine)
    downgrade(engine)
    migrate(engine)
    yield engine
    downgrade(engine)
    engine.dispose()


def jobs(engine: Engine) -> dict[tuple[str, str], dict[str, object]]:
    query = """SELECT hypertable_name, proc_name, config FROM timescaledb_information.jobs
               WHERE proc_name IN ('policy_compression', 'policy_retention')"""
    with engine.connect() as connection:
        return {(name, proc.removeprefix("policy_")): config for name, proc, config in connection.execute(text(query))}


def compress_all(engine: Engine) -> int:
    """What Timescale's own job does when its time has come."""
    with engine.begin() as connection:
        done = "SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('{}') c"
        tables = ("transactions", "inventory")
        return sum(len(connection.execute(text(done.format(name))).all()) for name in tables)


def test_the_large_tables_are_hypertables(timescale: Engine) -> None:
    query = "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables ORDER BY 1"
    with timescale.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    assert found == [("demand_forecasts", False), ("inventory", True), ("transactions", True)]


def test_periods_are_replaced_as_without_timescale(timescale: Engine) -> None:
    assert replace_periods(timescale, SHOP, PERIODS, sales(PERIODS)) == 420
    assert replace_periods(timescale, SHOP, PERIODS, sales(PERIODS)) == 420
    assert reconcile(timescale, SHOP, PERIODS, sales(PERIODS)) == ()
    assert read_transactions(timescale, SHOP, PERIODS[3], PERIODS[9], store_id="s1", item_id="i2").num_rows == 7
    assert set(series_history(timescale, SHOP, PERIODS[10])[ROWS].tolist()) == {10}


def test_a_day_in_a_compressed_chunk_is_replaced_and_its_neighbours_are_not(timescale: Engine) -> None:
    replace_periods(timescale, SHOP, PERIODS, sales(PERIODS))
    replace_inventory(timescale, SHOP, PERIODS, stock(PERIODS))
    before = stored(timescale), stored(timescale, "inventory")
    assert compress_all(timescale) >= 6
    assert (stored(timescale), stored(timescale, "inventory")) == before
    day = PERIODS[40]
    replace_periods(timescale, SHOP, [day], sales([day], level=90, stores=1))
    replace_inventory(timescale, SHOP, [day], stock([day], level=90, items=1))
    for table, old in zip(("transactions", "inventory"), before, strict=True):
        new = stored(timescale, table)
        assert [row for row in new if row[1] != day] == [row for row in old if row[1] != day]
        assert len([row for row in new if row[1] == day]) == (3 if table == "transactions" else 1)
    with pytest.raises(DataError, match="Cannot write inventory"):
        replace_inventory(timescale, SHOP, [PERIODS[41]], {k: v.to_pylist() * 2 for k, v in _columns([PERIODS[41]])})
    compress_all(timescale)
    replace_periods(timescale, SHOP, PERIODS, sales(PERIODS))
    assert stored(timescale) == before[0]


def test_more_rows_than_timescale_unpacks_by_default_can_be_replaced(timescale: Engine) -> None:
    month = days(LAST_YEAR, 20)
    table = sales(month, stores=2, items=6000)
    replace_periods(timescale, SHOP, month, table)
    compress_all(timescale)
    with timescale.connect() as connection:
        limit = int(connection.scalar(text("SHOW timescaledb.max_tuples_decompressed_per_dml_transaction")) or 0)
    assert 0 < limit < table.num_rows / 2
    for at in (4, 15):  # wherever a chunk ends, one of them is in a chunk with half of the rows
        assert replace_periods(timescale, SHOP, [month[at]], table.slice(at * 12_000, 12_000)) == 12_000
    assert reconcile(timescale, SHOP, month, table) == ()


def test_ages_become_jobs_and_the_expired_are_dropped_at_once(timescale: Engine) -> None:
    replace_periods(timescale, SHOP, PERIODS, sales(PERIODS))
    assert maintain(timescale, today=TODAY) == ()
    assert jobs(timescale) == {}
    assert maintain(timescale, today=TODAY, compress_after=90, keep=2000) == ()
    for table in ("transactions", "inventory"):
        assert jobs(timescale)[table, "compression"]["compress_after"] == "90 days"
        assert jobs(timescale)[table, "retention"]["drop_after"] == "2000 days"
    dropped = maintain(timescale, today=TODAY, compress_after=60, keep=250)
    assert len(dropped) >= 1
    left = {row[1] for row in stored(timescale)}
    assert {day for day in PERIODS if day >= TODAY - timedelta(days=250)} <= left < set(PERIODS)
    assert jobs(timescale)["transactions", "compression"]["compress_after"] == "60 days"
    assert maintain(timescale, today=TODAY, compress_after=60, keep=250) == ()
    maintain(timescale, today=TODAY)
    assert jobs(timescale) == {}


def _columns(dates: list[date]) -> list[tuple[str, object]]:
    table = stock(dates)
    return [(name, table[name]) for name in table.column_names]
