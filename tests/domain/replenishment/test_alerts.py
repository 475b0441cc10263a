"""One alert per series at most: the most urgent."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.replenishment.alerts import stock_alerts
from shelfops_pipeline.replenishment.reorder import Demand, Stock, Terms, plan_orders
from shelfops_pipeline.store.replenishment_records import Alert

H = 14
LEVEL = 0.95
Raise = Callable[..., list[Alert]]


@pytest.fixture
def alerts() -> Raise:
    """Alerts of series that sell ten a day, give or take, and are delivered in three."""

    def raised(on_hand: list[float], on_order: Any = 0.0, mean: float = 10.0) -> list[Alert]:
        n = len(on_hand)
        daily = np.full((n, H), mean, np.float32)
        quantiles = daily[..., None] * np.array([0.4, 0.8, 1, 1.2, 1.6], np.float32)
        held = Stock(np.array(on_hand, float), np.broadcast_to(np.float64(on_order), n), np.full(n, 3.0), np.zeros(n))
        plan = plan_orders(
            Demand(daily, quantiles), held, Terms.unknown(n), service_level=LEVEL, today=date(2025, 3, 3)
        )
        ids = np.array([f"i{k}" for k in range(n)])
        return stock_alerts(np.full(n, "s"), ids, held, plan, LEVEL)

    return raised


def test_each_kind_of_trouble_has_its_alert_and_calm_has_none(alerts: Raise) -> None:
    raised = alerts([5, 36, 60, 900])
    assert [(a.item_id, a.kind, a.severity) for a in raised] == [
        ("i0", "stockout_risk", "high"),
        ("i1", "reorder_now", "medium"),
        ("i3", "overstock", "low"),
    ]


def test_unknown_stock_raises_no_alert(alerts: Raise) -> None:
    assert alerts([np.nan]) == []
    assert alerts([5], on_order=np.nan) == []


def test_what_is_on_its_way_calms_an_alert(alerts: Raise) -> None:
    assert alerts([5])[0].kind == "stockout_risk"
    assert alerts([5], on_order=60) == []


def test_no_stock_of_an_item_that_does_not_sell_is_no_trouble(alerts: Raise) -> None:
    assert alerts([0], mean=0) == []
    assert [a.kind for a in alerts([7], mean=0)] == ["overstock"]


def test_an_alert_carries_the_figures_behind_it_and_says_what_to_do(alerts: Raise) -> None:
    (alert,) = alerts([5], on_order=10)
    assert alert.details["on_hand"] == 5
    assert alert.details["on_order"] == 10
    assert alert.details["order_quantity"] == alert.details["order_up_to"] - 15
    assert alert.details["stockout_probability"] > 0.5
    assert alert.message.startswith("5 on hand and 10 on order: out of stock before a delivery with probability")
    assert f"order {alert.details['order_quantity']:.0f}" in alert.message
    (over,) = alerts([900])
    assert "far above the order-up-to level of" in over.message
    assert over.details["order_quantity"] == 0
