"""A calibration fitted on one sample holds on a fresh one from the same distribution."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import OPEN, QUANTILES
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.inference.calibration import (
    CLASSES,
    NEW_CLASSES,
    Calibration,
    demand_class,
    published,
    whole_units,
)
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.calibrate import fit_calibration, horizon_blocks
from shelfops_pipeline.models.fold import FoldForecast, Fresh
from tests.domain.support import blank_state, small_spec

H = 14
SPEC = small_spec(H)
BLOCKS = horizon_blocks(H, 7)
Floats = NDArray[np.float32]
Draw = Callable[[np.random.Generator, Floats], Floats]


def poisson(rng: np.random.Generator, mean: Floats) -> Floats:
    return rng.poisson(mean).astype(np.float32)


_LOG_MEAN, _LOG_SD = -0.18, 0.6  # of a factor with mean 1


def lognormal(rng: np.random.Generator, mean: Floats) -> Floats:
    return (mean * rng.lognormal(_LOG_MEAN, _LOG_SD, mean.shape)).astype(np.float32)


def typical(mean: Floats) -> Floats:
    """The mean on the log1p scale of `lognormal` draws, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    factors = np.exp(_LOG_MEAN + _LOG_SD * nodes)
    return np.expm1((np.log1p(mean[..., None] * factors) * weights).sum(-1) / weights.sum())


def fold(
    rng: np.random.Generator,
    draw: Draw,
    level: float,
    *,
    origin: int = 0,
    series: int = 500,
    xgboost: float = 0.1,
    lstm: float = 0.3,
    low: float = 1.0,
) -> FoldForecast:
    """Series of very different size. Members know what they are fitted to know, the mean of counts or the mean log1p of
    volumes, but for a random error; all are too low by the factor `low`."""
    mean = rng.lognormal(level, 1.0, (series, 1)) * rng.uniform(0.6, 1.4, (series, H))
    state = blank_state(SPEC, series, adi=rng.uniform(1, 1.7, series), cv2=rng.uniform(0.2, 0.8, series))
    centre, shift = (typical(mean), 0.0) if draw is lognormal else (mean, -0.5)
    members = {
        name: (low * centre * rng.lognormal(shift * error**2, error, mean.shape)).astype(np.float32)
        for name, error in (("xgboost", xgboost), ("lstm", lstm))
    }
    return FoldForecast(origin, state, members, draw(rng, mean.astype(np.float32)))


def apply(calibration: Calibration, f: FoldForecast) -> tuple[Floats, Floats]:
    classes = demand_class(f.state)
    mean = calibration.mean(calibration.blend(f.members, classes), classes)
    return mean, published(calibration.levels(mean, classes, whole_units(f.state, calibration.integer)))


CASES = {
    "rare counts": (poisson, -0.7, "count", True),
    "counts": (poisson, 2.5, "count", True),
    "volumes": (lognormal, 3.0, "log", False),
}


@pytest.fixture(params=CASES, scope="module")
def fitted(request: pytest.FixtureRequest) -> tuple[Calibration, FoldForecast]:
    """(calibration, a fresh fold from the same distribution)."""
    draw, level, transform, integer = CASES[request.param]
    folds = [fold(np.random.default_rng(seed), draw, level) for seed in (1, 2, 3)]
    return fit_calibration(folds[:2], transform, integer, BLOCKS), folds[2]  # type: ignore[arg-type]


def hit_rates(actual: Floats, quantiles: Floats) -> list[tuple[float, float]]:
    return [(float((actual < q).mean()), float((actual <= q).mean())) for q in np.moveaxis(quantiles, 2, 0)]


def test_hit_rates_with_ties_hold_on_fresh_data(fitted: tuple[Calibration, FoldForecast]) -> None:
    calibration, fresh = fitted
    _, quantiles = apply(calibration, fresh)
    for level, (below, at_or_below) in zip(QUANTILES, hit_rates(fresh.actual, quantiles), strict=True):
        assert below - 0.02 <= level <= at_or_below + 0.02, f"q{level}: {below:.3f}, {at_or_below:.3f}"


