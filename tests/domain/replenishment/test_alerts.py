"""Which series need a planner's eye, and what the alert says."""

import json
from datetime import UTC, datetime

import numpy as np

from shelfops_pipeline.replenishment.alerts import stock_alerts
from shelfops_pipeline.store.replenishment_records import Alert, ItemFlag
from tests.domain.replenishment.shelf import Shelf, Shop


def alerts(*shelves: Shelf, flags: tuple[ItemFlag, ...] = ()) -> list[Alert]:
    """Of series that sell ten a day, give or take, and are delivered in three."""
    return stock_alerts(Shop(shelves, flags=flags).plan())


def kinds(*shelves: Shelf) -> list[str]:
    return [a.kind for a in alerts(*shelves)]


def discontinued(item: str) -> ItemFlag:
    return ItemFlag("shop", item, None, True, None, "", datetime(2025, 3, 1, tzinfo=UTC), "ann")


def test_each_kind_of_trouble_has_its_alert_and_calm_has_none() -> None:
    raised = alerts(Shelf("a", 5), Shelf("b", 36), Shelf("c", 60), Shelf("d", 900), Shelf("e", 50, sold=[0] * 5))
    assert [(a.item_id, a.kind, a.severity) for a in raised] == [
        ("a", "stockout_risk", "high"),
        ("b", "reorder_now", "medium"),
        ("e", "phantom_stock", "medium"),
        ("d", "overstock", "low"),
    ]


def test_one_series_may_have_alerts_of_several_kinds() -> None:
    assert kinds(Shelf("a", 900, sold=[0] * 5)) == ["phantom_stock", "overstock"]


def test_unknown_stock_raises_no_alert() -> None:
    assert kinds(Shelf("a"), Shelf("b", 5, np.nan)) == []
    assert stock_alerts(Shop([Shelf("a", 5)], counted=False).plan()) == []


def test_what_is_on_its_way_calms_an_alert() -> None:
    assert kinds(Shelf("a", 5)) == ["stockout_risk"]
    assert kinds(Shelf("a", 5, 60)) == []


def test_no_stock_of_an_item_that_does_not_sell_is_no_trouble() -> None:
    assert kinds(Shelf("a", 0, mean=0)) == []
    assert kinds(Shelf("a", 7, mean=0, sold=[0] * 60)) == ["overstock"]


def test_a_discontinued_item_is_not_to_be_ordered_but_may_be_too_much() -> None:
    raised = alerts(Shelf("a", 5), Shelf("b", 900), flags=(discontinued("a"), discontinued("b")))
    assert [(a.item_id, a.kind) for a in raised] == [("b", "overstock")]


def test_an_empty_shelf_and_a_closed_store_are_no_phantoms() -> None:
    assert "phantom_stock" not in kinds(Shelf("a", 0, sold=[0] * 9))
    assert "phantom_stock" not in kinds(Shelf("a", 60, sold=[np.nan] * 9))
    assert "phantom_stock" not in kinds(Shelf("a", 60, mean=0.1, sold=[0] * 9))
    assert "phantom_stock" in kinds(Shelf("a", 60, sold=[0, 0, np.nan, np.nan, 0, 0]))


def test_an_alert_carries_the_figures_behind_it_and_says_what_to_do() -> None:
    (alert,) = alerts(Shelf("a", 5, 10))
    assert (alert.details["on_hand"], alert.details["on_order"]) == (5, 10)
    assert alert.details["order_quantity"] == alert.details["order_up_to"] - 15
    assert alert.details["stockout_probability"] > 0.5
    assert (alert.details["order_date"], alert.details["stockout_date"]) == ("2025-03-03", "2025-03-04")
    assert alert.message.startswith("5 on hand and 10 on order: out of stock before a delivery with probability")
    assert f"order {alert.details['order_quantity']:.0f} on 03 Mar" in alert.message
    (over,) = alerts(Shelf("a", 900))
    assert "far above the order-up-to level of" in over.message
    assert (over.details["order_quantity"], over.details["stockout_date"]) == (0, None)
    (phantom,) = alerts(Shelf("a", 60, sold=[0] * 5))
    assert phantom.message.startswith("60 on record, but nothing sold in the last 5 periods")
    assert all(json.dumps(a.details, allow_nan=False) for a in (alert, over, phantom))


def test_a_chance_that_only_money_would_rather_avoid_is_no_alert() -> None:
    """A dear item is to be there in 99.5 % of cycles; planners hear of it from 5 % on."""
    plan = Shop([Shelf("a", 45)], {"cost": [1.0], "price": [9.0]}).plan()
    (chance,), (level,) = plan["stockout_probability"], plan["service_level"]
    assert 1 - level < chance < 0.05
    assert stock_alerts(plan) == []
