"""Explanations of forecasts: what is written is what is read, and none outlives its forecast."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, STORE_ID
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.tables import (
    MEMBER,
    MODEL_VERSION,
    PERIODS,
    PREDICTION,
    REASONS,
    SENTENCE,
    START,
    forecast_explanations,
)
from tests.domain.store.test_publish import ITEMS, STORES, count, forecasts, publish_release

WHY = [{"theme": "promo", "units": 12.5, "words": "because of the promotion"}]


def explanations(stores: Any = STORES, items: Any = ITEMS, sentence: str = "Expected 3 units.") -> dict[str, Any]:
    """A row over two days and a row for each; the second day is closed."""
    n = len(stores)
    days = np.array(["2025-03-01", "2025-03-01", "2025-03-02"], "datetime64[D]")
    return {
        STORE_ID: np.repeat(stores, 3),
        ITEM_ID: np.repeat(items, 3),
        DATE: np.tile(days, n),
        PERIODS: np.tile(np.array([2, 1, 1], np.int32), n),
        MODEL_VERSION: "v1",
        MEMBER: "xgboost",
        START: [1.5, 1.5, None] * n,
        PREDICTION: [14.0, 14.0, 0.0] * n,
        SENTENCE: [sentence] * 3 * n,
        REASONS: [WHY, WHY, []] * n,
    }


def test_why_comes_back_over_all_periods_first_and_then_by_date(warehouse: Engine) -> None:
    text = 'Über "2 €", \\ tab\tand NUL \x00'
    for _ in range(2):  # again is the same
        assert writes.publish_explanations(warehouse, "r1", explanations(sentence=text)) == 9
    for store, item in zip(STORES, ITEMS, strict=True):
        over, first, second = reads.series_explanations(warehouse, "r1", store, item)
        assert (over.date, over.periods, over.start, over.prediction) == (date(2025, 3, 1), 2, 1.5, 14.0)
        assert (first.date, first.periods, first.reasons) == (date(2025, 3, 1), 1, WHY)
        assert (second.date, second.start, second.reasons) == (date(2025, 3, 2), None, [])
        assert over.sentence == text.replace("\x00", "\ufffd")
        assert (over.model_version, over.member) == ("v1", "xgboost")
    assert reads.series_explanations(warehouse, "r2", STORES[0], ITEMS[0]) == []
    assert reads.series_explanations(warehouse, "r1", "nowhere", ITEMS[0]) == []


def test_new_forecasts_take_the_old_explanations_of_their_series_with_them(warehouse: Engine) -> None:
    writes.publish_explanations(warehouse, "r1", explanations())
    writes.publish_explanations(warehouse, "r2", explanations())
    writes.publish_forecasts(warehouse, "r1", forecasts(1, STORES[:1], ITEMS[:1]))
    assert reads.series_explanations(warehouse, "r1", STORES[0], ITEMS[0]) == []
    assert len(reads.series_explanations(warehouse, "r1", STORES[1], ITEMS[1])) == 3
    assert len(reads.series_explanations(warehouse, "r2", STORES[0], ITEMS[0])) == 3


def test_explanations_go_with_their_release(warehouse: Engine) -> None:
    for release in ("r1", "r2", "r3"):
        writes.publish_explanations(warehouse, release, explanations())
        publish_release(warehouse, release)
    assert writes.prune_releases(warehouse, "shop", keep=2) == ("r1",)
    assert reads.series_explanations(warehouse, "r1", STORES[0], ITEMS[0]) == []
    assert count(warehouse, forecast_explanations) == 18


@pytest.mark.parametrize("spoil", ["duplicate", "missing", "no sentence"])
def test_bad_explanations_are_refused_and_change_nothing(warehouse: Engine, spoil: str) -> None:
    writes.publish_explanations(warehouse, "r1", explanations())
    bad = explanations(sentence="bad")
    if spoil == "duplicate":
        bad[PERIODS] = np.ones(9, np.int32)
    elif spoil == "missing":
        del bad[REASONS]
    else:
        bad[SENTENCE] = [None, *bad[SENTENCE][1:]]
    with pytest.raises(DataError, match="Cannot publish"):
        writes.publish_explanations(warehouse, "r1", bad)
    assert count(warehouse, forecast_explanations) == 9
    assert reads.series_explanations(warehouse, "r1", STORES[0], ITEMS[0])[0].sentence == "Expected 3 units."