def test_hit_rates_hold_for_small_and_for_large_series_alike(fitted: tuple[Calibration, FoldForecast]) -> None:
    calibration, fresh = fitted
    mean, quantiles = apply(calibration, fresh)
    third = np.quantile(mean, [1 / 3, 2 / 3])
    for group in range(3):
        rows = np.searchsorted(third, mean) == group
        for level, (below, at_or_below) in zip(
            QUANTILES, hit_rates(fresh.actual[rows][:, None], quantiles[rows][:, None]), strict=True
        ):
            assert below - 0.04 <= level <= at_or_below + 0.04, f"third {group}, q{level}: {below}, {at_or_below}"


def test_quantiles_are_not_trivially_wide(fitted: tuple[Calibration, FoldForecast]) -> None:
    """Exact quantiles of a discrete distribution: the smallest value that holds enough of it."""
    calibration, fresh = fitted
    _, quantiles = apply(calibration, fresh)
    for level, (below, _) in zip(QUANTILES, hit_rates(fresh.actual, quantiles), strict=True):
        assert below <= level + 0.02


def test_series_in_whole_units_and_others_of_one_retailer_each_get_quantiles_of_their_kind() -> None:
    """As where some families are sold by the piece and some by weight."""

    def mixed(seed: int) -> FoldForecast:
        rng = np.random.default_rng(seed)
        pieces, weights = fold(rng, poisson, 0.7), fold(rng, lognormal, 0.7)
        pieces.state.scalars[:, pieces.state.layout.scalars.index("whole")] = 1
        weights.state.scalars[:, weights.state.layout.scalars.index("whole")] = 0
        members = {name: np.concatenate([pieces.members[name], weights.members[name]]) for name in pieces.members}
        actual = np.concatenate([pieces.actual, weights.actual])
        return FoldForecast(0, SeriesState.join([pieces.state, weights.state]), members, actual)

    calibration, fresh = fit_calibration([mixed(1), mixed(2)], "log", False, BLOCKS), mixed(3)
    _, quantiles = apply(calibration, fresh)
    assert (quantiles[:500] == np.round(quantiles[:500])).all()
    assert (quantiles[500:] != np.round(quantiles[500:])).mean() > 0.9
    for rows in (slice(0, 500), slice(500, None)):
        for level, (below, at_or_below) in zip(QUANTILES, hit_rates(fresh.actual[rows], quantiles[rows]), strict=True):
            assert below - 0.04 <= level <= at_or_below + 0.04, f"q{level}: {below:.3f}, {at_or_below:.3f}"


def test_quantiles_of_counts_are_those_of_their_distribution_and_not_rounded_to_one_side() -> None:
    rng = np.random.default_rng(1)
    mean = rng.uniform(2, 30, (3000, H)).astype(np.float32)
    state = blank_state(SPEC, 3000, adi=1.0, cv2=0.2)
    sample = FoldForecast(0, state, {"xgboost": mean, "lstm": mean}, poisson(rng, mean))
    _, quantiles = apply(fit_calibration([sample], "count", True, BLOCKS), sample)
    exact = stats.poisson.ppf(np.array(QUANTILES), mean[..., None].astype(np.float64))
    difference = (quantiles - exact).reshape(-1, len(QUANTILES))
    np.testing.assert_allclose(difference.mean(axis=0), 0, atol=0.2)
    assert np.abs(difference).mean() < 0.3


def test_the_bias_factor_makes_sums_right_on_fresh_data(fitted: tuple[Calibration, FoldForecast]) -> None:
    calibration, fresh = fitted
    mean, _ = apply(calibration, fresh)
    assert mean.sum() == pytest.approx(fresh.actual.sum(), rel=0.03)
    if calibration.transform == "log":  # exp of a mean of logarithms is no mean
        assert fresh.members["xgboost"].sum() < 0.9 * fresh.actual.sum()


@pytest.mark.parametrize("case", CASES)
def test_a_level_error_is_corrected_only_where_it_lasts_over_many_folds(case: str) -> None:
    draw, level, transform, integer = CASES[case]
    folds = [fold(np.random.default_rng(seed), draw, level, origin=seed * H, low=0.9) for seed in range(12)]
    fresh = fold(np.random.default_rng(99), draw, level, low=0.9, series=4000)
    raw = fit_calibration([fold(np.random.default_rng(s), draw, level) for s in (1, 2)], transform, integer, BLOCKS)  # type: ignore[arg-type]
    totals = [apply(raw, fresh)[0].sum()]
    totals += [apply(fit_calibration(folds[:n], transform, integer, BLOCKS), fresh)[0].sum() for n in (1, 12)]  # type: ignore[arg-type]
    uncorrected, once, often = np.array(totals) / fresh.actual.sum()
    assert uncorrected == pytest.approx(0.9, abs=0.03)
    assert uncorrected - 0.02 < once < often - 0.03
    assert often == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("better", "weight"), [("xgboost", 1.0), ("lstm", 0.0)])
