"""The role of store/api_role.sql: the API reads what is published, asks for retrainings, and can do no more."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import numpy as np
import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import ProgrammingError

from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, ITEM_ID, STORE_ID, TotalLevel
from shelfops_pipeline.contracts.replenishment import OrderAction
from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.alerts import acknowledge, list_alerts, resolve
from shelfops_pipeline.store.api_keys import issue_key, list_keys, note_use
from shelfops_pipeline.store.engine import open_engine, url_string, warehouse_url
from shelfops_pipeline.store.forecasts import ForecastStream, Form, Wanted, forecast_text
from shelfops_pipeline.store.item_flags import clear_flag, flag_events, set_flag
from shelfops_pipeline.store.migrate import grant_api, newest_revision, revision_of
from shelfops_pipeline.store.operations import operational_alerts_of
from shelfops_pipeline.store.orders import decide_order, edit_line, list_orders, order_events
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.reorder import read_plan
from shelfops_pipeline.store.replenishment_records import Alert
from shelfops_pipeline.store.requests import add_request, retrain_request
from shelfops_pipeline.store.runs import pipeline_state
from shelfops_pipeline.store.sales import series_sales
from shelfops_pipeline.store.tables import items
from shelfops_pipeline.store.totals import read_totals
from shelfops_pipeline.store.transactions import replace_periods
from tests.domain.store.support import SHOP, sales

ROLE = "shelfops_api"
TODAY = date(2025, 3, 3)


@pytest.fixture
def reader(warehouse: Engine) -> Iterator[Engine]:
    """An engine of the API's role, on a warehouse with a release in it."""
    columns = {name: np.ones(2, np.float32) for name in FORECAST_COLUMNS} | {"model_version": "v1", ITEM_ID: "milk"}
    columns |= {STORE_ID: np.array(["s1", "s2"]), "date": np.full(2, np.datetime64("2025-03-01"))}
    writes.publish_forecasts(warehouse, "r1", columns)
    inputs = {STORE_ID: ["s1"], ITEM_ID: ["milk"], "model_version": "v1", "origin": [date(2025, 2, 28)]}
    writes.publish_online_features(warehouse, "r1", inputs | {"payload": np.ones((1, 3), np.float32)})
    names = {"champion_version": "v1", "cold_start_version": None, "dataset": SHOP}
    writes.publish_release(warehouse, "r1", **names, manifest={})
    replace_periods(warehouse, SHOP, [date(2025, 1, 1)], sales([date(2025, 1, 1)]))
    with warehouse.begin() as connection:
        connection.execute(text(f"CREATE ROLE {ROLE} LOGIN"))
    grant_api(warehouse)
    grant_api(warehouse)  # as after every upgrade
    engine = open_engine(url_string(warehouse_url(str(warehouse.url)).set(username=ROLE)))
    yield engine
    engine.dispose()
    with warehouse.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {ROLE}"))
        connection.execute(text(f"DROP ROLE {ROLE}"))


def test_the_role_of_the_api_reads_what_is_published(reader: Engine) -> None:
    assert reads.latest_release(reader, SHOP) is not None
    assert len(reads.series_forecast(reader, "r1", "s1", "milk")) == 1
    assert set(reads.online_features(reader, "r1", [("s1", "milk")])) == {("s1", "milk")}
    assert read_plan(reader, "r1") == []
    assert reads.series_explanations(reader, "r1", "s1", "milk") == []
    assert read_totals(reader, "r1", TotalLevel.STORE).groups == {}
    assert series_sales(reader, SHOP, "s1", "milk", date(2025, 1, 1), date(2025, 2, 1)) == []
    assert operational_alerts_of(reader, SHOP) == []
    assert revision_of(reader) == newest_revision()
    assert pipeline_state(reader, SHOP).latest == ()
    assert forecast_text(reader, "r1", "s1", "milk") is not None


