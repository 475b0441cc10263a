"""The gate's rules, each with a case on either side of its margin."""

from dataclasses import replace

import pytest

from shelfops_pipeline.contracts.decision import Figure, Verdict
from shelfops_pipeline.lifecycle.comparison import Comparison, Measure
from shelfops_pipeline.lifecycle.vetoes import MARGINS, judge

NAN = float("nan")
PASSED, FAILED, WARNING, NOT_JUDGED = Verdict


def mae(ratio: float, low: float = NAN, high: float = NAN) -> Measure:
    return Measure(ratio, 1.0, NAN, ratio, low, high, 1_000)


def off(candidate: float, rival: float, at: float = 0.0, low: float = 0.001) -> Measure:
    """Bias (at 0) or coverage (at 0.9); `low` is where the interval of the change begins."""
    mine, other = abs(candidate - at), abs(rival - at)
    return Measure(candidate, rival, mine, mine - other, low if rival == rival else NAN, NAN, 1_000)


GOOD = Comparison(mae(0.5, 0.4, 0.6), off(0.0, 0.0), off(0.9, 0.9, 0.9), {}, demand=100.0, blocks=8)


def verdicts(found: Comparison, champion: bool = True) -> dict[str, Verdict]:
    return {f.metric if f.by == "all" else f"{f.by} {f.group}": f.verdict for f in judge(found, champion)}


@pytest.mark.parametrize(
    ("ratio", "over_champion", "over_baseline"),
    [
        (0.949, PASSED, PASSED),
        (0.95, FAILED, PASSED),
        (0.999, FAILED, PASSED),
        (1.0, FAILED, FAILED),
        (NAN, FAILED, FAILED),
    ],
)
def test_the_mae_must_be_below_the_rivals(ratio: float, over_champion: Verdict, over_baseline: Verdict) -> None:
    found = replace(GOOD, mae=mae(ratio))
    assert verdicts(found, champion=True)["mae"] is over_champion
    assert verdicts(found, champion=False)["mae"] is over_baseline


@pytest.mark.parametrize(
    ("candidate", "rival", "verdict"),
    [
        (0.051, 0.03, FAILED),
        (-0.051, 0.03, FAILED),  # too low is as bad as too high
        (0.049, 0.0, PASSED),  # small enough, although worse
        (0.10, 0.081, PASSED),  # large, but hardly worse
        (0.10, -0.081, PASSED),
        (0.10, 0.079, FAILED),
        (0.10, 0.20, PASSED),
        (0.10, NAN, FAILED),  # a rival without a number is no excuse
        (NAN, 0.0, FAILED),
    ],
)
def test_a_mean_that_is_off_and_worse_than_before_is_vetoed(candidate: float, rival: float, verdict: Verdict) -> None:
    assert verdicts(replace(GOOD, bias=off(candidate, rival)))["bias"] is verdict


@pytest.mark.parametrize(
    ("candidate", "rival", "verdict"),
    [
        (0.84, 0.87, FAILED),
        (0.96, 0.92, FAILED),
        (0.86, 0.90, PASSED),  # within the tolerance
        (0.80, 0.81, PASSED),  # far off, but so was the rival
        (0.80, 0.99, PASSED),  # 10 points off after 9
        (0.75, 0.99, FAILED),
        (NAN, 0.9, FAILED),
    ],
)
def test_an_interval_that_holds_too_little_or_too_much_is_vetoed(
    candidate: float, rival: float, verdict: Verdict
) -> None:
    assert verdicts(replace(GOOD, coverage=off(candidate, rival, 0.9)))["coverage_90"] is verdict


def test_a_change_that_may_be_chance_is_no_veto() -> None:
    for low, verdict in ((-0.01, PASSED), (0.0, PASSED), (0.001, FAILED)):
        assert verdicts(replace(GOOD, bias=off(0.12, 0.05, low=low)))["bias"] is verdict
        assert verdicts(replace(GOOD, coverage=off(0.8, 0.9, 0.9, low)))["coverage_90"] is verdict


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [
        (mae(1.11, 1.01, 1.2), FAILED),
        (mae(1.11, 0.99, 1.2), PASSED),  # may be chance
        (mae(1.09, 1.05, 1.2), PASSED),  # sure, but little
        (mae(0.9, 0.8, 1.0), PASSED),
        (mae(NAN), NOT_JUDGED),  # the rival errs nowhere
    ],
)
@pytest.mark.parametrize("by", ["store", "category"])
def test_a_large_group_that_gets_surely_and_much_worse_is_vetoed(measure: Measure, verdict: Verdict, by: str) -> None:
    assert verdicts(replace(GOOD, groups={by: {"x": measure}}))[f"{by} x"] is verdict


def test_few_blocks_condemn_no_group() -> None:
    worse = {"store": {"x": mae(2.0, 1.9, 2.1)}}
    for blocks, verdict in ((MARGINS.blocks - 1, NOT_JUDGED), (MARGINS.blocks, FAILED)):
        assert verdicts(replace(GOOD, groups=worse, blocks=blocks))["store x"] is verdict


def test_without_a_champion_the_same_figures_only_warn() -> None:
    bad = replace(GOOD, bias=off(0.3, 0.0), coverage=off(0.5, 0.9, 0.9), groups={"store": {"x": mae(2.0, 1.9, 2.1)}})
    assert set(verdicts(bad, champion=True).values()) == {PASSED, FAILED}
    assert verdicts(bad, champion=False) == {
        "mae": PASSED,
        "bias": WARNING,
        "coverage_90": WARNING,
        "store x": WARNING,
    }


def test_an_interval_is_judged_on_its_own_where_the_rival_has_none() -> None:
    for covered, verdict in ((0.8, WARNING), (0.88, PASSED)):
        found = replace(GOOD, coverage=off(covered, NAN, 0.9))
        assert verdicts(found, champion=False)["coverage_90"] is verdict


def test_what_is_not_a_number_is_refused_without_a_champion_too() -> None:
    for part in ("bias", "coverage"):
        found = judge(replace(GOOD, **{part: off(NAN, 0.0)}), champion=False)
        assert [f.why for f in found if f.verdict is FAILED] == ["no number"]


def test_what_cannot_be_known_is_not_judged() -> None:
    no_demand = judge(replace(GOOD, bias=off(NAN, NAN), demand=0.0), champion=True)
    assert (no_demand[1].verdict, no_demand[1].why) == (NOT_JUDGED, "actuals sum to 0")
    nothing = replace(off(NAN, NAN), rows=0)
    assert judge(replace(GOOD, coverage=nothing), champion=True)[2].verdict is NOT_JUDGED


def test_figures_carry_their_numbers_and_limits_and_no_nan() -> None:
    figures = judge(GOOD, champion=True)
    assert figures[0] == Figure(
        metric="mae",
        candidate=0.5,
        rival=1.0,
        change=0.5,
        low=0.4,
        high=0.6,
        rows=1_000,
        limit="below 0.95 x the rival's",
        verdict=PASSED,
    )
    assert figures[1].high is None
    assert figures[1].limit == "within 5% of demand, or not surely 2 points worse"
    assert figures[2].limit == "off by 5 points at most, or not surely by 2 more"
