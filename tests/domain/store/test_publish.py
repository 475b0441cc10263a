"""Publishing: what is written is what is read, again and again, and never half."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from shelfops_pipeline.contracts.columns import DATE, FORECAST_COLUMNS, ITEM_ID, STORE_ID
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.tables import MODEL_VERSION, demand_forecasts, online_features

HORIZON = 3
STORES = np.array(["s1", "s1", "s2"])
ITEMS = np.array(['milk, "fresh"', "bread", "Ærø\tkäse"])


def forecasts(level: float = 1.0, stores: Any = STORES, items: Any = ITEMS) -> dict[str, Any]:
    """Forecasts of a few series; every number column has its own value."""
    n = len(stores) * HORIZON
    days = np.datetime64("2025-03-01") + np.arange(HORIZON)
    numbers = {name: np.full(n, level + i, dtype=np.float32) for i, name in enumerate(FORECAST_COLUMNS[3:])}
    keys = {STORE_ID: np.repeat(stores, HORIZON), ITEM_ID: np.repeat(items, HORIZON)}
    return {**keys, DATE: np.tile(days, len(stores)), **numbers, MODEL_VERSION: "v1"}


def count(engine: Engine, table: Any = demand_forecasts) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def publish_release(engine: Engine, release: str, dataset: str = "shop") -> None:
    writes.publish_release(
        engine,
        release,
        champion_version=release,
        cold_start_version=None,
        dataset=dataset,
        manifest={"layout": [release]},
    )


def test_a_published_series_reads_back(warehouse: Engine) -> None:
    assert writes.publish_forecasts(warehouse, "r1", forecasts()) == 9
    for store, item in zip(STORES, ITEMS, strict=True):
        rows = reads.series_forecast(warehouse, "r1", store, item)
        assert [row.date for row in rows] == [date(2025, 3, day) for day in (1, 2, 3)]
        assert rows[0] == (date(2025, 3, 1), "v1", 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    assert reads.series_forecast(warehouse, "r1", "s2", "bread") == []
    assert reads.series_forecast(warehouse, "r2", "s1", "bread") == []


def test_publishing_again_replaces_and_does_not_add(warehouse: Engine) -> None:
    writes.publish_forecasts(warehouse, "r1", forecasts())
    writes.publish_forecasts(warehouse, "r1", forecasts(level=10))
    assert count(warehouse) == 9
    assert reads.series_forecast(warehouse, "r1", "s1", "bread")[0].mean == 10


def test_a_shorter_forecast_leaves_no_old_days_behind(warehouse: Engine) -> None:
    writes.publish_forecasts(warehouse, "r1", forecasts())
    shorter = {k: v if isinstance(v, str) else v[::HORIZON] for k, v in forecasts().items()}
    writes.publish_forecasts(warehouse, "r1", shorter)
    assert count(warehouse) == 3


def test_shards_and_releases_do_not_touch_each_other(warehouse: Engine) -> None:
    writes.publish_forecasts(warehouse, "r1", forecasts(1, STORES[:1], ITEMS[:1]))
    writes.publish_forecasts(warehouse, "r1", forecasts(2, STORES[1:], ITEMS[1:]))
    writes.publish_forecasts(warehouse, "r2", forecasts(3))
    assert count(warehouse) == 18
    assert reads.series_forecast(warehouse, "r1", STORES[0], ITEMS[0])[0].mean == 1


@pytest.mark.parametrize("spoil", ["duplicate", "missing column", "length", "null"])
def test_bad_columns_are_refused_and_change_nothing(warehouse: Engine, spoil: str) -> None:
    writes.publish_forecasts(warehouse, "r1", forecasts())
    bad = forecasts(level=50)
    if spoil == "duplicate":
        bad[DATE] = np.full(9, np.datetime64("2025-03-01"))
    elif spoil == "missing column":
        del bad["q25"]
    elif spoil == "length":
        bad["q25"] = bad["q25"][:-1]
    else:
        bad["q25"] = [None, *bad["q25"][1:].tolist()]
    with pytest.raises(DataError, match=r"Cannot publish"):
        writes.publish_forecasts(warehouse, "r1", bad)
    assert count(warehouse) == 9
    assert reads.series_forecast(warehouse, "r1", "s1", "bread")[0].mean == 1


def test_publishing_nothing_is_allowed(warehouse: Engine) -> None:
    empty = {k: v if isinstance(v, str) else v[:0] for k, v in forecasts().items()}
    assert writes.publish_forecasts(warehouse, "r1", empty) == 0


def test_online_features_come_back_bit_for_bit(warehouse: Engine) -> None:
    payload = np.array([[1.5, np.nan, -0.0], [np.inf, 1e-38, 3e38], [0.1, 0.2, 0.3]], dtype=np.float32)
    origin = np.full(3, np.datetime64("2025-02-28"))
    columns: dict[str, Any] = {
        STORE_ID: STORES,
        ITEM_ID: ITEMS,
        MODEL_VERSION: "v1",
        "origin": origin,
        "payload": payload,
    }
    for _ in range(2):
        assert writes.publish_online_features(warehouse, "r1", columns) == 3
    keys = [(str(s), str(i)) for s, i in zip(STORES, ITEMS, strict=True)]
    found = reads.online_features(warehouse, "r1", [*keys, ("s9", "none")])
    assert list(map(found.get, keys)) != [None] * 3
    assert len(found) == 3
    for key, row in zip(keys, payload, strict=True):
        assert found[key].values.tobytes() == row.tobytes()
        assert found[key].origin == date(2025, 2, 28)
        assert found[key].published_at is None
    assert reads.online_features(warehouse, "r1", []) == {}
    publish_release(warehouse, "r1")
    published = reads.latest_release(warehouse, "shop")
    assert published is not None
    assert reads.online_features(warehouse, "r1", keys)[keys[0]].published_at == published.published_at


def test_the_latest_release_is_the_last_published_of_the_dataset(warehouse: Engine) -> None:
    assert reads.latest_release(warehouse, "shop") is None
    for release in ("r1", "r2", "r1"):  # a rollback publishes an old release again
        publish_release(warehouse, release)
    publish_release(warehouse, "other", dataset="elsewhere")
    latest = reads.latest_release(warehouse, "shop")
    assert latest is not None
    assert (latest.release, latest.manifest, latest.cold_start_version) == ("r1", {"layout": ["r1"]}, None)
    assert latest.published_at.tzinfo is not None


def test_pruning_keeps_the_latest_releases_and_the_other_datasets(warehouse: Engine) -> None:
    for release in ("r1", "r2", "r3"):
        writes.publish_forecasts(warehouse, release, forecasts())
        publish_release(warehouse, release)
    publish_release(warehouse, "other", dataset="elsewhere")
    assert writes.prune_releases(warehouse, "shop", keep=2) == ("r1",)
    assert writes.prune_releases(warehouse, "shop", keep=2) == ()
    assert reads.series_forecast(warehouse, "r1", "s1", "bread") == []
    assert len(reads.series_forecast(warehouse, "r2", "s1", "bread")) == HORIZON
    assert reads.latest_release(warehouse, "elsewhere") is not None
    with pytest.raises(ValueError, match="keep"):
        writes.prune_releases(warehouse, "shop", keep=0)


def test_ids_are_values_and_never_sql(warehouse: Engine) -> None:
    evil = "x'; DROP TABLE demand_forecasts; --"
    writes.publish_forecasts(warehouse, evil, forecasts(1, np.array([evil]), np.array(["\\.\n\\N"])))
    assert len(reads.series_forecast(warehouse, evil, evil, "\\.\n\\N")) == HORIZON
    assert reads.online_features(warehouse, evil, [(evil, evil)]) == {}
    assert count(warehouse, online_features) == 0