def test_the_better_model_serves_alone_where_a_blend_does_not_help(better: str, weight: float) -> None:
    # All rows fall into one cell, large enough that the prior does not decide; the other member is useless.
    rng = np.random.default_rng(1)
    mean = np.full((700, H), 20.0, np.float32)
    good, bad = mean, (mean * rng.lognormal(0, 2, mean.shape)).astype(np.float32)
    members = {"xgboost": good, "lstm": bad} if better == "xgboost" else {"xgboost": bad, "lstm": good}
    state = blank_state(SPEC, 700, adi=1.0, cv2=0.1)
    fitted = fit_calibration([FoldForecast(0, state, members, poisson(rng, mean))], "log", True, (H,))
    assert fitted.weights[0, CLASSES.index("smooth")] == weight


def test_the_ensemble_is_no_worse_than_either_member_on_the_rows_that_it_was_weighted_on() -> None:
    f = fold(np.random.default_rng(5), lognormal, 2.0, series=2000, xgboost=0.5, lstm=0.5)
    calibration = fit_calibration([f], "log", False, BLOCKS)
    blend = calibration.blend(f.members, demand_class(f.state))

    def loss(forecast: Floats) -> float:
        return float(((np.log1p(f.actual) - np.log1p(forecast)) ** 2).mean())

    assert loss(blend) < 0.95 * min(loss(m) for m in f.members.values())


def test_a_cell_with_few_rows_follows_what_all_rows_say() -> None:
    usual, odd = (fold(np.random.default_rng(6), poisson, 1.0, series=1000) for _ in "ab")
    for f in (usual, odd):
        f.state.scalars[:2] = np.nan  # two series of class "new"
    odd.actual[:2] *= 3
    a, b = (fit_calibration([f], "count", True, BLOCKS) for f in (usual, odd))
    new = CLASSES.index("new")
    assert (usual.actual[:2] > 0).any()
    np.testing.assert_allclose(b.weights[:, new], a.weights[:, new], atol=0.05)
    np.testing.assert_allclose(b.bias[:, new], a.bias[:, new], rtol=0.05)


_SPREAD = 0.8  # log units: how far a guess at the level of a new series lies off
_LOW = 0.75  # and how low it is on the whole


