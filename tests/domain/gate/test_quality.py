"""Figures per period, and the periods that are too bad."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.gate.quality import QUALITY_COLUMNS, bad_periods, describe_bad, quality
from shelfops_pipeline.gate.validation import ValidationResult, validate_transactions

STORES = Reference(pd.DataFrame({"store_id": ["s", "t"]}), pd.DataFrame(), pd.DataFrame())
MONDAY = pd.Timestamp("2024-01-01")


def judged(rows: list[tuple[int, str, str, float]]) -> ValidationResult:
    """(day, store, item, quantity) through the gate."""
    frame = pd.DataFrame(rows, columns=["day", "store_id", "item_id", "quantity"]).astype({"quantity": float})
    frame["ts"] = MONDAY + pd.to_timedelta(frame.pop("day"), unit="D")
    return validate_transactions(
        frame, STORES, RowRules(unique_key=()), last_date=date(2025, 1, 1), max_quarantined_share=1.0
    )


ROWS = [
    (0, "s", "a", 2.0),
    (0, "s", "b", 0.0),
    (0, "t", "a", 3.0),
    (0, "x", "a", 1.0),
    (0, "y", "a", np.nan),
    (0, "s", "a", np.nan),
    (2, "s", "a", -1.0),
    (9, "x", "a", 4.0),
]


def test_each_day_has_its_figures() -> None:
    found = quality(judged(ROWS), Grain.DAY)
    assert found.columns.tolist() == list(QUALITY_COLUMNS)
    assert found["period"].tolist() == [MONDAY, MONDAY + pd.Timedelta(days=2), MONDAY + pd.Timedelta(days=9)]
    figures = found.drop(columns=["period", "reasons"]).to_numpy().tolist()
    #        rows accepted returns quarantined stores items units
    assert figures == [[6, 3, 0, 3, 2, 1, 5], [1, 1, 1, 0, 1, 0, -1], [1, 0, 0, 1, 0, 0, 0]]
    assert found["reasons"].tolist() == [{"unknown_store": 2, "quantity_not_a_number": 1}, {}, {"unknown_store": 1}]
    assert list(found["reasons"][0]) == ["unknown_store", "quantity_not_a_number"]  # most frequent first


def test_a_week_has_the_rows_of_its_days() -> None:
    result = judged(ROWS)
    weeks, days = quality(result, Grain.WEEK), quality(result, Grain.DAY)
    assert weeks["period"].tolist() == [MONDAY, MONDAY + pd.Timedelta(days=7)]
    assert weeks["rows"].tolist() == [7, 1]
    for name in ("rows", "accepted", "returns", "quarantined", "units"):
        assert weeks[name].sum() == days[name].sum()


def test_figures_reconcile_with_the_gate() -> None:
    result = judged(ROWS)
    found = quality(result, Grain.DAY)
    assert found["accepted"].sum() == len(result.valid)
    assert found["quarantined"].sum() == len(result.quarantined) == sum(result.counts.values())


@pytest.mark.parametrize("rows", [[], [(0, "x", "a", 1.0)], [(0, "s", "a", 1.0)]])
def test_nothing_good_or_nothing_bad_or_nothing_at_all_has_figures_too(rows: list[tuple[int, str, str, float]]) -> None:
    found = quality(judged(rows), Grain.DAY)
    assert found["rows"].tolist() == [1] * len(rows)


def test_a_day_of_which_too_much_is_bad_is_named_and_a_small_one_is_not() -> None:
    good = [(0, "s", "a", 1.0)] * 400 + [(1, "s", "a", 1.0)] * 4 + [(2, "s", "a", 1.0)] * 60
    bad = (
        [(0, "x", "a", 1.0)] * 20 + [(1, "x", "a", 1.0)] * 1 + [(2, "x", "a", 1.0)] * 30 + [(2, "s", "a", np.nan)] * 10
    )
    result = judged(good + bad)
    found = bad_periods(result, Grain.DAY, limit=0.05)
    assert found["period"].tolist() == [MONDAY + pd.Timedelta(days=2)]
    assert found[["rows", "bad", "share"]].to_numpy().tolist() == [[100, 40, 0.4]]
    assert describe_bad(found, 0.05) == (
        "2024-01-03: 40 of 100 transactions are bad (40.0%): unknown_store 30, quantity_not_a_number 10; "
        "allowed are 5.0%: repair the feed, or raise SHELFOPS_MAX_QUARANTINED_SHARE"
    )
    assert bad_periods(result, Grain.DAY, limit=0.05, at_least=1)["bad"].tolist() == [1, 40]
    assert bad_periods(result, Grain.DAY, limit=0.4).empty


def test_many_bad_days_are_described_by_the_worst() -> None:
    rows = [(day, "x", "a", 1.0) for day in range(6) for _ in range(20 + day)]
    rows += [(day, "s", "a", 1.0) for day in range(6) for _ in range(10)]
    text = describe_bad(bad_periods(judged(rows), Grain.DAY, limit=0.05), 0.05)
    assert text.startswith("2024-01-06: 25 of 35 transactions are bad")
    assert "3 more periods" in text
    assert "\n" not in text
