"""How far members are moved towards their totals: learned from folds, and carefully."""

import numpy as np
import pytest

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.contracts.columns import OPEN
from shelfops_pipeline.models.calibrate import fit_calibration
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.trust import fit_trust
from tests.domain.support import blank_state, small_spec

H = 14
SPEC = small_spec(H)
BLOCKS = (7, 14)
SERIES, GROUPS = 60, 12


def fold(
    share: float | tuple[float, float], seed: int = 0, noise: float = 0.0, groups: bool = True, spread: float = 0.3
) -> FoldForecast:
    """Twelve totals of five series. Each member misses its total by some factor; of its shift the share `share` (of
    the xgboost member and the other) is what the truth shows, beside some noise of the total's own."""
    rng = np.random.default_rng(seed)
    of = np.arange(SERIES) % GROUPS
    state = blank_state(SPEC, SERIES, adi=1.0, cv2=0.1)
    level = rng.uniform(20, 60, (SERIES, 1)) * np.ones(H)
    state.shift[:] = rng.normal(0, spread, (GROUPS, len(MEMBERS), H))[of]
    shares = np.broadcast_to(share, len(MEMBERS))
    actual = level * np.exp(rng.normal(0, noise, (GROUPS, H)))[of]
    members = {
        name: (level * np.exp(-shares[m] * state.shift[:, m])).astype(np.float32) for m, name in enumerate(MEMBERS)
    }
    return FoldForecast(seed * H, state, members, actual.astype(np.float32), of if groups else None)


def many(share: float | tuple[float, float], n: int = 40, **more: float) -> list[FoldForecast]:
    return [fold(share, seed, **more) for seed in range(n)]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_the_share_that_the_folds_show_is_found(share: float) -> None:
    np.testing.assert_allclose(fit_trust(many(share), BLOCKS), share, atol=0.02)


def test_noise_of_the_totals_does_not_mislead() -> None:
    np.testing.assert_allclose(fit_trust(many(0.7, noise=0.3), BLOCKS), 0.7, atol=0.06)


def test_each_member_is_trusted_for_itself() -> None:
    found = fit_trust(many((0.9, 0.2)), BLOCKS)
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found, [[0.9, 0.2]] * 2, atol=0.02)


def test_each_horizon_block_is_learned_from_its_own_periods() -> None:
    folds = many(1.0)
    for f in folds:
        for m, name in enumerate(MEMBERS):
            f.members[name][:, 7:] *= np.exp(f.state.shift[:, m, 7:])  # the second week had been right
    np.testing.assert_allclose(fit_trust(folds, BLOCKS), [[1, 1], [0, 0]], atol=0.02)


@pytest.mark.parametrize(("share", "bound"), [(-1.0, 0.0), (3.0, 1.0)])
def test_a_share_is_never_below_nothing_nor_above_all_of_it(share: float, bound: float) -> None:
    np.testing.assert_array_equal(fit_trust(many(share), BLOCKS), bound)


@pytest.mark.parametrize(("share", "expected"), [(1.0, (1 + 0.25) / 1.5), (0.0, 0.25 / 1.5)])
def test_one_fold_is_shrunk_a_third_of_the_way_to_one_half(share: float, expected: float) -> None:
    np.testing.assert_allclose(fit_trust([fold(share)], BLOCKS), expected, atol=0.01)


def test_more_folds_are_shrunk_less() -> None:
    off = [float(abs(fit_trust(many(1.0, n), BLOCKS) - 1).max()) for n in (1, 2, 4, 16)]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 0.1 * off[0] + 0.01


def test_without_totals_nothing_is_moved() -> None:
    none = fit_trust([fold(1.0, seed, groups=False) for seed in range(5)], BLOCKS)
    np.testing.assert_array_equal(none, np.zeros((2, 2)))


def test_folds_with_totals_count_beside_folds_without() -> None:
    mixed = [fold(1.0, 99, groups=False), *many(0.6)]
    np.testing.assert_array_equal(fit_trust(mixed, BLOCKS), fit_trust(many(0.6), BLOCKS))


def test_totals_that_agree_with_the_members_move_nothing() -> None:
    np.testing.assert_array_equal(fit_trust(many(1.0, spread=0.0), BLOCKS), np.zeros((2, 2)))


def test_periods_that_were_closed_or_not_observed_say_nothing() -> None:
    clean, spoiled = many(0.4, 5), many(0.4, 5)
    for f in spoiled:
        f.actual[:, 3] = np.nan
        f.state.channel(OPEN)[:, -H + 5] = 0
        f.actual[:, 5] = 1e6
    for f in clean:
        f.actual[:, [3, 5]] = np.nan
    np.testing.assert_array_equal(fit_trust(spoiled, BLOCKS), fit_trust(clean, BLOCKS))


def test_half_of_the_series_are_judged_by_their_own_sums() -> None:
    """Cross-fitting leaves series out; what is left of a total is compared with what is left of its sales."""
    halves = [f.take(np.arange(0, SERIES // 2)) for f in many(0.7)]
    np.testing.assert_allclose(fit_trust(halves, BLOCKS), 0.7, atol=0.03)
    gone = [f.take(np.flatnonzero(np.asarray(f.groups) > 6)) for f in many(0.7)]
    np.testing.assert_allclose(fit_trust(gone, BLOCKS), 0.7, atol=0.03)


@pytest.mark.parametrize("transform", ["log", "count"])
def test_a_calibration_weighs_and_corrects_what_was_moved(transform: str) -> None:
    """Members whose whole error is their totals': moved, they are right, and nothing is left for bias and weights."""
    folds = many(1.0, 12)
    fitted = fit_calibration(folds, transform, False, BLOCKS)  # type: ignore[arg-type]
    np.testing.assert_allclose(fitted.trust, 1, atol=0.03)
    fresh = fold(1.0, 77)
    moved = fitted.reconciled(fresh.members, fresh.state.shift)
    classes = np.zeros(SERIES, np.intp)
    right = np.abs(fitted.mean(fitted.blend(moved, classes), classes) - fresh.actual).mean()
    wrong = np.abs(fitted.mean(fitted.blend(fresh.members, classes), classes) - fresh.actual).mean()
    assert right < 0.1 * wrong
