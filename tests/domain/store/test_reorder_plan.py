"""The plan of a release: written whole, read in pages."""

from datetime import date

import numpy as np
import pytest
from sqlalchemy import Engine

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store import writes
from shelfops_pipeline.store.reorder import read_plan, replace_plan
from shelfops_pipeline.store.replenishment_records import PlanLine

COLUMNS = {
    "store_id": np.array(["s2", "s1", "s1"]),
    "item_id": np.array(["milk", "soap", "milk"]),
    "supplier_id": np.array(["dairy", None, "dairy"], object),
    "quantity": np.array([6, 0, np.nan]),
    "order_up_to": np.array([10.0, 4.0, 8.0]),
    "order_date": np.array(["2025-03-03", "2025-03-04", "NaT"], "datetime64[D]"),
    "reason": np.array(["case_pack", "enough", "unknown_stock"]),
}


def keys(lines: list[PlanLine]) -> list[tuple[str, str]]:
    return [(line.store_id, line.item_id) for line in lines]


def test_a_plan_is_replaced_as_a_whole_and_unknowns_are_none(warehouse: Engine) -> None:
    replace_plan(warehouse, "r1", {**COLUMNS, "item_id": np.array(["a", "b", "c"])})
    assert replace_plan(warehouse, "r1", COLUMNS) == 3
    milk, soap, other = read_plan(warehouse, "r1")
    assert keys([milk, soap, other]) == [("s1", "milk"), ("s1", "soap"), ("s2", "milk")]
    assert (milk.quantity, milk.order_date, milk.order_up_to, milk.days_of_supply) == (None, None, 8.0, None)
    assert (soap.supplier_id, soap.quantity, soap.reason) == (None, 0.0, "enough")
    assert other.order_date == date(2025, 3, 3)


def test_it_is_narrowed_and_read_in_pages(warehouse: Engine) -> None:
    replace_plan(warehouse, "r1", COLUMNS)
    assert keys(read_plan(warehouse, "r1", only_orders=True)) == [("s2", "milk")]
    assert keys(read_plan(warehouse, "r1", supplier_id="dairy", store_id="s1")) == [("s1", "milk")]
    assert keys(read_plan(warehouse, "r1", item_id="soap")) == [("s1", "soap")]
    assert keys(read_plan(warehouse, "r1", after=("s1", "milk"), limit=1)) == [("s1", "soap")]
    assert read_plan(warehouse, "r2") == []


def test_it_goes_with_its_release(warehouse: Engine) -> None:
    for release in ("r1", "r2"):
        replace_plan(warehouse, release, COLUMNS)
        names = {"champion_version": "v1", "cold_start_version": None, "dataset": "shop"}
        writes.publish_release(warehouse, release, **names, manifest={})
    assert writes.prune_releases(warehouse, "shop", keep=1) == ("r1",)
    assert read_plan(warehouse, "r1") == []
    assert len(read_plan(warehouse, "r2")) == 3


def test_a_plan_that_says_a_series_twice_or_no_reason_is_refused(warehouse: Engine) -> None:
    with pytest.raises(DataError, match="duplicate key"):
        replace_plan(warehouse, "r1", {**COLUMNS, "store_id": np.array(["s1", "s1", "s1"])})
    with pytest.raises(DataError, match="column reason is missing"):
        replace_plan(warehouse, "r1", {k: v for k, v in COLUMNS.items() if k != "reason"})
    assert read_plan(warehouse, "r1") == []