def test_it_reads_many_series_by_category(reader: Engine, warehouse: Engine) -> None:
    row = {"dataset": SHOP, "item_id": "milk", "attributes": {"category": "dairy"}}
    with warehouse.begin() as connection:
        connection.execute(insert(items), row)
    for category, found in (("dairy", ["s1", "s2"]), ("bread", [])):
        with ForecastStream(reader, SHOP, "r1", Wanted(categories=(category,)), Form.CSV) as stream:
            assert [one.store_id for chunk in stream for one in chunk] == found


def test_it_asks_for_a_retraining_once(reader: Engine) -> None:
    asked, new = add_request(reader, SHOP, "key", requested_by="api")
    assert new
    assert add_request(reader, SHOP, "key", requested_by="api") == (asked, False)
    assert retrain_request(reader, asked.request_id) == asked


def test_it_reads_keys_and_notes_their_use(warehouse: Engine, reader: Engine) -> None:
    issued = issue_key(warehouse, SHOP, "till", [Scope.READ], by="boss")
    assert [record.last_used_at for record in list_keys(reader, SHOP)] == [None]
    note_use(reader, [issued.key_id])
    assert [record.last_used_at is None for record in list_keys(reader, SHOP)] == [False]


def test_it_writes_down_what_people_decide(reader: Engine, warehouse: Engine) -> None:
    found = [Alert("s1", "milk", kind, "low", "") for kind in ("overstock", "reorder_now")]
    sync_alerts(warehouse, SHOP, "r1", found, at=datetime.now(UTC))
    (alert,) = list_alerts(reader, SHOP, kind="overstock")
    acknowledge(reader, SHOP, alert.alert_id, who="ann")
    assert resolve(reader, SHOP, alert.alert_id, who="ann", note="sold").status == "resolved"
    line = {STORE_ID: ["s1"], ITEM_ID: ["milk"], "order_date": [TODAY], "quantity": [6.0], "reason": ["enough"]}
    propose_orders(warehouse, SHOP, "r1", line, today=TODAY)
    (order,) = list_orders(reader, SHOP)
    edit_line(reader, SHOP, order.order_id, "s1", "milk", quantity=3, who="ann")
    decide_order(reader, SHOP, order.order_id, action=OrderAction.ACCEPT, who="ann")
    (alert,) = list_alerts(reader, SHOP)
    assert alert.details["ordered"] == 3
    assert [e.action for e in order_events(reader, SHOP, order.order_id)] == ["proposed", "edited", "accepted"]
    set_flag(reader, SHOP, "milk", discontinued=True, who="ann")
    clear_flag(reader, SHOP, "milk", who="ann")
    assert [e.action for e in flag_events(reader, SHOP)] == ["cleared", "set"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE api_keys SET scopes = '{admin}'",
        "INSERT INTO api_keys (key_id, dataset, name, hash, scopes, created_by) VALUES ('x', 'x', 'x', 'x', '{}', 'x')",
        "DELETE FROM demand_forecasts",
        "INSERT INTO releases (release, champion_version, dataset, manifest) VALUES ('x', 'x', 'x', '{}')",
        "UPDATE online_features SET origin = '2025-01-01'",
        "TRUNCATE stock_alerts",
        "DELETE FROM stock_alerts",
        "UPDATE stock_alerts SET raised_at = now()",
        "UPDATE reorder_plan SET quantity = 0",
        "INSERT INTO purchase_orders (order_id, dataset, order_date, release) VALUES ('x', 'x', '2025-01-01', 'x')",
        "UPDATE purchase_order_lines SET unit_cost = 0",
        "UPDATE purchase_order_events SET who = 'bob'",
        "DELETE FROM item_flag_events",
        "UPDATE retrain_requests SET status = 'succeeded'",
        "DELETE FROM operational_alerts",
        "DELETE FROM pipeline_runs",
        "DROP TABLE demand_forecasts",
        "CREATE TABLE mine (x int)",
        "SELECT * FROM transactions",
        "UPDATE items SET attributes = '{}'",
        "SELECT * FROM transactions_2025_01",
        "SELECT * FROM quarantined_transactions",
        "SELECT * FROM ingested_periods",
    ],
)
def test_it_can_do_nothing_else(reader: Engine, statement: str) -> None:
    with reader.connect() as connection, pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        connection.execute(text(statement))
