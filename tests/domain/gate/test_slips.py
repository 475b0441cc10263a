"""Times of day that slipped: found where a zone was lost, and not where a shop only keeps odd hours."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.gate.history import History
from shelfops_pipeline.gate.validation import ValidationResult, validate_transactions

NOBODY = Reference(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
DAY = pd.Timestamp("2024-05-06")
OPENING = np.r_[np.full(8, 0.0), 1, 3, 5, 6, 8, 7, 6, 7, 6, 4, 2, 1, np.full(4, 0.0)]  # 8 to 20 o'clock
OPENING /= OPENING.sum()


def receipts(days: int = 14, per_day: int = 120, store: str = "s", seed: int = 1) -> pd.DataFrame:
    """Receipt lines of a shop, with the hours above."""
    rng = np.random.default_rng(seed)
    n = days * per_day
    minute = rng.choice(24, n, p=OPENING) * 60 + rng.integers(0, 60, n)
    ts = DAY + pd.to_timedelta(np.repeat(np.arange(days), per_day), unit="D") + pd.to_timedelta(minute, unit="min")
    return pd.DataFrame({"ts": ts, "store_id": store, "item_id": "a", "quantity": 1.0, "line": np.arange(n)})


def of_day(frame: pd.DataFrame, day: int) -> pd.Series:
    return frame["ts"].dt.normalize() == DAY + pd.Timedelta(days=day)


def shifted(frame: pd.DataFrame, day: int, hours: float) -> pd.DataFrame:
    there = of_day(frame, day)
    return frame.assign(ts=frame["ts"] + pd.to_timedelta(np.where(there, hours, 0), unit="h"))


def validate(raw: pd.DataFrame, history: History | None = None) -> ValidationResult:
    return validate_transactions(
        raw,
        NOBODY,
        RowRules(unique_key=()),
        last_date=date(2025, 1, 1),
        max_quarantined_share=1.0,
        history=history,
    )


def slipped(raw: pd.DataFrame, history: History | None = None) -> set[int]:
    result = validate(raw, history)
    assert set(result.counts) <= {"timezone_slip"}
    return set(result.quarantined["line"])


@pytest.mark.parametrize("hours", [-12, -9, -8, -7, -6, 6, 7, 8, 9])
def test_a_day_of_receipts_that_is_hours_off_is_found_and_no_other(hours: int) -> None:
    raw = shifted(receipts(), 5, hours)
    found = slipped(raw)
    truth = set(raw["line"][of_day(receipts(), 5)])
    assert found <= truth
    # What slipped past midnight lies among the next day's lines.
    assert found >= set(raw["line"][of_day(raw, 5)]) & truth
    assert len(found) > 0.5 * len(truth)


def test_several_bad_days_do_not_hide_each_other() -> None:
    raw = shifted(shifted(shifted(receipts(), 3, -7), 8, -7), 9, -7)
    assert {int(line) // 120 for line in slipped(raw)} == {3, 8, 9}


def test_one_day_alone_is_judged_by_the_hours_of_earlier_runs() -> None:
    history = History.of(validate(receipts()).valid)
    raw = receipts(days=15, seed=2)
    today = shifted(raw, 14, -7)[of_day(raw, 14)]
    assert slipped(today) == set()  # nobody knows its hours
    assert slipped(today, history) == set(today["line"])
    assert slipped(raw[of_day(raw, 14)], history) == set()


def test_each_store_has_its_own_hours() -> None:
    day_shop, night_shop = receipts(), receipts(store="night")
    night_shop["ts"] += pd.Timedelta(hours=9)
    both = pd.concat([day_shop, night_shop], ignore_index=True)
    both["line"] = np.arange(len(both))
    assert slipped(both) == set()


def test_a_late_opening_adds_hours_and_is_no_slip() -> None:
    """A long Thursday before Christmas: the usual day, and a third of the trade after eight in the evening."""
    raw = receipts()
    rng = np.random.default_rng(3)
    late = raw[of_day(raw, 10)].head(60).assign(line=np.arange(60) + 10_000)
    late["ts"] = late["ts"].dt.normalize() + pd.to_timedelta(20 * 60 + rng.integers(0, 180, 60), unit="min")
    assert slipped(pd.concat([raw, late], ignore_index=True)) == set()


def test_a_rush_in_a_usual_hour_is_no_slip() -> None:
    raw = receipts()
    rush = raw[of_day(raw, 4)].assign(ts=DAY + pd.Timedelta(days=4, hours=18, minutes=3), line=raw["line"] + 10_000)
    assert slipped(pd.concat([raw, rush], ignore_index=True)) == set()


def test_a_handful_of_lines_is_not_judged() -> None:
    raw = shifted(receipts(), 5, -7)
    few = raw[~of_day(receipts(), 5) | (raw.groupby(raw["line"] // 120).cumcount() < 4)]
    assert slipped(few) == set()


def daily(n: int = 100) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ts": DAY + pd.to_timedelta(np.arange(n), unit="D"),
            "store_id": "s",
            "item_id": "a",
            "quantity": 1.0,
            "line": np.arange(n),
        }
    )


@pytest.mark.parametrize(
    ("hours", "found"), [(1, True), (22, True), (23, True), (5.5, True), (10 + 17 / 60, False), (0, False)]
)
def test_where_rows_stand_for_days_a_whole_or_half_hour_off_midnight_is_a_slip(hours: float, found: bool) -> None:
    raw = daily()
    raw.loc[7, "ts"] += pd.Timedelta(hours=hours)
    assert slipped(raw) == ({7} if found else set())


def test_a_run_of_one_day_knows_from_earlier_ones_that_its_rows_stand_for_days() -> None:
    history = History.of(validate(daily()).valid)
    late = daily(101).tail(1).assign(ts=DAY + pd.Timedelta(days=100, hours=-2))
    assert slipped(late) == set()
    assert slipped(late, history) == {100}


def test_one_time_among_many_that_carries_a_zone_is_a_slip() -> None:
    raw = daily(30).astype({"ts": object})
    raw.loc[3, "ts"] = pd.Timestamp("2024-05-09 00:00", tz="Europe/Vienna")
    raw.loc[4, "ts"] = "2024-05-10T00:00Z"
    raw.loc[5, "ts"] = "2024-05-11"
    result = validate(raw)
    assert result.counts == {"timezone_slip": 2}
    assert result.quarantined["filed"].tolist() == [pd.Timestamp("2024-05-09"), pd.Timestamp("2024-05-10")]
    assert result.valid["ts"].dtype == np.dtype("datetime64[ns]")
