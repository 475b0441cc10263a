"""What a sync reads again, and how it counts what changed."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.ingestion.sync import SyncPlan, changes, content_checksums, first_days, periods_of, plan_sync
from shelfops_pipeline.ingestion.watermark import find_changes, last_over
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.ingested import record_periods, reopen_periods
from shelfops_pipeline.store.records import PeriodRecord

KEY = (c.TS, c.STORE_ID, c.ITEM_ID)


def rows(n_days: int, stores: int = 2, start: str = "2024-01-01") -> pd.DataFrame:
    """A row per day, store and item (two of them), with distinct quantities."""
    index = pd.MultiIndex.from_product(
        [pd.date_range(start, periods=n_days), [f"S{i}" for i in range(stores)], ["a", "b"]],
        names=[c.TS, c.STORE_ID, c.ITEM_ID],
    )
    frame = index.to_frame(index=False).astype({c.STORE_ID: "category", c.ITEM_ID: "category"})
    frame[c.QUANTITY] = np.arange(len(frame), dtype=float)
    frame[c.SOURCE], frame[c.LINE] = "sales.csv", np.arange(len(frame)) + 2
    return frame


@dataclass
class Feed:
    """A source over a frame."""

    frame: pd.DataFrame
    grain: Grain = Grain.DAY
    incremental: bool = False
    weekly_rows: bool = False
    rules: RowRules = field(default_factory=RowRules)
    name: str = "feed"
    absence: Any = "zero"
    asked: list[tuple[date, date]] = field(default_factory=list)

    def span(self) -> tuple[date, date]:
        return self.frame[c.TS].min().date(), self.frame[c.TS].max().date()

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        self.asked.append((start, end))
        inside = (self.frame[c.TS] >= pd.Timestamp(start)) & (self.frame[c.TS] < pd.Timestamp(end + timedelta(days=1)))
        return self.frame[inside].reset_index(drop=True)

    def inventory(self, start: date, end: date) -> None:
        return None

    def reference(self) -> Reference:
        none = pd.DataFrame({c.DATE: pd.to_datetime([]), c.SCOPE: [], c.NAME: [], c.KIND: []})
        return Reference(pd.DataFrame({c.STORE_ID: ["S0", "S1"]}), pd.DataFrame({c.ITEM_ID: ["a", "b"]}), none)


def recorded(feed: Feed) -> dict[date, str]:
    """What a first sync leaves behind."""
    from shelfops_pipeline.ingestion.sync import rules_digest

    sums = content_checksums(feed.frame, feed.grain, salt=rules_digest(feed, feed.reference()))
    return dict(zip(sums["period"].dt.date, sums["checksum"], strict=True))


def test_a_first_sync_reads_everything() -> None:
    feed = Feed(rows(10))
    plan = plan_sync(feed, feed.reference(), {}, lookback=3)
    assert plan is not None
    assert (plan.start, plan.end, len(plan.changed)) == (date(2024, 1, 1), date(2024, 1, 10), 10)
    assert feed.asked == []  # what is new need not be compared


def test_nothing_is_to_be_done_when_nothing_changed() -> None:
    feed = Feed(rows(10))
    assert plan_sync(feed, feed.reference(), recorded(feed), lookback=3) is None


def test_new_days_are_found_and_only_they() -> None:
    old = Feed(rows(10))
    plan = plan_sync(Feed(rows(12)), old.reference(), recorded(old), lookback=3)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 11), date(2024, 1, 12))
    assert (plan.start, plan.end) == (date(2024, 1, 11), date(2024, 1, 12))


def test_a_correction_long_ago_is_found_in_a_file() -> None:
    old, new = Feed(rows(40)), Feed(rows(40))
    new.frame.loc[5, c.QUANTITY] = 99.0
    plan = plan_sync(new, new.reference(), recorded(old), lookback=3)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 2),)


def test_a_database_is_asked_for_the_look_back_only() -> None:
    old, new = Feed(rows(40)), Feed(rows(41), incremental=True)
    new.frame.loc[5, c.QUANTITY] = 99.0
    new.frame.loc[new.frame[c.TS] == pd.Timestamp("2024-02-08"), c.QUANTITY] += 1
    plan = plan_sync(new, new.reference(), recorded(old), lookback=3)
    assert min(start for start, _ in new.asked) == date(2024, 2, 6)
    assert plan is not None
    assert plan.changed == (date(2024, 2, 8), date(2024, 2, 10))


def test_days_that_the_source_no_longer_has_are_to_be_emptied() -> None:
    old = Feed(rows(10))
    plan = plan_sync(Feed(rows(7)), old.reference(), recorded(old), lookback=3)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 8), date(2024, 1, 9), date(2024, 1, 10))
    behind = Feed(rows(7), incremental=True)
    assert plan_sync(behind, old.reference(), recorded(old), lookback=3) is None  # a database may be behind
    gap = Feed(old.frame[old.frame[c.TS] != pd.Timestamp("2024-01-04")])
    plan = plan_sync(gap, old.reference(), recorded(old), lookback=3)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 4),)


def test_a_period_that_was_not_ingested_to_the_end_is_taken_up_again_however_long_ago() -> None:
    feed = Feed(rows(40), incremental=True)
    known = recorded(feed)
    del known[date(2024, 1, 5)]
    plan = plan_sync(feed, feed.reference(), known, lookback=3)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 5),)


def test_an_unfinished_period_of_which_the_source_has_nothing_any_more_is_to_be_emptied() -> None:
    feed = Feed(rows(10))
    known = recorded(feed)
    del known[date(2024, 1, 5)]
    gap = Feed(feed.frame[feed.frame[c.TS] != pd.Timestamp("2024-01-05")])
    plan = plan_sync(gap, feed.reference(), known, lookback=3)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 5),)
    assert plan_sync(gap, feed.reference(), known | {date(2024, 1, 5): None}, lookback=3) is None


def test_a_history_of_which_only_the_end_was_ingested_is_completed() -> None:
    feed = Feed(rows(40), incremental=True)
    known = {day: text for day, text in recorded(feed).items() if day > date(2024, 1, 30)}
    plan = plan_sync(feed, feed.reference(), known, lookback=3)
    assert plan is not None
    assert (plan.start, plan.end) == (date(2024, 1, 1), date(2024, 1, 30))
    plan = plan_sync(feed, feed.reference(), known, lookback=3, since=date(2024, 1, 20))
    assert plan is not None
    assert (plan.start, plan.end) == (date(2024, 1, 20), date(2024, 1, 30))


def test_days_without_a_date_are_in_no_week() -> None:
    days = np.array(["2024-01-07", "NaT", "2024-01-08"], dtype="datetime64[D]")
    assert first_days(days, Grain.WEEK).astype(str).tolist() == ["2024-01-01", "NaT", "2024-01-08"]


def test_other_rules_are_a_reason_to_judge_again() -> None:
    feed = Feed(rows(5))
    stricter = replace(feed, rules=RowRules(free_items=False))
    plan = plan_sync(stricter, feed.reference(), recorded(feed), lookback=3)
    assert plan is not None
    assert len(plan.changed) == 5


def test_days_after_the_limit_wait() -> None:
    feed = Feed(rows(10))
    plan = plan_sync(feed, feed.reference(), {}, lookback=3, until=date(2024, 1, 8))
    assert plan is not None
    assert plan.end == date(2024, 1, 8)


def test_days_before_the_first_partition_are_left_alone() -> None:
    feed = Feed(rows(10))
    plan = plan_sync(feed, feed.reference(), {}, lookback=3, since=date(2024, 1, 6))
    assert plan is not None
    assert plan.start == date(2024, 1, 6)
    assert plan_sync(feed, feed.reference(), {}, lookback=3, since=date(2024, 2, 1)) is None


def test_a_week_is_one_period_from_its_monday() -> None:
    feed = Feed(rows(20, start="2024-01-03"), grain=Grain.WEEK)
    plan = plan_sync(feed, feed.reference(), {}, lookback=1)
    assert plan is not None
    assert plan.changed == (date(2024, 1, 1), date(2024, 1, 8), date(2024, 1, 15), date(2024, 1, 22))


def test_the_checksum_does_not_depend_on_order_file_or_line_but_on_every_value() -> None:
    frame = rows(3)
    same = frame.sample(frac=1, random_state=1).assign(**{c.SOURCE: "other.csv", c.LINE: 1}).reset_index(drop=True)
    pd.testing.assert_frame_equal(content_checksums(frame, Grain.DAY), content_checksums(same, Grain.DAY))
    base = content_checksums(frame, Grain.DAY)["checksum"]
    for name, value in (
        (c.STORE_ID, "S1"),
        (c.ITEM_ID, "b"),
        (c.QUANTITY, 77.0),
        (c.TS, frame[c.TS][0] + pd.Timedelta("1h")),
    ):
        other = frame.copy()
        other.loc[0, name] = value
        assert (content_checksums(other, Grain.DAY)["checksum"] != base).sum() == 1, name
    assert (content_checksums(frame, Grain.DAY, salt="x")["checksum"] != base).all()


def test_the_checksum_survives_other_categories() -> None:
    frame = rows(3)
    wider = frame.assign(**{c.ITEM_ID: frame[c.ITEM_ID].cat.set_categories(["z", "b", "a"])})
    pd.testing.assert_frame_equal(content_checksums(frame, Grain.DAY), content_checksums(wider, Grain.DAY))


def test_late_corrected_and_withdrawn_rows_are_told_apart() -> None:
    before = rows(3).drop(index=[1]).reset_index(drop=True)
    after = rows(3).drop(index=[11]).reset_index(drop=True)
    after.loc[[4, 5], c.QUANTITY] = [50.0, 51.0]
    found = changes(before, after, KEY, Grain.DAY).set_index("period")
    assert found.loc[pd.Timestamp("2024-01-01")].to_dict() == {"late": 1, "corrected": 0, "withdrawn": 0}
    assert found.loc[pd.Timestamp("2024-01-02")].to_dict() == {"late": 0, "corrected": 2, "withdrawn": 0}
    assert found.loc[pd.Timestamp("2024-01-03")].to_dict() == {"late": 0, "corrected": 0, "withdrawn": 1}


def test_without_a_key_a_correction_is_one_row_gone_and_one_come() -> None:
    before, after = rows(1), rows(1)
    after.loc[0, c.QUANTITY] = 9.0
    found = changes(before, after, (), Grain.DAY)
    assert found[["late", "corrected", "withdrawn"]].to_numpy().tolist() == [[1, 0, 1]]


@given(st.data())
def test_the_three_counts_always_explain_the_difference_in_rows(data: st.DataObject) -> None:
    frame = rows(4)
    picks = st.lists(st.integers(0, len(frame) - 1), max_size=25)
    before, after = (frame.iloc[data.draw(picks)].reset_index(drop=True) for _ in range(2))
    after = after.assign(**{c.QUANTITY: after[c.QUANTITY] + np.arange(len(after)) % 2})
    found = changes(before, after, KEY, Grain.DAY)
    assert found["late"].sum() - found["withdrawn"].sum() == len(after) - len(before)
    assert (found[["late", "corrected", "withdrawn"]].to_numpy() >= 0).all()


def test_a_row_without_a_date_counts_where_it_is_filed() -> None:
    frame = rows(2)
    frame[c.FILED] = pd.NaT
    frame.loc[3, c.FILED] = frame.loc[3, c.TS]
    frame.loc[3, c.TS] = pd.NaT
    assert periods_of(frame, Grain.DAY)[3] == np.datetime64("2024-01-01")
    assert content_checksums(frame, Grain.DAY)["rows"].tolist() == [4, 4]


@pytest.mark.parametrize(
    ("day", "monday"), [("1969-12-31", "1969-12-29"), ("2024-03-03", "2024-02-26"), ("2024-03-04", "2024-03-04")]
)
def test_weeks_begin_on_monday(day: str, monday: str) -> None:
    frame = rows(1, start=day)
    assert (periods_of(frame, Grain.WEEK) == np.datetime64(monday)).all()


def test_what_was_taken_back_and_comes_again_has_another_key(warehouse: Engine) -> None:
    """A sensor's run_key is remembered for ever: under the same key nobody would ingest the day again."""
    right, wrong = Feed(rows(2)), Feed(rows(2))
    first, last = recorded(right)
    wrong.frame.loc[wrong.frame[c.TS] == pd.Timestamp(last), c.QUANTITY] += 90
    keys = []

    def asked(feed: Feed) -> SyncPlan | None:
        return find_changes(Settings(), feed, warehouse, first)

    def ingested(feed: Feed, day: date) -> None:
        done = PeriodRecord(day, 4, 4, source_checksum=recorded(feed)[day], warehouse_checksum="a" * 16)
        record_periods(warehouse, feed.name, [done])

    ingested(right, first)
    for feed in (right, wrong, right, wrong):
        plan = asked(feed)
        assert plan is not None
        keys.append(plan.key)
        reopen_periods(warehouse, feed.name, [last])
        assert asked(feed) == plan  # while it is being ingested
        ingested(feed, last)
        assert asked(feed) is None
    assert len(set(keys)) == 4


@pytest.mark.parametrize(("ahead", "over"), [(-2, 3), (0, 1), (1, 1)])
def test_a_day_is_over_when_it_is_over_where_the_stores_are(ahead: int, over: int) -> None:
    """A server counts in UTC: in Los Angeles its yesterday may still be traded on."""

    class Shops(Feed):
        today = date.today() + timedelta(days=ahead)

    assert last_over(Shops(rows(1))) == date.today() - timedelta(days=over)


def test_a_week_is_over_on_its_sunday_where_the_stores_are() -> None:
    class Shops(Feed):
        today = date(2024, 1, 7)  # a Sunday

    assert last_over(Shops(rows(1), Grain.WEEK)) == date(2023, 12, 31)
    Shops.today += timedelta(days=1)
    assert last_over(Shops(rows(1), Grain.WEEK)) == date(2024, 1, 7)
