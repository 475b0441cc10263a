"""Decisions beside plans: about what was seen, counted as on order at once, and nothing lost where nothing is known."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.store.accepted import accepted_lines
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.alerts import alerts_of_order, hold_alerts, list_alerts
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.orders import OrderChangedError, decide_order, edit_line, list_orders, read_order
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.replenishment_records import Alert, PurchaseOrder

SHOP = "shop"
TODAY = date(2025, 3, 3)
TOMORROW = TODAY + timedelta(days=1)
ACCEPT = OrderAction.ACCEPT


def propose(engine: Engine, quantities: Mapping[str, float], *, today: date = TODAY, **options: Any) -> None:
    """Of one supplier, for one store."""
    items, n = list(quantities), len(quantities)
    columns = {
        "store_id": np.full(n, "s1", object),
        "item_id": np.array(items, object),
        "supplier_id": np.full(n, "dairy", object),
        "quantity": np.array([quantities[item] for item in items], float),
        "order_date": np.full(n, today, "datetime64[D]"),
        "reason": np.full(n, "below_reorder_point", object),
    }
    propose_orders(engine, SHOP, "r1", columns, today=today, **options)


def proposed(engine: Engine) -> PurchaseOrder:
    (found,) = list_orders(engine, SHOP, status=OrderStatus.PROPOSED)
    return read_order(engine, SHOP, found.order_id)


def quantities(order: PurchaseOrder) -> dict[str, float]:
    return {line.item_id: line.quantity for line in order.lines}


def series(*items: str) -> dict[str, list[str]]:
    return {"store_id": ["s1"] * len(items), "item_id": list(items)}


def test_a_decision_about_what_was_seen_is_refused_when_the_plan_changed_it(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12})
    seen = proposed(warehouse)
    propose(warehouse, {"milk": 48})
    for decide in (
        lambda: decide_order(warehouse, SHOP, seen.order_id, action=ACCEPT, who="ann", seen=seen.revision),
        lambda: edit_line(warehouse, SHOP, seen.order_id, "s1", "milk", quantity=6, who="ann", seen=seen.revision),
    ):
        with pytest.raises(OrderChangedError, match="has changed since you saw it: revision 1 is now 2"):
            decide()
    now = proposed(warehouse)
    assert (now.order_id, now.revision, quantities(now)) == (seen.order_id, 2, {"milk": 48.0})
    edited = edit_line(warehouse, SHOP, now.order_id, "s1", "milk", quantity=6, who="ann", seen=now.revision)
    assert edited.revision == 3
    decided = decide_order(warehouse, SHOP, now.order_id, action=ACCEPT, who="ann", seen=edited.revision)
    assert (decided.status, decided.revision) == ("accepted", 4)


def test_a_new_plan_that_says_the_same_is_no_change(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12})
    seen = proposed(warehouse)
    propose(warehouse, {"milk": 12})
    accepted = decide_order(warehouse, SHOP, seen.order_id, action=ACCEPT, who="ann", seen=seen.revision)
    assert accepted.decided_by == "ann"


def test_an_order_that_changes_while_it_is_read_is_read_as_it_was(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12, "eggs": 30})
    order_id = proposed(warehouse).order_id
    changed: list[PurchaseOrder] = []
    once = iter([True])

    def meanwhile(*of: Any) -> None:
        if next(once, False):
            changed.append(edit_line(warehouse, SHOP, order_id, "s1", "milk", quantity=1, who="bob"))

    event.listen(warehouse, "after_cursor_execute", meanwhile)
    order = read_order(warehouse, SHOP, order_id)
    assert changed[0].units == 31
    assert order.units == sum(line.quantity for line in order.lines) == 42
    assert (order.revision, changed[0].revision) == (1, 2)


def test_what_is_accepted_while_a_plan_is_made_is_not_proposed_again_by_it(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12})
    as_of = accepted_lines(warehouse, SHOP, after=TODAY - timedelta(days=1)).as_of
    decide_order(warehouse, SHOP, proposed(warehouse).order_id, action=ACCEPT, who="ann")
    propose(warehouse, {"milk": 12, "eggs": 6}, today=TOMORROW, as_of=as_of)
    assert quantities(proposed(warehouse)) == {"eggs": 6.0}
    later = accepted_lines(warehouse, SHOP, after=TODAY - timedelta(days=1))
    assert [(line.item_id, line.quantity) for line in later.lines] == [("milk", 12.0)]
    propose(warehouse, {"milk": 5, "eggs": 6}, today=TOMORROW, as_of=later.as_of)
    assert quantities(proposed(warehouse)) == {"milk": 5.0, "eggs": 6.0}, "what is wanted beside what is on order"


def test_an_order_that_is_accepted_days_later_was_placed_then(warehouse: Engine) -> None:
    """The count of its own day cannot know of it."""
    propose(warehouse, {"milk": 12, "eggs": 0.0})
    order_id = proposed(warehouse).order_id
    with warehouse.begin() as connection:  # as if the proposal were two days old
        connection.execute(text("UPDATE purchase_orders SET proposed_at = proposed_at - INTERVAL '2 days'"))
    decide_order(warehouse, SHOP, order_id, action=ACCEPT, who="ann")
    (line,) = accepted_lines(warehouse, SHOP, after=TOMORROW).lines
    assert (line.item_id, line.placed_on, line.quantity) == ("milk", TODAY + timedelta(days=2), 12.0)
    assert accepted_lines(warehouse, SHOP, after=TODAY + timedelta(days=2)).lines == ()
    assert accepted_lines(warehouse, "other", after=TODAY).lines == ()


def test_an_order_is_placed_on_its_day_wherever_midnight_lies(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12})
    decide_order(warehouse, SHOP, proposed(warehouse).order_id, action=ACCEPT, who="ann")
    for hour, waited, days in ((18, 15, 0), (23, 15, 0), (3, 15, 0), (23, 23, 0), (23, 39, 1)):
        at = datetime(2025, 3, 2, hour, tzinfo=UTC)
        times = {"proposed": at, "decided": at + timedelta(hours=waited)}
        with warehouse.begin() as connection:
            connection.execute(text("UPDATE purchase_orders SET proposed_at = :proposed, decided_at = :decided"), times)
        (line,) = accepted_lines(warehouse, SHOP, after=TODAY - timedelta(days=1)).lines
        assert line.placed_on == TODAY + timedelta(days=days), (hour, waited)


def test_what_is_proposed_of_a_series_that_was_not_assessed_stays_until_its_day_has_passed(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12, "eggs": 30, "soap": 6})
    order_id = proposed(warehouse).order_id
    propose(warehouse, {"eggs": 24}, assessed=series("eggs", "soap"))
    assert (proposed(warehouse).order_id, quantities(proposed(warehouse))) == (order_id, {"milk": 12.0, "eggs": 24.0})
    propose(warehouse, {}, assessed=series("eggs", "soap"))
    assert quantities(proposed(warehouse)) == {"milk": 12.0}
    propose(warehouse, {}, today=TOMORROW, assessed=series("eggs"))
    assert read_order(warehouse, SHOP, order_id).status == "withdrawn"


def test_an_alert_says_at_once_that_its_item_was_ordered_until_a_plan_counts_it(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12, "eggs": 30})
    found = [Alert("s1", item, "reorder_now", "medium", "", {"on_hand": 3.0}) for item in ("milk", "soap")]
    found.append(Alert("s1", "eggs", "overstock", "low", ""))
    sync_alerts(warehouse, SHOP, "r1", found, at=datetime(2025, 3, 3, tzinfo=UTC))
    order = decide_order(warehouse, SHOP, proposed(warehouse).order_id, action=ACCEPT, who="ann")
    details = {alert.item_id: alert.details for alert in list_alerts(warehouse, SHOP)}
    assert details == {"milk": {"on_hand": 3.0, "ordered": 12}, "soap": {"on_hand": 3.0}, "eggs": {}}
    assert [alert.item_id for alert in alerts_of_order(warehouse, SHOP, order.order_id)] == ["milk"]
    sync_alerts(warehouse, SHOP, "r1", found, at=datetime(2025, 3, 4, tzinfo=UTC))
    assert alerts_of_order(warehouse, SHOP, order.order_id) == []


def test_an_order_accepted_while_the_plan_was_made_is_still_said_by_its_alert(warehouse: Engine) -> None:
    propose(warehouse, {"milk": 12, "eggs": 30})
    found = [Alert("s1", "milk", "reorder_now", "medium", ""), Alert("s1", "eggs", "overstock", "low", "")]
    looked = accepted_lines(warehouse, SHOP, after=TODAY - timedelta(days=1)).as_of
    order = decide_order(warehouse, SHOP, proposed(warehouse).order_id, action=ACCEPT, who="ann")
    at = datetime(2025, 3, 3, tzinfo=UTC)
    raised = sync_alerts(warehouse, SHOP, "r1", found, at=at, as_of=looked)
    assert {alert.item_id: alert.details for _, alert in raised} == {"milk": {"ordered": 12}, "eggs": {}}
    assert sync_alerts(warehouse, SHOP, "r1", found, at=at, as_of=looked) == []
    assert len(alerts_of_order(warehouse, SHOP, order.order_id)) == 1
    propose(warehouse, {"milk": 6}, today=TOMORROW)
    decide_order(warehouse, SHOP, proposed(warehouse).order_id, action=ACCEPT, who="ann")
    [milk] = alerts_of_order(warehouse, SHOP, order.order_id)
    assert milk.details == {"ordered": 18}
    assert sync_alerts(warehouse, SHOP, "r1", found, at=at, as_of=looked) == []


def test_a_decision_waits_for_whoever_changes_many_alerts(warehouse: Engine) -> None:
    """They lock the same rows, in no common order: one of the two would be refused as a deadlock."""
    propose(warehouse, {"milk": 12})
    order_id = proposed(warehouse).order_id
    impatient = open_engine(str(warehouse.url), patience=0.2)
    with warehouse.begin() as plan:
        hold_alerts(plan, SHOP)
        with pytest.raises(OperationalError, match="statement timeout"):
            decide_order(impatient, SHOP, order_id, action=ACCEPT, who="ann")
        assert proposed(warehouse).order_id == order_id
    assert decide_order(impatient, SHOP, order_id, action=ACCEPT, who="ann").decided_by == "ann"
    impatient.dispose()
