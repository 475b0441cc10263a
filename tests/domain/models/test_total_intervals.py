"""Intervals of totals: sums as a naive loop makes them, and coverage where the truth is known."""

import json

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import TotalLevel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.models.total_intervals import SummedForecast, TotalIntervals, fit_total_intervals

BLOCKS, H = (7, 14), 14
ALL, STORE = TotalLevel.ALL, TotalLevel.STORE
STORES = np.repeat(np.arange(5), 40)
NORMAL = np.array([-1.645, -0.674, 0, 0.674, 1.645])


def fold(rng: np.random.Generator, shock: float = 0.06) -> dict[TotalLevel, SummedForecast]:
    """200 series in five stores, each with noise of its own; in every period a store errs by a common factor."""
    mean = np.repeat(rng.lognormal(2, 0.7, (200, 1)), H, axis=1)
    sd = 0.5 * mean
    quantiles = np.maximum(mean[..., None] + sd[..., None] * NORMAL, 0)
    factor = 1 + shock * rng.normal(size=(5, H))[STORES]
    actual = mean * factor + sd * rng.normal(size=mean.shape)
    groups = {ALL: np.zeros(200, dtype=np.intp), STORE: STORES}
    return {level: SummedForecast.of(mean, quantiles, codes, actual) for level, codes in groups.items()}


def fitted(folds: list[dict[TotalLevel, SummedForecast]]) -> TotalIntervals:
    return fit_total_intervals({level: [f[level] for f in folds] for level in (ALL, STORE)}, BLOCKS)


def test_totals_are_those_of_a_naive_loop_over_what_was_observed() -> None:
    rng = np.random.default_rng(1)
    mean, quantiles = rng.random((9, 3)), np.sort(rng.random((9, 3, 5)), axis=-1)
    actual = np.where(rng.random((9, 3)) < 0.7, rng.random((9, 3)), np.nan)
    actual[:4, 1] = np.nan  # nothing of group 0 was seen
    groups = np.array([0, 0, 0, 0, 2, 1, 1, 2, 2])
    totals = SummedForecast.of(mean, quantiles, groups, actual)
    for g in range(3):
        for h in range(3):
            rows = [s for s in range(9) if groups[s] == g and np.isfinite(actual[s, h])]
            assert totals.mean[g, h] == pytest.approx(sum(mean[s, h] for s in rows), abs=1e-6)
            sds = [(quantiles[s, h, 4] - quantiles[s, h, 0]) / 3.2897 for s in rows]
            assert totals.variance[g, h] == pytest.approx(sum(sd**2 for sd in sds), abs=1e-6)
            happened = sum(actual[s, h] for s in rows) if rows else np.nan
            assert totals.actual[g, h] == pytest.approx(happened, abs=1e-6, nan_ok=True)
    served = SummedForecast.of(mean, quantiles, groups)
    assert served.mean[1] == pytest.approx(mean[5] + mean[6], rel=1e-6)
    assert np.isnan(served.actual).all()


def test_nine_of_ten_totals_lie_in_their_90_percent_interval_where_errors_are_partly_common() -> None:
    rng = np.random.default_rng(2)
    covered: dict[TotalLevel, list[float]] = {ALL: [], STORE: []}
    for _ in range(40):
        intervals, later = fitted([fold(rng) for _ in range(4)]), fold(rng)
        for level, shares in covered.items():
            bounds, actual = intervals.quantiles(level, later[level]), later[level].actual
            shares.append(float(((actual >= bounds[..., 0]) & (actual <= bounds[..., -1])).mean()))
    assert 0.88 < np.mean(covered[STORE]) < 0.93
    assert 0.87 < np.mean(covered[ALL]) < 0.96  # one total a period: widened by what stores say


def test_an_interval_is_wider_than_if_errors_cancelled_and_narrower_than_if_none_did() -> None:
    rng = np.random.default_rng(3)
    intervals, totals = fitted([fold(rng, 0.15) for _ in range(4)]), fold(rng)[STORE]
    width = np.ptp(intervals.quantiles(STORE, totals)[..., [0, 4]], axis=-1)
    independent = 3.29 * np.sqrt(totals.variance)
    none_cancels = 3.29 * 0.5 * totals.mean  # every series at its own quantile
    assert (width > 1.3 * independent).all()
    assert (width < 0.5 * none_cancels).all()


def test_the_common_error_is_found_and_is_nothing_where_there_is_none() -> None:
    rng = np.random.default_rng(4)
    assert fitted([fold(rng) for _ in range(8)]).levels[STORE].common == pytest.approx(0.06, abs=0.015)
    assert fitted([fold(rng, shock=0) for _ in range(8)]).levels[STORE].common < 0.03


def test_quantiles_rise_around_the_mean_and_stay_above_nothing() -> None:
    rng = np.random.default_rng(5)
    intervals = fitted([fold(rng) for _ in range(2)])
    totals = SummedForecast(np.array([[100.0, 0.5, 0.0]]), np.array([[25.0, 4.0, 0.0]]), np.full((1, 3), np.nan))
    bounds = intervals.quantiles(ALL, totals)
    assert (np.diff(bounds, axis=-1) >= 0).all()
    assert bounds[..., 2] == pytest.approx(totals.mean)
    assert bounds[0, 1, 0] == 0
    assert (bounds[0, 2] == 0).all()  # everything is closed


def test_intervals_survive_json() -> None:
    intervals = fitted([fold(np.random.default_rng(6))])
    again = TotalIntervals.from_json(json.loads(json.dumps(intervals.to_json())))
    assert again.blocks == BLOCKS
    for level, of in intervals.levels.items():
        assert again.levels[level].common == of.common
        np.testing.assert_array_equal(again.levels[level].widths, of.widths)


def test_folds_in_which_nothing_was_seen_are_refused() -> None:
    unseen = SummedForecast(np.ones((1, H)), np.ones((1, H)), np.full((1, H), np.nan))
    with pytest.raises(NotEnoughHistoryError, match="no total was observed"):
        fit_total_intervals({ALL: [unseen]}, BLOCKS)


def test_totals_that_never_change_and_are_never_missed_have_no_width() -> None:
    certain = SummedForecast(np.full((1, H), 8.0), np.zeros((1, H)), np.full((1, H), 8.0))
    intervals = fit_total_intervals({ALL: [certain]}, BLOCKS)
    assert (intervals.quantiles(ALL, certain) == 8).all()
