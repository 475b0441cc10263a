"""Suspected stockouts against a plain loop, their causality, and what they are not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data import stockouts
from shelfops_pipeline.data.stockouts import CHANCE, EXPECTED, WINDOW, sold_out, suspected

Floats = NDArray[np.float32]
STEADY = [3.0, 2.0, 4.0, 1.0, 3.0, 2.0, 5.0] * 4  # 20 units a week


def suspicion(*series: list[float], grain: Grain = Grain.DAY) -> list[list[int]]:
    """The suspected periods of each series; NaN is not observed. A busy neighbour keeps the store selling."""
    demand = np.array([*series, [9.0] * len(series[0])], dtype=np.float32)
    found = suspected(demand, np.isfinite(demand), np.zeros(len(demand), dtype=np.intp), grain)
    assert not found[-1].any()
    return [np.flatnonzero(row).tolist() for row in found[:-1]]


def test_an_item_that_sold_every_day_and_then_not_at_all_is_suspected_once_chance_is_no_explanation() -> None:
    (found,) = suspicion([*STEADY, *[0.0] * 6, 2.0, 0.0])
    n = len(STEADY)
    # 20/7 units a day: 3 days cost 8.6 units. Days without a sale had a share of 1/30 (one more than none).
    assert found == [n + 2, n + 3, n + 4, n + 5]


def test_a_slow_item_is_not_suspected_for_a_slow_week() -> None:
    (found,) = suspicion([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0] * 5 + [0.0] * 14)
    assert found == []


def test_an_item_that_sells_in_bursts_is_not_suspected_between_them() -> None:
    (found,) = suspicion([60.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] * 6 + [0.0] * 8)
    assert found == []


def test_days_that_were_not_observed_are_no_evidence() -> None:
    (found,) = suspicion([*STEADY, *[np.nan] * 20])
    assert found == []
    n = len(STEADY)
    (found,) = suspicion([*STEADY, 0.0, np.nan, 0.0, np.nan, 0.0])
    assert found == [n + 4]


def test_a_day_on_which_the_whole_store_sold_nothing_says_nothing_of_an_item() -> None:
    demand = np.array([[*STEADY, *[0.0] * 6], [*STEADY, *[0.0] * 6]], dtype=np.float32)
    seen = np.ones_like(demand, dtype=bool)
    assert not suspected(demand, seen, np.zeros(2, dtype=np.intp), Grain.DAY).any()
    # One store alone is silent; the other's items are not compared with it.
    assert not suspected(demand, seen, np.arange(2), Grain.DAY).any()


def test_an_item_that_never_sells_again_has_ended() -> None:
    (found,) = suspicion([*STEADY, *[0.0] * 100])
    assert found == list(range(len(STEADY) + 2, len(STEADY) - 1 + WINDOW[Grain.DAY] + 1))


def test_a_new_item_has_no_rate_yet() -> None:
    (found,) = suspicion([9.0] * 10 + [0.0] * 10)
    assert found == []


def test_weeks_are_judged_by_weeks() -> None:
    (found,) = suspicion([4.0, 5.0, 6.0, 5.0] * 5 + [0.0] * 5, grain=Grain.WEEK)
    assert found == [22, 23, 24]


def naive(row: Floats, seen: NDArray[np.bool_], window: int, fewest: int) -> list[int]:
    found = []
    for t in range(len(row)):
        sales = [k for k in range(t + 1) if seen[k] and row[k] > 0]
        if not sales or not seen[t]:
            continue
        last = sales[-1]
        before = [float(row[k]) for k in range(max(last + 1 - window, 0), last + 1) if seen[k]]
        run = sum(1 for k in range(last + 1, t + 1) if seen[k])
        share = (sum(q == 0 for q in before) + 1) / (len(before) + 2)
        rate = sum(before) / len(before)
        if (
            len(before) >= fewest
            and t - last <= window
            and run * rate >= EXPECTED
            and run * math.log(share) <= math.log(CHANCE)
        ):
            found.append(t)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(Grain)))
def test_the_kernel_is_a_plain_loop(seed: int, grain: Grain) -> None:
    rng = np.random.default_rng(seed)
    rate = rng.choice([0.3, 1, 3, 8], 5)[:, None]
    demand = rng.poisson(rate, (5, 110)).astype(np.float32)
    for row in demand:
        lo = rng.integers(20, 100)
        row[lo : lo + rng.integers(2, 30)] = 0
    seen = rng.random(demand.shape) > 0.1
    neighbour = np.full((1, 110), 7, np.float32)
    both, both_seen = np.vstack([demand, neighbour]), np.vstack([seen, np.ones((1, 110), bool)])
    found = suspected(both, both_seen, np.zeros(6, dtype=np.intp), grain)
    fewest = 14 if grain is Grain.DAY else 8
    for row in range(5):
        assert np.flatnonzero(found[row]).tolist() == naive(demand[row], seen[row], WINDOW[grain], fewest)


def test_the_future_does_not_change_what_was_suspected_and_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(8)
    demand = rng.poisson(3, (40, 120)).astype(np.float32)
    demand[::2, 60:80] = 0
    seen, store_of = np.ones_like(demand, dtype=bool), np.repeat(np.arange(4), 10)
    whole = suspected(demand, seen, store_of, Grain.DAY)
    assert whole.any()
    for end in (62, 70, 90):
        np.testing.assert_array_equal(suspected(demand[:, :end], seen[:, :end], store_of, Grain.DAY), whole[:, :end])
    monkeypatch.setattr(stockouts, "_BLOCK_CELLS", 7 * 120)
    np.testing.assert_array_equal(suspected(demand, seen, store_of, Grain.DAY), whole)


@pytest.mark.parametrize(
    ("counts", "sold", "out"),
    [
        ([0.0], True, True),  # one count, empty: the evening of a day
        ([3.0], False, False),
        ([0.0, 4.0, 4.0], True, False),  # one empty evening of a week in which sales went on
        ([0.0, 4.0, 4.0], False, True),  # nothing was sold at all
        ([0.0, -1.0, 4.0, 4.0], True, True),  # half of them
        ([0.0, np.nan, np.nan], True, True),  # what was not counted says nothing
        ([np.nan], False, False),
        ([], False, False),
    ],
)
def test_a_period_is_sold_out_if_most_counts_are_empty_or_nothing_was_sold(
    counts: list[float], sold: bool, out: bool
) -> None:
    n = len(counts)
    sales = np.zeros((2, 3), dtype=bool)
    sales[1, 2] = sold
    row, period = sold_out(np.ones(n, np.intp), np.full(n, 2), np.array(counts, dtype=np.float64), sales)
    assert list(zip(row.tolist(), period.tolist(), strict=True)) == ([(1, 2)] if out else [])
