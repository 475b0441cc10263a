"""What the gate measures, beside the metrics' own definitions and naive loops."""

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.evaluation import metrics
from shelfops_pipeline.evaluation.groups import SeriesDimension
from shelfops_pipeline.lifecycle.comparison import Comparison, GroupSize, Side, compare_sides
from tests.domain.lifecycle.gate_support import Floats, H, forecast

S = 6
EVERY = GroupSize(share=0.0, rows=1)


def noise(seed: int, scale: float = 2, whole: bool = False) -> list[Floats]:
    values = np.random.default_rng(seed).normal(0, scale, (3, S, H))
    return [a.astype(np.float32) for a in (np.round(values) if whole else values)]


@pytest.fixture
def actual() -> list[Floats]:
    """Three folds; some rows were not observed."""
    y = np.random.default_rng(0).poisson(20, (3, S, H)).astype(np.float32)
    y[:, 0, 3] = y[1, 2, :] = y[2, :, 10:] = np.nan
    return list(y)


def side(actual: list[Floats], errors: list[Floats], shift: float = 0, half_width: float = 5) -> Side:
    made = [forecast(np.nan_to_num(y, nan=7) + e, None, half_width) for y, e in zip(actual, errors, strict=True)]
    return Side.of([forecast(f.points[Metric.MAE], f.mean + shift, half_width) for f in made])


def compared(
    actual: list[Floats], ours: Side, theirs: Side, size: GroupSize = EVERY, **labels: list[int]
) -> Comparison:
    """`labels` give the group of each series, by dimension."""
    dimensions = [
        SeriesDimension(name, tuple(f"{name}{g}" for g in range(max(codes) + 1)), (np.array(codes),) * 3)
        for name, codes in labels.items()
    ]
    return compare_sides(actual, ours, theirs, dimensions, size)


def test_figures_are_those_of_the_metrics(actual: list[Floats]) -> None:
    ours, theirs = side(actual, noise(1), 1.5, half_width=3), side(actual, noise(2), -0.5, half_width=2)
    found = compared(actual, ours, theirs)
    y = np.concatenate(actual)
    for measure, metric, arrays in (
        (found.mae, metrics.mae, ("median",)),
        (found.bias, metrics.bias, ("mean",)),
        (found.coverage, metrics.coverage, ("low", "high")),
    ):
        own, other = (metric(y, *(np.concatenate(getattr(s, a)) for a in arrays)) for s in (ours, theirs))  # type: ignore[operator]
        assert (measure.candidate, measure.rival) == (pytest.approx(own.value), pytest.approx(other.value))
        assert measure.rows == own.n
    assert found.mae.change == pytest.approx(found.mae.candidate / found.mae.rival)
    assert found.bias.change == pytest.approx(abs(found.bias.candidate) - abs(found.bias.rival))
    assert found.blocks == 6