def with_fresh(f: FoldForecast, seed: int, spread: float = _SPREAD) -> FoldForecast:
    """The fold's series guessed at as if they were new, by members that are worse at it."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(f.actual)), 2)
    item = np.where(np.arange(len(rows)) % 2, np.nan, 1.0)
    state = blank_state(SPEC, len(rows), history=0.0, store_level_28=1.0, item_level_28=item)
    guess = rng.lognormal(-(spread**2) / 2, spread, (len(rows), 1))
    guesses = {k: (_LOW * v[rows] * guess).astype(np.float32) for k, v in f.members.items()}
    return replace(f, fresh=Fresh(rows, state, guesses))


@pytest.mark.parametrize("new", ["new", "new_item"])
def test_new_series_are_calibrated_on_series_forecast_as_if_they_were_new(new: str) -> None:
    plain = [fold(np.random.default_rng(s), poisson, 3.0, origin=H * s) for s in (1, 2, 3)]
    folds = [with_fresh(f, 10 + k) for k, f in enumerate(plain)]
    known, tables = (fit_calibration(some[:2], "count", True, BLOCKS) for some in (plain, folds))
    of_known = ~np.isin(CLASSES, NEW_CLASSES)
    for name in ("weights", "bias", "ratios"):
        np.testing.assert_array_equal(getattr(tables, name)[:, of_known], getattr(known, name)[:, of_known])
    later = folds[2].as_new()
    assert later is not None
    mine = later.take(np.flatnonzero(demand_class(later.state) == CLASSES.index(new)))
    assert len(mine.actual) == len(plain[2].actual)
    mean, quantiles = apply(tables, mine)
    assert mean.sum() == pytest.approx(mine.actual.sum(), rel=0.15)
    assert apply(known, mine)[0].sum() < 0.85 * mine.actual.sum()
    inside = (mine.actual >= quantiles[..., 0]) & (mine.actual <= quantiles[..., -1])
    assert 0.86 < inside.mean() < 0.94


def test_part_of_a_fold_has_the_fresh_forecasts_of_its_own_series() -> None:
    f = with_fresh(fold(np.random.default_rng(1), poisson, 3.0, series=6), 1)
    part = f.take(np.array([4, 1]))
    assert part.fresh is not None
    assert part.fresh.rows.tolist() == [1, 1, 0, 0]  # the second of the part is series 1, whose rows come first
    assert f.fresh is not None
    np.testing.assert_array_equal(part.fresh.members["lstm"], f.fresh.members["lstm"][[2, 3, 8, 9]])
    as_new = part.as_new()
    assert as_new is not None
    np.testing.assert_array_equal(as_new.actual, f.actual[[1, 1, 4, 4]])


def test_fresh_forecasts_of_series_that_were_never_observed_change_nothing() -> None:
    f = fold(np.random.default_rng(1), poisson, 3.0)
    f.actual[0] = np.nan
    fresh = with_fresh(f, 1)
    assert fresh.fresh is not None
    unobserved = replace(f, fresh=fresh.fresh.take(np.array([0]), len(f.actual)))
    a, b = (fit_calibration([fold_], "count", True, BLOCKS) for fold_ in (f, unobserved))
    np.testing.assert_array_equal(a.ratios, b.ratios)
    np.testing.assert_array_equal(a.bias, b.bias)


def test_closed_and_unobserved_rows_are_not_learned_from() -> None:
    f = fold(np.random.default_rng(8), poisson, 1.0)
    expected = fit_calibration([f], "count", True, BLOCKS)
    spoiled = fold(np.random.default_rng(8), poisson, 1.0)
    extra = fold(np.random.default_rng(9), poisson, 1.0, series=20)
    extra.actual[:10] = np.nan
    extra.actual[10:] = 1e6
    extra.state.channel(OPEN)[10:, -H:] = 0
    got = fit_calibration([spoiled, extra], "count", True, BLOCKS)
    for name in ("trust", "weights", "bias", "log_share", "ratios"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


def test_folds_in_which_nothing_was_observed_are_refused_with_a_reason() -> None:
    f = fold(np.random.default_rng(8), poisson, 1.0, series=3)
    f.actual[:] = np.nan
    with pytest.raises(NotEnoughHistoryError, match="no observed demand in the backtest folds"):
        fit_calibration([f], "count", True, BLOCKS)


def test_forecasts_that_are_all_zero_leave_the_bias_factor_alone() -> None:
    f = fold(np.random.default_rng(8), poisson, -3.0, series=50)
    for values in f.members.values():
        values[:] = 0
    calibration = fit_calibration([f], "count", True, BLOCKS)
    assert (calibration.bias == 1).all()
    assert np.isfinite(calibration.ratios).all()


@pytest.mark.parametrize("transform", ["log", "count"])
def test_folds_in_which_nothing_was_sold_are_calibrated(transform: Transform) -> None:
    f = fold(np.random.default_rng(8), lognormal, 0.0, series=50)
    f.actual[:] = 0
    calibration = fit_calibration([f], transform, False, BLOCKS)
    assert np.isfinite(calibration.bias).all()
    assert np.isfinite(calibration.ratios).all()


@pytest.mark.parametrize("transform", ["log", "count"])
def test_a_calibration_is_the_same_every_time(transform: Transform) -> None:
    a, b = (fit_calibration([fold(np.random.default_rng(3), poisson, 0.0)], transform, True, BLOCKS) for _ in "ab")
    np.testing.assert_array_equal(a.ratios, b.ratios)


@pytest.mark.parametrize(
    ("horizon", "short", "expected"),
    [(3, 7, (3,)), (7, 7, (7,)), (14, 7, (7, 14)), (28, 7, (7, 14, 28)), (42, 7, (7, 14, 28, 42)), (5, 2, (2, 4, 5))],
)
def test_horizon_blocks_end_at_one_two_and_four_short_windows(
    horizon: int, short: int, expected: tuple[int, ...]
) -> None:
    assert horizon_blocks(horizon, short) == expected
