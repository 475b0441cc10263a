"""Counts of stock in the warehouse."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from sqlalchemy import Engine, select

from shelfops_pipeline.contracts.columns import DATE, FILED, ITEM_ID, ON_HAND, STORE_ID, Grain
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.warehousing import inventory_table
from shelfops_pipeline.store.engine import url_string
from shelfops_pipeline.store.tables import inventory


def test_counts_that_do_not_say_when_where_or_of_what_stop_no_ingest(
    warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": tmp_path, "DATABASE_URL": url_string(warehouse.url), "DATASET": "simulated"}.items():
        monkeypatch.setenv(f"SHELFOPS_{name}", str(value))
    day = pd.Timestamp("2024-02-01")
    counted = pd.DataFrame(
        {
            DATE: [day, pd.NaT, day, day],
            STORE_ID: ["S1", "S1", None, "S1"],
            ITEM_ID: ["milk", "milk", "milk", None],
            ON_HAND: [4.0, 5.0, 6.0, 7.0],
            FILED: day,
        }
    )
    raw = Partitions("raw_inventory", ("2024-02-01",), Grain.DAY)
    raw.replace(counted)
    given = {"retailer": Retailer(), "warehouse": Warehouse(), "raw_inventory": raw}
    done = inventory_table(dg.build_asset_context(partition_key="2024-02-01"), **given)
    assert done.metadata == {"rows of the run": 1, "rows left out": 3}
    with warehouse.connect() as connection:
        rows = connection.execute(select(inventory.c.store_id, inventory.c.item_id, inventory.c.on_hand)).all()
    assert rows == [("S1", "milk", 4.0)]
