"""Inventory and reference tables: replaced as a whole, attributes kept as they are."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.reference import replace_inventory, replace_reference
from shelfops_pipeline.store.tables import SUPPLIER_ID
from tests.domain.store.support import SHOP, days, partitions, stock, stored

WEEK = days(date(2024, 12, 30), 7)
STORES = {
    STORE_ID: ["s1", "s2"],
    "city": ["Ås", None],
    "area": np.array([120.5, np.nan]),
    "opened": [date(2001, 2, 3), None],
}


def test_inventory_of_a_day_is_replaced_and_its_neighbours_are_not(warehouse: Engine) -> None:
    assert replace_inventory(warehouse, SHOP, WEEK, stock(WEEK)) == 21
    before = stored(warehouse, "inventory")
    assert before[0] == (SHOP, WEEK[0], "s0", "i0", 10.0, 0.0, 2.5, None)
    assert replace_inventory(warehouse, SHOP, WEEK[1:2], stock(WEEK[1:2], level=90, items=1)) == 1
    after = stored(warehouse, "inventory")
    assert [row for row in after if row[1] != WEEK[1]] == [row for row in before if row[1] != WEEK[1]]
    assert [row[4] for row in after if row[1] == WEEK[1]] == [90.0]
    assert partitions(warehouse, "inventory") == ["inventory_2024_12", "inventory_2025_01"]
    assert replace_inventory(warehouse, SHOP, WEEK, stock([])) == 0
    assert stored(warehouse, "inventory") == []


def test_two_counts_of_one_item_on_one_day_are_refused_and_change_nothing(warehouse: Engine) -> None:
    replace_inventory(warehouse, SHOP, WEEK, stock(WEEK))
    before = stored(warehouse, "inventory")
    with pytest.raises(DataError, match=r"Cannot write inventory.*already exists"):
        replace_inventory(warehouse, SHOP, WEEK[:1], pa.concat_tables([stock(WEEK[:1])] * 2))
    with pytest.raises(ValueError, match="rows of period 2024-12-31"):
        replace_inventory(warehouse, SHOP, WEEK[:1], stock(WEEK[:2]))
    assert replace_inventory(warehouse, SHOP, [], stock([])) == 0
    assert stored(warehouse, "inventory") == before


def test_attributes_are_kept_as_json(warehouse: Engine) -> None:
    items = {ITEM_ID: np.array(["a\x00b", "c"]), "category": "dairy", "case_pack": np.array([6, 12])}
    suppliers = {SUPPLIER_ID: ["x"]}
    counts = replace_reference(warehouse, SHOP, stores=STORES, items=items, suppliers=suppliers)
    assert counts == {"stores": 2, "items": 2, "suppliers": 1}
    assert stored(warehouse, "stores") == [
        (SHOP, "s1", {"city": "Ås", "area": 120.5, "opened": "2001-02-03"}),
        (SHOP, "s2", {"city": None, "area": None, "opened": None}),
    ]
    assert stored(warehouse, "items") == [
        (SHOP, "a\ufffdb", {"category": "dairy", "case_pack": 6}),
        (SHOP, "c", {"category": "dairy", "case_pack": 12}),
    ]
    assert stored(warehouse, "suppliers") == [(SHOP, "x", {})]


def test_only_the_tables_that_are_given_are_replaced(warehouse: Engine) -> None:
    holidays = {"date": WEEK[2:4], "scope": ["all", "city:Ås"], "name": ["New Year", "Fair"], "kind": ["holiday", None]}
    replace_reference(warehouse, SHOP, stores=STORES, calendar=holidays)
    replace_reference(warehouse, "other", stores=STORES, calendar=holidays)
    replace_reference(warehouse, SHOP, stores={STORE_ID: ["s9"]})
    assert [row[:2] for row in stored(warehouse, "stores")] == [("other", "s1"), ("other", "s2"), (SHOP, "s9")]
    assert stored(warehouse, "calendar")[2:] == [
        (SHOP, WEEK[2], "all", "New Year", "holiday"),
        (SHOP, WEEK[3], "city:Ås", "Fair", None),
    ]


@pytest.mark.parametrize(
    ("stores", "complaint"),
    [
        ({STORE_ID: ["s1", "s1"]}, "Cannot write stores.*already exists"),
        ({STORE_ID: ["s1", None]}, "store_id is missing in 1 rows"),
        ({"shop": ["s1"]}, r"column store_id is missing \(has shop\)"),
    ],
)
def test_a_bad_reference_table_changes_none(warehouse: Engine, stores: dict[str, list[str]], complaint: str) -> None:
    replace_reference(warehouse, SHOP, stores=STORES)
    before = stored(warehouse, "stores")
    with pytest.raises(DataError, match=complaint):
        replace_reference(warehouse, SHOP, items={ITEM_ID: ["i"]}, stores=stores)
    assert stored(warehouse, "stores") == before
    assert stored(warehouse, "items") == []
