"""The plan of a retailer: terms of items and suppliers, flags of people, and what is not known."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts.replenishment import OrderStatus
from shelfops_pipeline.replenishment.purchase import order_lines
from shelfops_pipeline.store.orders import list_orders, read_order
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.reorder import read_plan, replace_plan
from shelfops_pipeline.store.replenishment_records import ItemFlag
from tests.domain.replenishment.shelf import MONDAY, Shelf, Shop


def flag(item: str, store: str | None = None, *, discontinued: bool | None = None, like: str | None = None) -> ItemFlag:
    return ItemFlag("shop", item, store, discontinued, like, "", datetime(2025, 3, 1, tzinfo=UTC), "ann")


def by_item(plan: pd.DataFrame) -> pd.DataFrame:
    return plan.set_index("item_id")


def test_terms_are_those_of_the_item_and_of_its_supplier() -> None:
    suppliers = pd.DataFrame({"supplier_id": ["dairy"], "order_weekdays": ["2,4"], "cutoff_hour": [14]})
    items = {"case_pack": [24.0, np.nan], "cost": [1.5, np.nan], "supplier_id": ["dairy", None]}
    plan = by_item(Shop([Shelf("a", 5), Shelf("b", 5)], items, suppliers).plan())
    assert plan["supplier_id"].to_list() == ["dairy", None]
    assert plan.loc["a", "quantity"] % 24 == 0
    assert plan.loc["a", "reason"] == "case_pack"
    assert plan.loc["b", "reason"] == "below_reorder_point"
    assert plan.loc["a", "order_date"] == pd.Timestamp("2025-03-05"), "the supplier takes orders on Wednesdays"
    assert plan.loc["b", "order_date"] == pd.Timestamp(MONDAY)
    assert plan.loc["a", "unit_cost"] == 1.5


def test_without_inventory_there_are_levels_and_no_quantities() -> None:
    plan = Shop([Shelf("a"), Shelf("b", mean=3)], counted=False).plan()
    assert (plan["order_up_to"] > 0).all()
    assert plan["quantity"].isna().all()
    assert set(plan["reason"]) == {"unknown_stock"}
    assert order_lines(plan).empty


def test_a_discontinued_item_is_not_ordered_and_the_plan_says_why() -> None:
    shelves = [Shelf("a", 5), Shelf("b", 5), Shelf("b", 5, store="t")]
    flags = [flag("a", discontinued=True), flag("b", discontinued=True), flag("b", "t", discontinued=False)]
    plan = Shop(shelves, flags=flags).plan().set_index(["item_id", "store_id"])
    assert plan.loc[("a", "s"), ["quantity", "reason"]].to_list() == [0, "discontinued"]
    assert plan.loc[("b", "s"), "quantity"] == 0
    assert plan.loc[("b", "t"), "quantity"] > 0, "the store said otherwise"


def test_an_item_without_a_past_is_ordered_as_the_item_that_it_is_like() -> None:
    shelves = [Shelf("a", 5, mean=20), Shelf("a", 5, store="t", mean=30), Shelf("b", 5, new=True), Shelf("c", 5)]
    plan = Shop(shelves, flags=[flag("b", like="a")]).plan().set_index(["item_id", "store_id"])
    assert plan.loc[("b", "s"), "like_item"] == "a"
    for figure in ("demand", "deviation", "order_up_to", "quantity"):
        assert plan.loc[("b", "s"), figure] == plan.loc[("a", "s"), figure]
    daily = plan["demand"] / plan["protection_days"]
    assert daily[("b", "t")] == daily[("a", "t")]
    assert plan.loc[("b", "t"), "reason"] == "unknown_stock", "nobody counted it there"


def test_the_like_items_share_falls_with_the_items_own_past() -> None:
    young = Shelf("b", 5, mean=10, sold=[np.nan] * 46 + [10.0] * 14)
    old, lent = Shelf("c", 5, mean=10), Shelf("a", 5, mean=30)
    gone = [np.nan] * 60
    shop = Shop([lent, young, old, Shelf("d", 5, mean=10, sold=gone)], flags=[flag(i, like="a") for i in "bcd"])
    demand = by_item(shop.plan())["demand"] / by_item(shop.plan())["protection_days"]
    assert demand.to_list() == pytest.approx([30, 20, 10, 30], rel=1e-3)


@pytest.mark.parametrize("like", ["nothing", "a"])
def test_a_like_item_that_is_not_sold_there_changes_nothing(like: str) -> None:
    shelves = [Shelf("a", 5, store="t", mean=30), Shelf("b", 5)]
    plain, flagged = (Shop(shelves, flags=flags).plan() for flags in ([], [flag("b", "s", like=like)]))
    assert plain["demand"].to_list() == flagged["demand"].to_list()


def test_a_plan_goes_to_the_warehouse_and_its_orders_to_suppliers(warehouse: Engine) -> None:
    items = {"supplier_id": ["dairy", "bakery", None]}
    plan = Shop([Shelf("a", 5), Shelf("b", 5), Shelf("c", 900)], items).plan()
    assert replace_plan(warehouse, "r1", {name: plan[name].to_numpy() for name in plan}) == 3
    (first, *_, last) = read_plan(warehouse, "r1")
    assert (first.item_id, first.supplier_id, first.order_date) == ("a", "dairy", date(2025, 3, 3))
    assert (last.quantity, last.stockout_date) == (0, None)
    lines = order_lines(plan)
    propose_orders(warehouse, "shop", "r1", {n: lines[n].to_numpy() for n in lines}, today=date(2025, 3, 3))
    orders = list_orders(warehouse, "shop", status=OrderStatus.PROPOSED)
    assert {o.supplier_id for o in orders} == {"dairy", "bakery"}
    (line,) = read_order(warehouse, "shop", orders[0].order_id).lines
    assert line.quantity == first.quantity
    assert line.delivery_date == date(2025, 3, 6)
