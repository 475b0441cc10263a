"""Plan, orders and alerts as the graph makes them, on a warehouse and a Redis that are real."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from redis import Redis
from sqlalchemy import Engine

from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.contracts.messages import AlertMessage, alerts_channel
from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.defs.replenishment import purchase_orders, reorder_plan, stock_alerts
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.store.alerts import list_alerts
from shelfops_pipeline.store.engine import url_string
from shelfops_pipeline.store.item_flags import set_flag
from shelfops_pipeline.store.orders import decide_order, list_orders, read_order
from shelfops_pipeline.store.reorder import read_plan
from tests.domain.replenishment.shelf import MONDAY, Shelf, Shop
from tests.redis_server import RedisServer

SUPPLIERS = {"supplier_id": ["dairy", "bakery", "dairy"], "cost": [1.0, 2.0, 3.0]}
SHELVES = [Shelf("a", 5), Shelf("b", 36), Shelf("c", 900)]


class Serving(Retailer):
    """A retailer whose champion is v1."""

    @property
    def serving(self) -> ChampionPointer:
        return ChampionPointer(
            version="v1",
            feature_tier=Tier.PRODUCTION,
            dataset="shop",
            mae=1.0,
            promoted_at=datetime(2025, 3, 1, tzinfo=UTC),
        )


@dataclass
class Desk:
    """What runs the three assets, and hears what is announced."""

    engine: Engine
    heard: Any

    def run(self, shop: Shop, *, earlier: Shop | None = None) -> dict[str, dg.MaterializeResult[Any]]:
        """`earlier` has the counts of two days before."""
        inventory = Partitions("raw_inventory", ("2025-02-28", "2025-03-01", "2025-03-02"), Grain.DAY)
        for counts in (shop, earlier):
            if counts is not None and counts.counted:
                inventory.at([pd.Timestamp(counts.counted_on).date()]).replace(counts.inventory())
        given = {"retailer": Serving(), "warehouse": Warehouse()}
        parts = {"panel": shop.panel(), "demand_forecasts": shop.forecasts(), "raw_reference": shop.reference()}
        plan = reorder_plan(**given, **parts, raw_inventory=inventory)
        rest = {
            asset.key.to_user_string(): asset(**given, reorder_plan=plan.value)
            for asset in (purchase_orders, stock_alerts)
        }
        return {"reorder_plan": plan, **rest}

    def messages(self) -> list[AlertMessage]:
        told = []
        while message := self.heard.get_message(timeout=0.2):
            told.append(AlertMessage.model_validate_json(message["data"]))
        return told


@pytest.fixture
def desk(
    warehouse: Engine, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    server = RedisServer(tmp_path_factory.mktemp("r"))
    server.start()
    values = {
        "HOME": tmp_path,
        "DATABASE_URL": url_string(warehouse.url),
        "REDIS_URL": server.url,
        "DATASET": "simulated",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"SHELFOPS_{name}", str(value))
    with Redis.from_url(server.url) as client, client.pubsub() as heard:
        heard.subscribe(alerts_channel("shop"))
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        yield Desk(warehouse, heard)
    server.stop()


def test_a_forecast_becomes_a_plan_orders_and_alerts_once(desk: Desk) -> None:
    shop = Shop(SHELVES, SUPPLIERS)
    told = desk.run(shop)
    assert len(read_plan(desk.engine, "v1")) == 3
    orders = {o.supplier_id: read_order(desk.engine, "shop", o.order_id) for o in list_orders(desk.engine, "shop")}
    assert {supplier: [line.item_id for line in o.lines] for supplier, o in orders.items()} == {
        "dairy": ["a"],
        "bakery": ["b"],
    }
    assert orders["dairy"].order_date == date(2025, 3, 3)
    assert [(m.event, m.item_id, m.kind) for m in desk.messages()] == [
        ("raised", "a", "stockout_risk"),
        ("raised", "b", "reorder_now"),
        ("raised", "c", "overstock"),
    ]
    assert told["stock_alerts"].metadata is not None
    assert told["stock_alerts"].metadata["announced"] is True
    desk.run(shop)
    assert desk.messages() == []
    assert {
        o.supplier_id: read_order(desk.engine, "shop", o.order_id) for o in list_orders(desk.engine, "shop")
    } == orders


def test_what_people_said_is_heard_by_the_next_plan(desk: Desk) -> None:
    shop = Shop(SHELVES, SUPPLIERS)
    desk.run(shop)
    (dairy,) = list_orders(desk.engine, "shop", supplier_id="dairy")
    decide_order(desk.engine, "shop", dairy.order_id, action=OrderAction.ACCEPT, who="ann")
    set_flag(desk.engine, "shop", "b", discontinued=True, who="ann")
    desk.messages()
    desk.run(shop)
    assert {(o.supplier_id, o.status) for o in list_orders(desk.engine, "shop")} == {
        ("dairy", OrderStatus.ACCEPTED),
        ("bakery", OrderStatus.WITHDRAWN),
    }
    resolved = {(m.event, m.item_id, m.status) for m in desk.messages()}
    assert resolved == {("resolved", "a", "resolved"), ("resolved", "b", "resolved")}, "ordered; not sold any more"
    assert [line.reason for line in read_plan(desk.engine, "v1", item_id="b")] == ["discontinued"]


def test_a_store_that_was_not_counted_last_is_planned_on_its_count_before(desk: Desk) -> None:
    other = [replace(shelf, store="t") for shelf in SHELVES]
    desk.run(Shop([*SHELVES, *other], SUPPLIERS))
    before = {alert.alert_id for alert in list_alerts(desk.engine, "shop")}
    assert len(before) == 6
    here = Shop(SHELVES, SUPPLIERS)
    both = Shop([*SHELVES, *(replace(shelf, on_hand=np.nan) for shelf in other)], SUPPLIERS)
    told = desk.run(both, earlier=replace(here, shelves=other, counted_on=MONDAY - 3))
    assert told["reorder_plan"].metadata is not None
    assert told["reorder_plan"].metadata["counts older than the last period"] == 3
    assert told["reorder_plan"].metadata["last count"] == "2025-03-02"
    (line,) = read_plan(desk.engine, "v1", store_id="t", item_id="c")
    assert (line.on_hand, line.counted_on) == (880, date(2025, 2, 28))
    assert {alert.alert_id for alert in list_alerts(desk.engine, "shop")} == before


def test_what_nobody_counted_lately_keeps_its_alerts_and_the_days_proposals(desk: Desk) -> None:
    shop = Shop(SHELVES, SUPPLIERS)
    desk.run(shop)
    orders = list_orders(desk.engine, "shop")
    told = desk.run(replace(shop, shelves=[replace(shelf, on_hand=np.nan) for shelf in SHELVES]))
    assert told["reorder_plan"].metadata is not None
    assert told["reorder_plan"].metadata["stock unknown"] == 3
    assert list_orders(desk.engine, "shop") == orders
    alerts = list_alerts(desk.engine, "shop")
    assert [(alert.status, alert.unknown_since is None) for alert in alerts] == [("open", False)] * 3
    desk.run(shop)
    assert all(alert.unknown_since is None for alert in list_alerts(desk.engine, "shop"))


def test_an_accepted_order_settles_the_alert_of_what_it_orders(desk: Desk) -> None:
    shop = Shop(SHELVES, SUPPLIERS)
    desk.run(shop)
    (bakery,) = list_orders(desk.engine, "shop", supplier_id="bakery")
    decide_order(desk.engine, "shop", bakery.order_id, action=OrderAction.ACCEPT, who="ann")
    told = desk.run(shop)
    (line,) = read_plan(desk.engine, "v1", item_id="b")
    assert (line.quantity, line.accepted) == (0, bakery.units)
    assert told["reorder_plan"].metadata is not None
    assert told["reorder_plan"].metadata["units accepted since the counts"] == bakery.units
    assert list_alerts(desk.engine, "shop", item_id="b") == []
    assert list_orders(desk.engine, "shop", status=OrderStatus.PROPOSED, supplier_id="bakery") == []


def test_without_inventory_there_are_levels_and_neither_orders_nor_alerts(desk: Desk) -> None:
    desk.run(replace(Shop(SHELVES, SUPPLIERS), counted=False))
    assert all(line.order_up_to and line.quantity is None for line in read_plan(desk.engine, "v1"))
    assert list_orders(desk.engine, "shop") == []
    assert list_alerts(desk.engine, "shop") == []


def test_without_redis_the_warehouse_has_it_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFOPS_REDIS_URL", "unix:///nowhere/redis.sock")
    told = desk.run(Shop(SHELVES, SUPPLIERS))
    assert told["stock_alerts"].metadata is not None
    assert told["stock_alerts"].metadata["announced"] is False
    assert len(list_alerts(desk.engine, "shop")) == 3
