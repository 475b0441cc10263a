"""Outliers and returns without a sale: what was accepted before decides, in one run or in many."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.keys import days_of, first_day
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.gate.history import History
from shelfops_pipeline.gate.past_rules import COVERED, FACTOR, FEWEST, FLOOR
from shelfops_pipeline.gate.validation import ValidationResult, validate_transactions

START = pd.Timestamp("2024-01-01")
NOBODY = Reference(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
Row = tuple[int, str, str, float]
"""Day, store, item, quantity."""
LINES = RowRules(unique_key=(), max_quantity=1e9)


def lines(rows: list[Row]) -> pd.DataFrame:
    """(day, store, item, quantity) as raw transactions; `line` is the place in the list."""
    frame = pd.DataFrame(rows, columns=["day", "store_id", "item_id", "quantity"])
    frame["quantity"] = frame["quantity"].astype(float)
    frame["ts"] = START + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame.assign(source="till.csv", line=np.arange(len(frame)))


def validate(raw: pd.DataFrame, **more: Any) -> ValidationResult:
    return validate_transactions(raw, NOBODY, LINES, last_date=date(2030, 1, 1), max_quarantined_share=1.0, **more)


def refused(raw: pd.DataFrame, **more: Any) -> dict[int, str]:
    bad = validate(raw, **more).quarantined
    return dict(zip(bad["line"].tolist(), bad["reason"], strict=True))


def usual(n: int = FEWEST, quantity: float = 5.0, store: str = "s", item: str = "a") -> list[Row]:
    return [(day, store, item, quantity) for day in range(n)]


def test_a_quantity_far_beyond_everything_before_it_is_an_outlier_either_way() -> None:
    rows = [*usual(), (FEWEST, "s", "a", 5 * FACTOR + 1), (FEWEST, "s", "a", -5 * FACTOR - 1)]
    assert refused(lines(rows)) == {FEWEST: "outlier", FEWEST + 1: "outlier"}


@pytest.mark.parametrize(
    ("history", "quantity"),
    [
        (usual(), 5 * FACTOR),  # not beyond the factor
        (usual(FEWEST - 1), 9e6),  # too few rows to know what is usual
        (usual(FEWEST + 30, 0.0), 9e6),  # rows of 0 tell nothing of size
        (usual(FEWEST, 0.01), FLOOR),  # small in absolute terms
        ([*usual(), (3, "s", "a", 90.0)], 5 * FACTOR + 1),  # the largest counts, not the last
        (usual(item="b"), 9e6),  # another item's past
        (usual(store="t"), 9e6),  # another store's past
    ],
)
def test_what_is_not_far_beyond_a_known_past_is_accepted(history: list[Row], quantity: float) -> None:
    assert refused(lines([*history, (200, "s", "a", quantity)])) == {}


def test_an_outlier_does_not_raise_the_bar_for_the_next() -> None:
    rows = [*usual(), (40, "s", "a", 600.0), (41, "s", "a", 700.0), (42, "s", "a", 400.0), (43, "s", "a", 700.0)]
    assert refused(lines(rows)) == {FEWEST: "outlier", FEWEST + 1: "outlier"}  # 400 is accepted, and 700 after it


def test_rows_of_one_day_do_not_depend_on_their_order() -> None:
    day = [(FEWEST, "s", "a", 400.0), (FEWEST, "s", "a", 600.0)]
    assert refused(lines([*usual(), *day])) == {FEWEST + 1: "outlier"}
    assert refused(lines([*day[::-1], *usual()])) == {0: "outlier"}


def test_the_past_of_earlier_runs_counts() -> None:
    before = History.of(validate(lines(usual())).valid)
    late = lines([(FEWEST, "s", "a", 600.0), (FEWEST, "s", "b", 600.0)])
    assert refused(late) == {}
    assert refused(late, history=before) == {0: "outlier"}


def test_a_return_of_what_was_never_sold_is_refused_once_the_feed_is_old_enough() -> None:
    rows = [(0, "s", "a", 1.0), (COVERED - 1, "s", "b", -1.0), (COVERED, "s", "b", -1.0), (COVERED, "s", "a", -3.0)]
    assert refused(lines(rows)) == {2: "return_without_sale"}


def test_a_sale_of_the_same_day_or_before_makes_a_return_possible_and_a_later_one_does_not() -> None:
    rows = [
        (0, "s", "a", 1.0),
        (120, "s", "b", -1.0),
        (120, "s", "b", 2.0),
        (120, "s", "c", -1.0),
        (121, "s", "c", 1.0),
    ]
    assert refused(lines(rows)) == {3: "return_without_sale"}


def test_a_store_that_is_new_in_the_feed_has_its_own_first_weeks() -> None:
    rows = [(0, "s", "a", 1.0), (150, "t", "a", 1.0), (160, "t", "b", -1.0), (160, "s", "b", -1.0)]
    assert refused(lines(rows)) == {3: "return_without_sale"}


def test_a_sale_in_an_earlier_run_makes_a_return_possible() -> None:
    before = History.of(validate(lines([(0, "s", "a", 1.0), (5, "s", "b", 2.0)])).valid)
    late = lines([(120, "s", "b", -2.0), (120, "s", "c", -2.0)])
    assert refused(late, history=before) == {1: "return_without_sale"}
    assert refused(late) == {}  # without a past nobody knows how old the feed is


def test_a_refused_sale_is_no_sale_that_could_be_returned() -> None:
    absurd = [(0, "s", "a", 1.0), (100, "s", "b", 5e9), (110, "s", "b", -1.0)]
    assert refused(lines(absurd)) == {1: "absurd_quantity", 2: "return_without_sale"}


def test_a_released_row_counts_as_accepted_for_those_after_it() -> None:
    rows = lines([*usual(), (40, "s", "a", 600.0), (41, "s", "a", 700.0)])
    bad = validate(rows).quarantined
    first = frozenset(bad.loc[bad["line"] == FEWEST, "fingerprint"])
    freed = validate(rows, released=first)
    assert (freed.counts, freed.released) == ({}, 1)
    assert len(freed.valid) == len(rows)


def test_a_released_quantity_may_be_as_large_as_a_float_can_be() -> None:
    rows = lines([*usual(), (40, "s", "a", 1e308), (41, "s", "a", 1e300)])
    prints = frozenset(validate(rows).quarantined["fingerprint"])
    assert validate(rows, released=prints).released == 2  # both are absurd by themselves


def test_a_release_may_bring_up_another_bad_row_that_is_released_too() -> None:
    """The released return is the thirtieth row of its series, with which the size of the next becomes far too large."""
    rows = [(0, "s", "z", 1.0), *((100 + n, "s", "a", -1.0) for n in range(FEWEST)), (200, "s", "a", 900.0)]
    raw = lines(rows)
    returns = validate(raw).quarantined
    assert set(returns["reason"]) == {"return_without_sale"}
    half = validate(raw, released=frozenset(returns["fingerprint"]))
    assert (half.counts, half.released) == ({"outlier": 1}, FEWEST)
    whole = validate(raw, released=frozenset([*returns["fingerprint"], *half.quarantined["fingerprint"]]))
    assert (whole.counts, whole.released) == ({}, FEWEST + 1)


def busy(seed: int) -> list[Row]:
    """A series with a usual size; spikes, returns and zeros in it and beside it; in any order."""
    rng = np.random.default_rng(seed)
    often = rng.choice([1.0, 1.0, 2.0, -1.0, 0.0], rng.integers(40, 90))
    first = int(rng.integers(0, 100))
    rows = [(first + day, "s", "a", float(quantity)) for day, quantity in enumerate(often)]
    spikes = [-900.0, -250.0, -101.0, -2.0, 0.0, 5.0, 101.0, 250.0, 900.0, 30_000.0]
    for _ in range(rng.integers(0, 14)):
        store, item = rng.choice(["s", "s", "t"]), rng.choice(["a", "a", "b"])
        rows.append((int(rng.integers(20, 220)), str(store), str(item), float(rng.choice(spikes))))
    return [rows[at] for at in rng.permutation(len(rows))]


def test_the_tables_of_the_tests_below_break_every_rule() -> None:
    found = [set(naive(busy(seed)).values()) for seed in range(100)]
    assert sum("outlier" in reasons for reasons in found) > 20
    assert sum("return_without_sale" in reasons for reasons in found) > 10
    assert sum(len(reasons) == 2 for reasons in found) > 2


def naive(rows: list[Row]) -> dict[int, str]:
    """The rules, day by day and row by row."""
    largest: dict[tuple[str, str], float] = {}
    count: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], int] = {}
    opened: dict[str, int] = {}
    found: dict[int, str] = {}
    for day in sorted({row[0] for row in rows}):
        today = [(at, (store, item), q) for at, (d, store, item, q) in enumerate(rows) if d == day and q != 0]
        far = {
            at
            for at, key, q in today
            if count.get(key, 0) >= FEWEST and abs(q) > max(FLOOR, FACTOR * largest.get(key, 0))
        }
        for at, key, q in today:
            if q > 0 and at not in far:
                first.setdefault(key, day)
                opened.setdefault(key[0], day)
        for at, key, q in today:
            if q < 0 and key not in first and day - opened.get(key[0], day) >= COVERED:
                found[at] = "return_without_sale"
            elif at in far:
                found[at] = "outlier"
        for at, key, q in today:
            if at not in found:
                largest[key] = max(largest.get(key, 0), abs(q))
                count[key] = count.get(key, 0) + 1
    return found


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6))
def test_the_rules_are_those_of_a_plain_loop(seed: int) -> None:
    rows = busy(seed)
    assert refused(lines(rows)) == naive(rows)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(Grain)), st.sampled_from([1, 5, 30]))
def test_one_run_and_a_run_per_period_refuse_the_same_rows(seed: int, grain: Grain, together: int) -> None:
    raw = lines(busy(seed))
    period = first_day(days_of(raw["ts"].to_numpy()), grain)
    starts = np.unique(period)[::together]
    history, found = History.none(), {}
    for at, lo in enumerate(starts):
        hi = starts[at + 1] if at + 1 < len(starts) else np.iinfo(np.int64).max
        result = validate(raw[(period >= lo) & (period < hi)], history=history)
        found |= dict(zip(result.quarantined["line"].tolist(), result.quarantined["reason"], strict=True))
        history = history.merge(History.of(result.valid))
    assert found == refused(raw)


def test_a_history_says_what_was_accepted() -> None:
    raw = lines([(3, "s", "a", 2.0), (1, "s", "a", -8.0), (1, "s", "a", 0.0), (5, "t", "a", 0.0)])
    raw["ts"] += pd.Timedelta(hours=9)
    history = History.of(validate(raw).valid)
    assert history.series.to_dict("records") == [
        {"store_id": "s", "item_id": "a", "rows": 2, "largest": 8.0, "first_sale": pd.Timestamp("2024-01-04")},
        {"store_id": "t", "item_id": "a", "rows": 0, "largest": 0.0, "first_sale": pd.NaT},
    ]
    assert history.hours.to_dict("records") == [
        {"store_id": "s", "hour": 9, "lines": 3},
        {"store_id": "t", "hour": 9, "lines": 1},
    ]


def test_histories_add_up_to_that_of_all_rows() -> None:
    rng = np.random.default_rng(2)
    rows = [(int(d), str(s), str(i), float(q)) for d, s, i, q in rng.integers(-2, 30, (60, 4))]
    raw = lines([(abs(d), f"s{abs(int(s)) % 3}", f"i{abs(int(i)) % 4}", q) for d, s, i, q in rows])
    valid = validate(raw).valid
    parts = History.none()
    for lo in (0, 20, 40):
        parts = parts.merge(History.of(valid.iloc[lo : lo + 20]))
    whole = History.of(valid)
    pd.testing.assert_frame_equal(parts.series, whole.series)
    pd.testing.assert_frame_equal(parts.hours, whole.hours)


def test_the_plain_columns_of_a_warehouse_are_a_history() -> None:
    history = History.from_columns(
        {
            "store_id": np.array(["s"], dtype=object),
            "item_id": np.array(["a"], dtype=object),
            "rows": np.array([FEWEST]),
            "largest": np.array([5.0]),
            "first_sale": np.array(["2024-01-01"], dtype="datetime64[D]"),
        },
        {"store_id": np.array(["s"], dtype=object), "hour": np.array([0]), "lines": np.array([FEWEST])},
    )
    raw = lines([(100, "s", "a", 600.0), (100, "s", "b", -1.0), (100, "s", "a", -5.0)])
    assert refused(raw, history=history) == {0: "outlier", 1: "return_without_sale"}
