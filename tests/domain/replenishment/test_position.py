"""The stock that a plan starts from: counted, rolled forward by sales, with what people have accepted."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.replenishment.alerts import assessed, stock_alerts
from shelfops_pipeline.replenishment.purchase import assessed_lines
from shelfops_pipeline.store.accepted import AcceptedLine
from tests.domain.replenishment.shelf import COUNT_DAYS, MONDAY, Shelf, Shop


def row(plan: pd.DataFrame, item: str = "a") -> "pd.Series[object]":
    return plan.set_index("item_id").loc[item]


@pytest.mark.parametrize(
    ("sold", "on_hand", "on_order"),
    [
        ([10.0, 10.0, 10.0], 20, 8),  # the count is of the evening before the last two periods
        ([10.0, 45.0, 2.0], 0, 1),  # more than there was: what was on order must have come
        ([10.0, 99.0, 9.0], 0, 0),
        ([10.0, np.nan, 10.0], 30, 8),  # a closed store sells nothing
    ],
)
def test_an_old_count_is_rolled_forward_by_what_was_sold_since(
    sold: list[float], on_hand: float, on_order: float
) -> None:
    shop = Shop([Shelf("a", 40, 8, sold=sold), Shelf("b", 40, 8)], counted_on=MONDAY - 3)
    plan = row(shop.plan())
    assert (plan["on_hand"], plan["on_order"], plan["counted_on"]) == (on_hand, on_order, pd.Timestamp("2025-02-28"))
    assert row(shop.plan(), "b")["on_hand"] == 20


def test_sales_that_nobody_knows_are_taken_off_as_expected() -> None:
    shop = Shop([Shelf("a", 40, sold=[10.0, np.nan, 10.0])], counted_on=MONDAY - 3, silent=True)
    assert row(shop.plan())["on_hand"] == pytest.approx(20)


def test_the_alert_says_the_day_of_an_old_count_and_nothing_of_a_fresh_one() -> None:
    (old,) = stock_alerts(Shop([Shelf("a", 25)], counted_on=MONDAY - 3).plan())
    assert old.message.startswith("5 on hand and 0 on order (counted on 28 Feb, less sales since): out of stock")
    assert old.details["counted_on"] == "2025-02-28"
    (fresh,) = stock_alerts(Shop([Shelf("a", 5)]).plan())
    assert fresh.message.startswith("5 on hand and 0 on order: out of stock")


def test_a_count_that_is_too_old_is_none_and_its_series_are_not_assessed() -> None:
    for age, known in ((COUNT_DAYS, True), (COUNT_DAYS + 1, False)):
        plan = Shop([Shelf("a", 500)], counted_on=MONDAY - age).plan()
        assert bool(plan["quantity"].notna().all()) is known
        assert len(assessed(plan)) == len(assessed_lines(plan)) == known
    assert plan["reason"].to_list() == ["unknown_stock"]
    assert plan["counted_on"].isna().all()


def accepted(day: str, units: float, item: str = "a") -> AcceptedLine:
    return AcceptedLine("s", item, date.fromisoformat(day), units)


def test_what_was_accepted_after_the_count_is_on_order_and_what_the_count_knows_is_not_counted_twice() -> None:
    lines = [accepted(day, units) for day, units in (("2025-03-02", 7), ("2025-03-03", 20), ("2025-03-06", 5))]
    lines.append(accepted("2025-03-03", 9, "x"))
    plan = row(Shop([Shelf("a", 5, 1)], accepted=lines).plan())
    assert (plan["on_order"], plan["accepted"]) == (26, 25)
    unknown = row(Shop([Shelf("a", np.nan)], accepted=lines).plan())
    assert np.isnan(unknown["on_order"])
    assert unknown["accepted"] == 0


def test_an_accepted_order_ends_the_need_and_the_alert() -> None:
    before = Shop([Shelf("a", 36)])
    (alert,) = stock_alerts(before.plan())
    assert alert.kind == "reorder_now"
    wanted = row(before.plan())["quantity"]
    after = Shop([Shelf("a", 36)], accepted=[accepted("2025-03-03", wanted)]).plan()
    assert row(after)["quantity"] == 0
    assert stock_alerts(after) == []
