"""PSI and KS against cases done by hand and by SciPy."""

import numpy as np
import pytest
from scipy import stats

from shelfops_pipeline.monitoring.distance import bin_edges, bin_shares, ks, psi, systematic_sample


def test_psi_of_two_bins_by_hand() -> None:
    # (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5)
    expected = 0.2 * np.log(1.4) - 0.2 * np.log(0.6)
    assert psi(np.array([0.5, 0.5]), np.array([0.7, 0.3])) == pytest.approx(expected)
    assert psi(np.array([0.2, 0.8]), np.array([0.2, 0.8])) == 0


def test_an_empty_bin_makes_a_large_index_and_no_infinite_one() -> None:
    assert 1 < psi(np.array([0.5, 0.5]), np.array([1.0, 0.0])) < 10


def test_bins_are_deciles_and_unknown_values_a_bin_of_their_own() -> None:
    values = np.arange(1, 101, dtype=np.float32)
    edges = bin_edges(values)
    assert len(edges) == 9
    assert bin_shares(values, edges) == pytest.approx([0.1] * 10 + [0])
    half = np.where(values > 50, np.nan, values)
    assert bin_shares(half, edges) == pytest.approx([0.1] * 5 + [0] * 5 + [0.5])


def test_values_that_repeat_share_a_bin() -> None:
    flags = np.array([0.0] * 80 + [1.0] * 20)
    edges = bin_edges(flags)
    assert edges.tolist() == [0, 1]
    assert bin_shares(flags, edges) == pytest.approx([0.8, 0.2, 0, 0])


def test_a_feature_of_which_nothing_is_known_has_one_bin() -> None:
    nothing = np.full(5, np.nan)
    assert bin_shares(nothing, bin_edges(nothing)).tolist() == [0, 1]
    assert ks(nothing, np.ones(3)) is None


def test_ks_is_scipys_on_known_values() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=300), rng.normal(0.5, 1, 200)
    unknown = np.concatenate([second, [np.nan] * 50])
    assert ks(first, unknown) == pytest.approx(stats.ks_2samp(first, second).statistic)


def test_a_bounded_sample_stands_for_the_whole() -> None:
    values = np.random.default_rng(2).lognormal(size=50_000)
    sample = systematic_sample(values, 200)
    assert len(sample) == 200
    assert stats.ks_2samp(sample, values).statistic < 0.005
    assert systematic_sample(values[:30], 200).tolist() == sorted(values[:30])
