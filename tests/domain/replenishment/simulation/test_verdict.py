"""Figures over retailers: paired, with an interval that a hand can check."""

import json
from dataclasses import replace

import pytest

from shelfops_pipeline.replenishment.simulation.replay import (
    FIXED_QUANTITY,
    NAIVE,
    OURS,
    SEEDS,
    TRUE_RATE,
    Account,
    Trial,
    replay,
)
from shelfops_pipeline.replenishment.simulation.verdict import as_json, interval, savings, standings

BASE = Account(1, OURS, "all", 100, 95, 4, 200, 50, 3, holding=10, lost_margin=20, ordering=5, waste=5)
THEIRS = replace(BASE, policy=FIXED_QUANTITY, sales=90, lost_margin=40)


def test_there_are_at_least_ten_retailers_fixed_beforehand() -> None:
    assert len(set(SEEDS)) == len(SEEDS) >= 10


def test_savings_are_paired_by_retailer() -> None:
    accounts = [BASE, THEIRS, replace(BASE, seed=2, lost_margin=32), replace(THEIRS, seed=2)]
    (saving,) = savings(accounts)
    assert saving.rival == FIXED_QUANTITY
    first, second = 1 - 40 / 60, 1 - 52 / 60
    assert saving.cost.mean == pytest.approx((first + second) / 2)
    half = 12.706 * abs(first - second) / 2  # Student's t of one degree of freedom; deviation over the root of two
    assert saving.cost.high - saving.cost.mean == pytest.approx(half, rel=1e-3)
    assert saving.fill_rate.mean == pytest.approx(0.05)


def test_one_retailer_has_no_interval_and_its_json_no_nan() -> None:
    assert interval([0.2]).mean == 0.2
    assert interval([0.2]).low != interval([0.2]).low
    told = json.loads(json.dumps(as_json([BASE, THEIRS]), allow_nan=False))
    assert told["savings"]["all"][0]["cost"] == {"mean": pytest.approx(1 / 3), "low": None, "high": None}
    assert [s["policy"] for s in told["standings"]["all"]] == [OURS, FIXED_QUANTITY]


def test_standings_are_means_over_retailers() -> None:
    (mean,) = standings([BASE, replace(BASE, seed=2, sales=85, stockout_days=8, waste=15)])
    assert (mean.fill_rate, mean.stockout_days, mean.cost) == (pytest.approx(0.9), pytest.approx(0.03), 45)


def test_a_replay_accounts_for_every_category_and_their_sum() -> None:
    accounts = replay(3, Trial(stores=1, items=14, days=28), (NAIVE, TRUE_RATE))
    for policy in (NAIVE, TRUE_RATE):
        everything, *parts = (a for a in accounts if a.policy == policy)
        assert everything.category == "all"
        assert len(parts) == 7
        for name in ("demand", "sales", "wasted", "stockout_days", "cost"):
            assert getattr(everything, name) == pytest.approx(sum(getattr(a, name) for a in parts)), name
    assert accounts[0].demand == accounts[8].demand > 0