def test_the_interval_is_that_of_a_naive_bootstrap(actual: list[Floats]) -> None:
    ours, theirs = side(actual, noise(1)), side(actual, noise(2))
    found = compared(actual, ours, theirs)
    sums = []
    for y, a, b in zip(actual, ours.median, theirs.median, strict=True):
        for start in (0, 7):
            block = np.s_[:, start : start + 7]
            sums.append([np.nansum(np.abs(y[block] - f[block])) for f in (a, b)])
    rng = np.random.default_rng(5)
    ratios = []
    for _ in range(4_000):
        drawn = [sums[k] for k in rng.integers(0, len(sums), len(sums))]
        ratios.append(sum(a for a, _ in drawn) / sum(b for _, b in drawn))
    low, high = np.quantile(ratios, [0.05, 0.95])
    assert (found.mae.low, found.mae.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert found.mae.low < found.mae.change < found.mae.high
    again = compared(actual, ours, theirs)
    assert (again.mae.low, again.mae.high) == (found.mae.low, found.mae.high)  # drawn from a fixed seed


def test_groups_are_their_own_rows(actual: list[Floats]) -> None:
    ours, theirs = side(actual, noise(1)), side(actual, noise(2))
    found = compared(actual, ours, theirs, store=[0, 1, 2, 0, 1, 2], category=[0, 0, 0, 0, 1, 1])
    assert {by: set(groups) for by, groups in found.groups.items()} == {
        "store": {"store0", "store1", "store2"},
        "category": {"category0", "category1"},
    }
    rows = [1, 4]
    y = np.concatenate([a[rows] for a in actual])
    mine, other = (metrics.mae(y, np.concatenate([f[rows] for f in s.median])) for s in (ours, theirs))
    got = found.groups["store"]["store1"]
    assert (got.candidate, got.rival, got.rows) == (pytest.approx(mine.value), pytest.approx(other.value), mine.n)
    assert got.share == pytest.approx(np.nansum(y) / np.nansum(np.concatenate(actual)))
    assert sum(m.share for m in found.groups["store"].values()) == pytest.approx(1)


def test_intervals_of_many_groups_are_wider_because_they_must_hold_together(actual: list[Floats]) -> None:
    ours, theirs = side(actual, noise(1)), side(actual, noise(2))
    few = compared(actual, ours, theirs, store=[0, 0, 0, 1, 1, 1]).groups["store"]["store1"]
    many = compared(actual, ours, theirs, store=[0, 0, 0, 1, 1, 1], category=[0, 1, 2, 3, 4, 5])
    same = many.groups["store"]["store1"]
    assert same.change == few.change
    assert same.low < few.low < few.change < few.high < same.high


def test_small_groups_are_left_out_and_the_largest_comes_first(actual: list[Floats]) -> None:
    for y in actual:
        y[5] *= 20
        y[0] *= 0.01
    same = side(actual, noise(1))
    found = compared(actual, same, same, GroupSize(share=0.03, rows=30), store=[0, 1, 2, 3, 4, 5])
    (names,) = (list(groups) for groups in found.groups.values())
    assert names[0] == "store5"
    assert "store0" not in names  # sells too little
    assert "store2" not in compared(actual, same, same, GroupSize(0.0, 26), store=[0, 1, 2, 3, 4, 5]).groups["store"]


def test_one_group_is_all_rows_and_says_nothing_more(actual: list[Floats]) -> None:
    same = side(actual, noise(1))
    assert compared(actual, same, same, store=[0] * S).groups == {}


def test_whole_units_on_a_bound_are_no_fault_of_the_interval() -> None:
    """Half of all demand lies on the bounds of a calibrated interval: 80 % within, all with them."""
    y = [np.tile(np.array([8, 10, 10, 10, 12, 10, 10], np.float32), (S, 2))] * 3
    same = side(y, [np.where(a == 10, 0, 10 - a) for a in y], half_width=2)
    assert compared(y, same, same).coverage.off == 0
    strict = side(y, [np.where(a == 10, 0, 10 - a) for a in y], half_width=1.5)
    found = compared(y, strict, same).coverage
    assert (found.candidate, found.rival) == (pytest.approx(5 / 7), 1)
    assert found.off == pytest.approx(0.9 - 5 / 7)
    wide = side(y, [np.where(a == 10, 0, 10 - a) for a in y], half_width=9)
    assert compared(y, wide, same).coverage.off == pytest.approx(0.1)  # wider than it says


def test_a_baseline_has_no_interval(actual: list[Floats]) -> None:
    plain = [np.nan_to_num(y) for y in actual]
    found = compared(actual, side(actual, noise(1)), Side(plain, plain)).coverage
    assert np.isnan(found.rival)
    assert np.isnan(found.change)
    assert found.off >= 0


@pytest.mark.parametrize("part", ["median", "mean", "low"])
def test_a_forecast_that_is_no_number_makes_its_metric_none(actual: list[Floats], part: str) -> None:
    ours = side(actual, noise(1))
    getattr(ours, part)[1][1, 1] = np.nan
    found = compared(actual, ours, side(actual, noise(2)))
    undefined = {n for n in ("mae", "bias", "coverage") if np.isnan(getattr(found, n).candidate)}
    assert undefined == {{"median": "mae", "mean": "bias", "low": "coverage"}[part]}


def test_rows_without_an_actual_do_not_count_whatever_was_forecast(actual: list[Floats]) -> None:
    ours, theirs = side(actual, noise(1)), side(actual, noise(2))
    before = compared(actual, ours, theirs)
    for values in (*ours.median, *ours.mean, *(ours.low or ())):
        values[0, 3] = np.nan
    assert repr(compared(actual, ours, theirs)) == repr(before)  # NaN is not equal to itself


def test_without_a_scored_row_nothing_is_defined() -> None:
    y = [np.full((S, H), np.nan, np.float32)] * 2
    same = side(y, noise(1)[:2])
    found = compared(y, same, same)
    assert found.mae.rows == 0
    assert np.isnan([found.mae.change, found.mae.low, found.bias.candidate, found.coverage.candidate]).all()
