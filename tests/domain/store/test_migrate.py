"""The schema that migrations make is the schema that the code expects, whoever runs them, however often."""

import re
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, STORE_ID
from shelfops_pipeline.contracts.replenishment import AlertStatus
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.alerts import list_alerts
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import VERSION_TABLE, downgrade, migrate
from shelfops_pipeline.store.orders import read_order
from shelfops_pipeline.store.quarantine import FROM_BEFORE, quarantined
from shelfops_pipeline.store.schema import metadata
from shelfops_pipeline.store.transactions import replace_periods
from tests.domain.store.support import SHOP, days, sales, stored

OLD_TABLES = {"releases", "demand_forecasts", "online_features", "stock_alerts", "quarantined_transactions"}


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def drift(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_up_down_and_up_again(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    for _ in range(2):
        migrate(engine)
        migrate(engine)
        assert tables(engine) == {*metadata.tables, VERSION_TABLE}
        assert drift(engine) == []
        downgrade(engine, "0001")
        assert tables(engine) == {*OLD_TABLES, VERSION_TABLE}
        migrate(engine)
        assert drift(engine) == []
        downgrade(engine)
        assert tables(engine) == {VERSION_TABLE}
    engine.dispose()


def test_migrations_make_exactly_the_declared_tables(warehouse: Engine) -> None:
    assert drift(warehouse) == []


def test_a_table_that_drifts_is_noticed(warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("ALTER TABLE ingested_periods DROP COLUMN late"))
    assert drift(warehouse) != []


def test_partitioning_is_as_declared(warehouse: Engine) -> None:
    """Alembic does not compare it."""
    query = "SELECT relname, pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p' ORDER BY 1"
    with warehouse.connect() as connection:
        found = {name: key for name, key in connection.execute(text(query))}
    declared = {t.name: t.dialect_options["postgresql"]["partition_by"] for t in metadata.tables.values()}
    assert found == {name: key for name, key in declared.items() if key}
    assert found == {"transactions": "RANGE (period)", "inventory": "RANGE (date)"}


def test_data_of_the_first_version_survive_and_old_rows_get_a_fingerprint(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    migrate(engine)
    columns = {name: np.ones(2, np.float32) for name in FORECAST_COLUMNS} | {"model_version": "v1", "item_id": "milk"}
    columns |= {STORE_ID: np.array(["s1", "s2"]), "date": np.full(2, np.datetime64("2025-03-01"))}
    writes.publish_forecasts(engine, "r1", columns)
    downgrade(engine, "0001")
    with engine.begin() as connection:
        for line in (1, 2, None):
            insert = """INSERT INTO quarantined_transactions (dataset, partition_key, source, line, reason, row)
                        VALUES ('shop', '2025-01-01', 'sales.csv', :line, 'bad', '{"item": "käse\\\\"}')"""
            connection.execute(text(insert), {"line": line})
    before = stored(engine, "quarantined_transactions"), stored(engine, "demand_forecasts")
    migrate(engine)
    rows = quarantined(engine, SHOP).rows
    assert len({row.fingerprint for row in rows}) == 3
    assert all(re.fullmatch(f"{FROM_BEFORE}[0-9a-f]{{64}}", row.fingerprint) for row in rows)
    assert [row[:-1] for row in stored(engine, "quarantined_transactions")] == before[0]
    assert len(reads.series_forecast(engine, "r1", "s1", "milk")) == 1
    week = days(date(2024, 12, 30), 7)
    replace_periods(engine, SHOP, week, sales(week))
    downgrade(engine, "0001")
    assert (stored(engine, "quarantined_transactions"), stored(engine, "demand_forecasts")) == before
    assert tables(engine) == {*OLD_TABLES, VERSION_TABLE}, "partitions go with their table"
    migrate(engine)
    assert stored(engine) == []
    assert quarantined(engine, SHOP).rows == rows
    engine.dispose()


def test_alerts_of_the_latest_release_stand_on_and_earlier_ones_become_history(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    migrate(engine, "0005")
    names = {"champion_version": "v1", "cold_start_version": None, "dataset": SHOP}
    for release in ("r1", "r2"):
        writes.publish_release(engine, release, **names, manifest={})
    with engine.begin() as connection:
        for release, status in (("r0", "open"), ("r1", "open"), ("r2", "acknowledged")):
            insert = """
                INSERT INTO stock_alerts
                    (alert_id, release, store_id, item_id, kind, severity, message, details, status)
                VALUES (:release, :release, 's1', 'milk', 'overstock', 'low', '', '{}', :status)"""
            connection.execute(text(insert), {"release": release, "status": status})
    migrate(engine)
    (alert,) = list_alerts(engine, SHOP)
    assert (alert.alert_id, alert.status, alert.raised_release) == ("r2", "acknowledged", "r2")
    (old,) = list_alerts(engine, SHOP, status=AlertStatus.RESOLVED)
    assert (old.alert_id, old.note) == ("r1", "of an earlier release")
    downgrade(engine, "0005")
    assert [row[:2] for row in stored(engine, "stock_alerts")] == [("r2", "r2")]
    engine.dispose()


def test_two_processes_may_migrate_at_once(postgres_url: str) -> None:
    code = (
        "import sys; from shelfops_pipeline.store.engine import open_engine;"
        "from shelfops_pipeline.store.migrate import migrate; migrate(open_engine(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, postgres_url]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    engine = open_engine(postgres_url)
    assert tables(engine) == {*metadata.tables, VERSION_TABLE}
    assert drift(engine) == []
    engine.dispose()


def test_a_migration_does_not_queue_behind_a_long_reader(postgres_url: str) -> None:
    """Whoever came after it would wait behind it."""
    engine = open_engine(postgres_url)
    migrate(engine, "0008")
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM stock_alerts"))
        with pytest.raises(ShelfOpsError, match=r"tables were in use for 0\.1 s, so they were not migrated"):
            migrate(engine, patience=0.1)
        assert reader.scalar(text("SELECT count(*) FROM purchase_orders")) == 0
    migrate(engine)
    assert drift(engine) == []
    engine.dispose()


def test_orders_from_before_revisions_have_their_first(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    migrate(engine, "0008")
    names = "order_id, dataset, order_date, release"
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO purchase_orders ({names}) VALUES ('x', 'shop', '2025-03-03', 'r1')"))  # noqa: S608
    migrate(engine)
    order = read_order(engine, SHOP, "x")
    assert (order.revision, order.planned_on) == (1, date(2025, 3, 3))
    engine.dispose()


@pytest.mark.parametrize("name", ["quarantined_transactions", "ingested_periods"])
def test_a_failed_migration_leaves_nothing(postgres_url: str, name: str) -> None:
    engine = open_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {name} (mine int)"))
    with pytest.raises(Exception, match="already exists"):
        migrate(engine)
    assert tables(engine) == {name}
    engine.dispose()
