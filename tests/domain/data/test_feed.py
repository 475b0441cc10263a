"""Gaps in a feed, told apart from closed stores, holidays, days off and stores that are gone."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.feed import feed_gaps, silent_periods, silent_spells

MONDAY = pd.Timestamp("2024-01-01")
OPEN = np.array([1, 1, 1, 1, 1, 1, 0], dtype=bool)  # closed on Sundays


def trade(stores: int = 4, days: int = 56) -> NDArray[np.bool_]:
    return np.tile(OPEN, (stores, days // 7 + 1))[:, :days].copy()


def table(trading: NDArray[np.bool_], step: int = 1) -> pd.DataFrame:
    store, day = np.nonzero(trading)
    return pd.DataFrame(
        {"date": MONDAY + pd.to_timedelta(day * step, unit="D"), "store_id": [f"s{k}" for k in store], "rows": 5}
    )


def gaps(trading: NDArray[np.bool_], **more: Any) -> list[tuple[str, int, int, int]]:
    """(store, first day, last day, periods missing)"""
    found = feed_gaps(table(trading), **more)
    days = [(found[name] - MONDAY).dt.days for name in ("first", "last")]
    return list(zip(found["store_id"], *days, found["periods"], strict=True))


def test_a_store_that_is_silent_while_the_others_trade_has_a_gap() -> None:
    trading = trade()
    trading[1, 36:43] = False  # Tuesday to Monday; on Sunday it is closed anyway
    trading[3, 50:52] = False
    assert gaps(trading) == [("s1", 36, 42, 6), ("s3", 50, 51, 2)]


def test_a_feed_without_silence_has_no_gap() -> None:
    assert gaps(trade()) == []
    assert feed_gaps(table(trade()).iloc[:0]).empty


def test_one_day_off_is_the_store_s_own_affair() -> None:
    trading = trade()
    trading[1, 36] = False
    assert gaps(trading) == []


def test_two_missing_days_around_a_sunday_are_one_gap() -> None:
    trading = trade()
    trading[1, [40, 42]] = False  # Saturday and Monday
    assert gaps(trading) == [("s1", 40, 42, 2)]


def test_a_closure_that_most_stores_share_is_none() -> None:
    trading = trade()
    trading[:3, 36:39] = False
    assert gaps(trading) == []


def test_known_holidays_and_closed_days_are_none() -> None:
    trading = trade()
    trading[1, 36:39] = False
    closed = pd.DataFrame({"date": MONDAY + pd.to_timedelta([36, 37], unit="D"), "store_id": "s1"})
    assert gaps(trading, closed=closed) == []  # one day is left
    elsewhere = closed.assign(store_id="s2")
    assert gaps(trading, closed=elsewhere) == [("s1", 36, 38, 3)]


def test_a_holiday_of_last_month_does_not_hide_the_weekday() -> None:
    trading = trade()
    trading[:, 28:30] = False  # all were closed
    trading[1, 36:39] = False
    assert gaps(trading) == [("s1", 36, 38, 3)]


def test_a_weekday_on_which_the_store_does_not_always_trade_is_not_missed() -> None:
    trading = trade()
    trading[1, [30, 31]] = False  # it skipped these once
    found = gaps(trading)
    assert found == [("s1", 30, 31, 2)]
    trading[1, [16, 17]] = False  # before that there were not four weeks to know it by
    assert gaps(trading) == []


def test_a_store_that_stays_silent_for_more_than_four_weeks_has_closed() -> None:
    trading = trade(days=112)
    trading[1, 40:] = False
    (gap,) = gaps(trading)
    assert gap[:3] == ("s1", 40, 67)


def test_a_gap_that_lasts_to_the_end_is_reported_while_it_lasts() -> None:
    trading = trade()
    trading[1, 52:] = False
    assert gaps(trading) == [("s1", 52, 54, 3)]


def test_a_single_store_cannot_be_told_from_a_closed_one() -> None:
    trading = trade(stores=1)
    trading[0, 36:39] = False
    assert gaps(trading) == []


def test_of_two_stores_the_other_is_witness() -> None:
    trading = trade(stores=2)
    trading[0, 36:39] = False
    assert gaps(trading) == [("s0", 36, 38, 3)]


def test_weeks_have_gaps_too() -> None:
    trading = np.ones((3, 20), dtype=bool)
    trading[2, 8:11] = False
    found = feed_gaps(table(trading, step=7), Grain.WEEK)
    assert found["store_id"].tolist() == ["s2"]
    assert found["first"].tolist() == [MONDAY + pd.Timedelta(weeks=8)]
    assert found["last"].tolist() == [MONDAY + pd.Timedelta(weeks=10)]
    assert found["periods"].tolist() == [3]


def test_a_day_with_rows_of_zero_counts_as_heard_and_zero_rows_do_not() -> None:
    trading = trade()
    counted = table(trading).assign(rows=1)
    silent = (counted["store_id"] == "s1") & counted["date"].isin(MONDAY + pd.to_timedelta([36, 37], unit="D"))
    assert feed_gaps(counted.assign(rows=counted["rows"].where(~silent, 0)))["periods"].tolist() == [2]


def test_a_later_silence_changes_nothing_before_it_but_the_length() -> None:
    rng = np.random.default_rng(4)
    trading = trade(stores=6, days=140) & (rng.random((6, 140)) > 0.05)
    for store, first, length in ((1, 40, 9), (2, 70, 40), (4, 100, 2), (5, 120, 20)):
        trading[store, first : first + length] = False
    off = np.zeros_like(trading)
    whole = silent_spells(trading, off, Grain.DAY)
    assert whole.any()
    for end in range(60, 140, 7):
        part = silent_spells(trading[:, :end], off[:, :end], Grain.DAY)
        assert not (part & ~whole[:, :end]).any()
        # Only the last silence of a store may still turn out to be one.
        settled = trading[:, :end][:, ::-1].cumsum(axis=1)[:, ::-1] > 0
        np.testing.assert_array_equal(part[settled], whole[:, :end][settled])


@pytest.mark.parametrize(
    ("until", "silent"), [(date(2024, 2, 24), 0), (date(2024, 2, 25), 0), (date(2024, 2, 26), 1), (date(2024, 3, 4), 7)]
)
def test_a_feed_that_is_silent_as_a_whole_counts_the_days_of_trade_it_missed(until: date, silent: int) -> None:
    """The last day heard of is Saturday, 24 February; Sundays are not missed."""
    assert silent_periods(table(trade(days=55)), until) == silent


def test_a_feed_that_was_never_heard_of_misses_nothing_and_weeks_count_as_weeks() -> None:
    assert silent_periods(table(trade()).iloc[:0], date(2024, 3, 1)) == 0
    weekly = table(np.ones((2, 6), dtype=bool), step=7)  # the last week begins on 5 February
    assert silent_periods(weekly, date(2024, 2, 11), Grain.WEEK) == 0
    assert silent_periods(weekly, date(2024, 2, 20), Grain.WEEK) == 2
