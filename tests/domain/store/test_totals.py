"""Totals of a release: read by level, a page of groups at a time; none outlives the forecasts it is made of."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import CATEGORY, DATE, LEVEL, MEAN, QUANTILE_COLUMNS, STORE_ID, TotalLevel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store import writes
from shelfops_pipeline.store.totals import forecast_totals, publish_totals, read_totals
from tests.domain.store.test_publish import count, forecasts, publish_release

GROUPS = [("s1", "bread"), ("s1", "Käse"), ("s2", "bread")]


def totals(level: TotalLevel = TotalLevel.STORE_CATEGORY, groups: Any = GROUPS, mean: float = 10) -> dict[str, Any]:
    """Three days of each group."""
    n = 3 * len(groups)
    numbers = {name: np.full(n, mean + i, dtype=np.float32) for i, name in enumerate((MEAN, *QUANTILE_COLUMNS))}
    stores, categories = zip(*groups, strict=True)
    days = np.tile(np.datetime64("2025-03-01") + np.arange(3), len(groups))
    return {
        LEVEL: level.value,
        STORE_ID: np.repeat(stores, 3),
        CATEGORY: np.repeat(categories, 3),
        DATE: days,
        **numbers,
    }


def test_groups_come_back_page_by_page_in_order_of_their_bytes(warehouse: Engine) -> None:
    for _ in range(2):  # again is the same
        assert publish_totals(warehouse, "r1", totals()) == 9
    level = TotalLevel.STORE_CATEGORY
    first = read_totals(warehouse, "r1", level, limit=2).groups
    assert list(first) == [("s1", "Käse"), ("s1", "bread")]
    rest = read_totals(warehouse, "r1", level, after=("s1", "bread"), limit=2).groups
    assert list(rest) == [("s2", "bread")]
    assert rest["s2", "bread"][0] == ("s2", "bread", date(2025, 3, 1), 10, 11, 12, 13, 14, 15)
    assert read_totals(warehouse, "r1", TotalLevel.ALL).groups == {}
    assert read_totals(warehouse, "r2", level).groups == {}


def test_filters_narrow_groups_and_dates(warehouse: Engine) -> None:
    publish_totals(warehouse, "r1", totals())
    level, day = TotalLevel.STORE_CATEGORY, date(2025, 3, 2)
    assert list(read_totals(warehouse, "r1", level, store_id="s2").groups) == [("s2", "bread")]
    assert list(read_totals(warehouse, "r1", level, category="bread").groups) == [("s1", "bread"), ("s2", "bread")]
    within = read_totals(warehouse, "r1", level, start=day, end=day).groups
    assert [row.date for rows in within.values() for row in rows] == [day] * 3
    assert read_totals(warehouse, "r1", level, start=date(2025, 3, 4)).groups == {}


def test_totals_go_when_their_forecasts_are_replaced_or_pruned(warehouse: Engine) -> None:
    for release in ("r1", "r2"):
        publish_totals(warehouse, release, totals())
    writes.publish_forecasts(warehouse, "r1", forecasts())
    assert read_totals(warehouse, "r1", TotalLevel.STORE_CATEGORY).groups == {}
    assert count(warehouse, forecast_totals) == 9
    for release in ("r2", "r3"):
        publish_release(warehouse, release)
    writes.prune_releases(warehouse, "shop", keep=1)
    assert count(warehouse, forecast_totals) == 0


def test_a_failed_publication_leaves_what_was_there(warehouse: Engine) -> None:
    publish_totals(warehouse, "r1", totals())
    with pytest.raises(DataError, match="forecast_totals"):
        publish_totals(warehouse, "r1", totals(groups=[*GROUPS, GROUPS[0]]))
    assert count(warehouse, forecast_totals) == 9
