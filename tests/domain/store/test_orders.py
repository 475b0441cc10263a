"""Purchase orders: proposed again without harm, decided once, every change on record."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from shelfops_pipeline.contracts.replenishment import OrderAction, OrderStatus
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.orders import (
    OrderStateError,
    UnknownOrderError,
    decide_order,
    edit_line,
    list_orders,
    order_events,
    read_order,
)
from shelfops_pipeline.store.propose import propose_orders, prune_orders
from shelfops_pipeline.store.replenishment_records import PurchaseOrder

SHOP = "shop"
TODAY = date(2025, 3, 3)
ACCEPT, REJECT = OrderAction.ACCEPT, OrderAction.REJECT
Line = tuple[str, str, str | None, float]


def columns(*lines: Line, on: date = TODAY) -> Mapping[str, Any]:
    stores, items, suppliers, quantities = zip(*lines, strict=True) if lines else ((), (), (), ())
    return {
        "store_id": np.array(stores, object),
        "item_id": np.array(items, object),
        "supplier_id": np.array(suppliers, object),
        "quantity": np.array(quantities, float),
        "order_date": np.full(len(lines), on, "datetime64[D]"),
        "delivery_date": np.full(len(lines), on + timedelta(days=2), "datetime64[D]"),
        "unit_cost": np.full(len(lines), 1.5),
        "reason": np.full(len(lines), "below_reorder_point", object),
    }


MILK: Line = ("s1", "milk", "dairy", 12.0)
EGGS: Line = ("s2", "eggs", "dairy", 30.0)
SOAP: Line = ("s1", "soap", None, 6.0)


def propose(engine: Engine, *lines: Line, on: date = TODAY, today: date = TODAY, release: str = "r1") -> dict[str, int]:
    return propose_orders(engine, SHOP, release, columns(*lines, on=on), today=today)


def the(engine: Engine, supplier: str | None = "dairy", **narrowed: Any) -> PurchaseOrder:
    (found,) = (o for o in list_orders(engine, SHOP, **narrowed) if o.supplier_id == supplier)
    return read_order(engine, SHOP, found.order_id)


def quantities(order: PurchaseOrder) -> dict[str, float]:
    return {line.item_id: line.quantity for line in order.lines}


def actions(engine: Engine, order: PurchaseOrder) -> list[str]:
    return [event.action for event in order_events(engine, SHOP, order.order_id)]


def test_lines_are_grouped_by_supplier_and_day(warehouse: Engine) -> None:
    assert propose(warehouse, MILK, EGGS, SOAP) == {"": 1, "dairy": 2}
    order = the(warehouse)
    assert (order.status, order.edited, order.order_date, order.release) == ("proposed", False, TODAY, "r1")
    assert (order.line_count, order.units, order.cost) == (2, 42.0, 63.0)
    assert quantities(order) == {"milk": 12.0, "eggs": 30.0}
    assert order.lines[0].delivery_date == TODAY + timedelta(days=2)
    assert quantities(the(warehouse, None)) == {"soap": 6.0}
    assert actions(warehouse, order) == ["proposed"]


def test_the_same_again_changes_nothing_and_a_new_plan_keeps_the_orders_id(warehouse: Engine) -> None:
    propose(warehouse, MILK, EGGS, SOAP)
    before = the(warehouse)
    propose(warehouse, MILK, EGGS, SOAP, release="r2")
    assert the(warehouse) == before
    propose(warehouse, ("s1", "milk", "dairy", 18.0), SOAP, release="r2")
    after = the(warehouse)
    assert (after.order_id, after.release, quantities(after)) == (before.order_id, "r2", {"milk": 18.0})
    first, second = order_events(warehouse, SHOP, after.order_id)
    assert (first.before, first.after) == (None, {"lines": 2, "units": 42})
    assert (second.before, second.after, second.who) == (
        {"lines": 2, "units": 42},
        {"lines": 1, "units": 18},
        "shelfops",
    )
    assert actions(warehouse, the(warehouse, None)) == ["proposed"]


def test_what_was_decided_stays_and_is_not_proposed_twice(warehouse: Engine) -> None:
    propose(warehouse, MILK, SOAP)
    accepted = decide_order(warehouse, SHOP, the(warehouse).order_id, action=ACCEPT, who="ann", note="as usual")
    decide_order(warehouse, SHOP, the(warehouse, None).order_id, action=REJECT, who="ann")
    assert propose(warehouse, ("s1", "milk", "dairy", 24.0), EGGS, SOAP) == {"dairy": 1}
    assert quantities(the(warehouse, status=OrderStatus.ACCEPTED)) == {"milk": 12.0}
    assert quantities(the(warehouse, status=OrderStatus.PROPOSED)) == {"eggs": 30.0}
    assert the(warehouse, None).status == "rejected"
    (_, event) = order_events(warehouse, SHOP, accepted.order_id)
    assert (event.who, event.action, event.note) == ("ann", "accepted", "as usual")
    assert (event.before, event.after) == ({"status": "proposed"}, {"status": "accepted"})


def test_what_was_accepted_for_a_later_day_counts_until_then_and_a_rejection_for_its_day(warehouse: Engine) -> None:
    thursday = TODAY + timedelta(days=3)
    propose(warehouse, MILK, SOAP, on=thursday)
    decide_order(warehouse, SHOP, the(warehouse).order_id, action=ACCEPT, who="ann")
    decide_order(warehouse, SHOP, the(warehouse, None).order_id, action=REJECT, who="ann")
    assert propose(warehouse, MILK, SOAP, on=thursday, today=thursday) == {}
    friday = thursday + timedelta(days=1)
    assert propose(warehouse, MILK, SOAP, on=friday, today=friday) == {"": 1, "dairy": 1}


def test_an_edited_order_is_left_alone_until_its_day_has_passed(warehouse: Engine) -> None:
    propose(warehouse, MILK, EGGS)
    order_id = the(warehouse).order_id
    edited = edit_line(warehouse, SHOP, order_id, "s1", "milk", quantity=0, who="ann", note="none left to sell")
    assert (edited.edited, edited.line_count, edited.units) == (True, 1, 30.0)
    assert edited.lines[0].proposed_quantity == 12.0
    assert propose(warehouse, ("s1", "milk", "dairy", 24.0), EGGS) == {}
    assert read_order(warehouse, SHOP, order_id) == edited
    event = order_events(warehouse, SHOP, order_id)[-1]
    assert (event.action, event.store_id, event.item_id, event.note) == ("edited", "s1", "milk", "none left to sell")
    assert (event.before, event.after) == ({"quantity": 12.0}, {"quantity": 0.0})
    tomorrow = TODAY + timedelta(days=1)
    assert propose(warehouse, MILK, on=tomorrow, today=tomorrow) == {"dairy": 1}
    assert read_order(warehouse, SHOP, order_id).status == "withdrawn"


def test_what_is_no_longer_needed_is_withdrawn_and_its_lines_are_kept(warehouse: Engine) -> None:
    propose(warehouse, MILK, SOAP)
    propose(warehouse, SOAP)
    order = the(warehouse)
    assert (order.status, quantities(order)) == ("withdrawn", {"milk": 12.0})
    assert order_events(warehouse, SHOP, order.order_id)[-1].note == "the plan no longer asks for it"
    assert propose(warehouse) == {}
    assert list_orders(warehouse, SHOP, status=OrderStatus.PROPOSED) == []
    with pytest.raises(OrderStateError, match="is withdrawn already"):
        decide_order(warehouse, SHOP, order.order_id, action=ACCEPT, who="ann")


def test_of_two_who_decide_at_once_one_does(warehouse: Engine) -> None:
    propose(warehouse, MILK)
    order_id = the(warehouse).order_id

    def decide(who: str) -> str:
        try:
            action = ACCEPT if who in "ab" else REJECT
            return decide_order(warehouse, SHOP, order_id, action=action, who=who).decided_by or ""
        except OrderStateError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(decide, "abcd"))
    (winner,) = [who for who in told if len(who) == 1]
    order = read_order(warehouse, SHOP, order_id)
    assert order.decided_by == winner
    assert sum(f"is {order.status} already, by {winner}" in other for other in told) == 3
    assert len(order_events(warehouse, SHOP, order_id)) == 2


def test_a_decision_and_a_new_proposal_at_once_never_mix(warehouse: Engine) -> None:
    """Whatever came first: an accepted order has the lines that were accepted, and nothing is ordered twice."""
    for k in range(5):
        day = TODAY + timedelta(days=k)
        propose(warehouse, MILK, on=day, today=day)
        order_id = the(warehouse, order_date=day).order_id
        with ThreadPoolExecutor(2) as pool:
            again = pool.submit(propose, warehouse, ("s1", "milk", "dairy", 24.0), on=day, today=day, release="r2")
            accepted = pool.submit(decide_order, warehouse, SHOP, order_id, action=ACCEPT, who="ann").result()
            again.result()
        assert list_orders(warehouse, SHOP, status=OrderStatus.PROPOSED) == []
        assert the(warehouse, order_date=day).lines == accepted.lines


def test_wrong_ids_lines_and_quantities_are_refused(warehouse: Engine) -> None:
    propose(warehouse, MILK)
    order_id = the(warehouse).order_id
    for unknown in (read_order, order_events):
        with pytest.raises(UnknownOrderError, match="other has no order"):
            unknown(warehouse, "other", order_id)
    with pytest.raises(UnknownOrderError):
        decide_order(warehouse, SHOP, "x", action=ACCEPT, who="ann")
    with pytest.raises(UnknownOrderError, match="no line for eggs in s1"):
        edit_line(warehouse, SHOP, order_id, "s1", "eggs", quantity=1, who="ann")
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="a quantity is between 0 and"):
            edit_line(warehouse, SHOP, order_id, "s1", "milk", quantity=wrong, who="ann")
    with pytest.raises(UnknownOrderError):
        list_orders(warehouse, SHOP, after="x")
    assert actions(warehouse, the(warehouse)) == ["proposed"]


def test_pages_meet_every_order_once_the_latest_day_first(warehouse: Engine) -> None:
    for k in range(3):
        day = TODAY + timedelta(days=k)
        propose(warehouse, MILK, SOAP, on=day, today=day)
    seen: list[PurchaseOrder] = []
    while page := list_orders(warehouse, SHOP, limit=2, after=seen[-1].order_id if seen else None):
        seen += page
    assert [(o.order_date - TODAY).days for o in seen] == [2, 2, 1, 1, 0, 0]
    assert len({o.order_id for o in seen}) == 6
    assert [o.status for o in seen] == ["proposed"] * 2 + ["withdrawn"] * 4


def test_the_audit_trail_cannot_be_rewritten(warehouse: Engine) -> None:
    propose(warehouse, MILK)
    with warehouse.connect() as connection, pytest.raises(ProgrammingError, match="append-only"):
        connection.execute(text("UPDATE purchase_order_events SET who = 'bob'"))


def test_a_cost_is_unknown_where_that_of_a_line_is(warehouse: Engine) -> None:
    propose_orders(warehouse, SHOP, "r1", {**columns(MILK, EGGS), "unit_cost": np.array([1.5, np.nan])}, today=TODAY)
    assert the(warehouse).cost is None


def test_old_orders_are_pruned_with_their_events(warehouse: Engine) -> None:
    propose(warehouse, MILK)
    decide_order(warehouse, SHOP, the(warehouse).order_id, action=ACCEPT, who="ann")
    tomorrow = TODAY + timedelta(days=1)
    propose(warehouse, MILK, on=tomorrow, today=tomorrow)
    now = datetime.now(UTC)
    assert prune_orders(warehouse, SHOP, now - timedelta(days=1)) == 0
    assert prune_orders(warehouse, SHOP, now + timedelta(days=1)) == 1
    assert the(warehouse).order_date == tomorrow
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM purchase_order_events")) == 1


def test_an_order_that_was_accepted_for_a_later_day_is_kept_until_that_is_past(warehouse: Engine) -> None:
    later = datetime.now(UTC) + timedelta(days=5)
    propose(warehouse, MILK, on=later.date(), today=later.date())
    decide_order(warehouse, SHOP, the(warehouse).order_id, action=ACCEPT, who="ann")
    assert prune_orders(warehouse, SHOP, later) == 0
    assert prune_orders(warehouse, SHOP, later + timedelta(days=1)) == 1


def test_a_line_twice_is_refused(warehouse: Engine) -> None:
    with pytest.raises(DataError, match="duplicate key"):
        propose(warehouse, MILK, MILK)


def test_as_many_lines_as_a_large_retailer_has_take_seconds(warehouse: Engine) -> None:
    n = 30_490
    k = np.arange(n)
    lines = columns(*zip((k % 10).astype(str), k.astype(str), (k % 40).astype(str), np.ones(n), strict=True))
    for _ in range(2):
        assert sum(propose_orders(warehouse, SHOP, "r1", lines, today=TODAY).values()) == n
    assert len(list_orders(warehouse, SHOP)) == 40
