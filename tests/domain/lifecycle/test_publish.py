"""What readers find after a release was published, and after it was published again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import DATE, FORECAST_COLUMNS, ITEM_ID, ORIGIN, STORE_ID
from shelfops_pipeline.lifecycle.publish import publish_table
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.tables import MODEL_VERSION, PAYLOAD

DAY = np.datetime64("2025-03-01")


def table(*items: str, days: int = 0) -> pa.Table:
    """A forecast of one day of each item."""
    numbers = {name: np.ones(len(items), np.float32) for name in FORECAST_COLUMNS[3:]}
    keys = {STORE_ID: ["s1"] * len(items), ITEM_ID: list(items), DATE: np.full(len(items), DAY + days)}
    return pa.table(keys | numbers | {MODEL_VERSION: ["v1"] * len(items)})


def test_a_series_that_is_forecast_no_more_is_not_served_as_it_once_was(
    warehouse: Engine, registry: Registry, candidate: Callable[..., str]
) -> None:
    pointer = registry.promote(candidate(), "better")
    inputs: dict[str, Any] = {
        STORE_ID: ["s1", "s1"],
        ITEM_ID: ["milk", "slip"],
        MODEL_VERSION: "v1",
        ORIGIN: np.full(2, DAY - 1),
    }
    writes.publish_online_features(warehouse, pointer.release, inputs | {PAYLOAD: np.ones((2, 3), np.float32)})
    other = table("slip")
    writes.publish_forecasts(warehouse, "of another", {n: other.column(n).to_numpy() for n in other.column_names})
    publish_table(warehouse, registry, table("milk", "slip"))
    assert len(reads.series_forecast(warehouse, pointer.release, "s1", "slip")) == 1
    publish_table(warehouse, registry, table("milk", days=1))
    assert reads.series_forecast(warehouse, pointer.release, "s1", "slip") == []
    assert len(reads.series_forecast(warehouse, pointer.release, "s1", "milk")) == 1
    assert set(reads.online_features(warehouse, pointer.release, [("s1", "milk"), ("s1", "slip")])) == {("s1", "milk")}
    assert len(reads.series_forecast(warehouse, "of another", "s1", "slip")) == 1
