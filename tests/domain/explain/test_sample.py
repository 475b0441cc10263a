"""Which rows are explained."""

import numpy as np

from shelfops_pipeline.explain.sample import KINDS, representatives, stratified_sample

RNG = np.random.default_rng(3)
PREDICTED = np.exp(RNG.normal(1, 1.2, 20_000))
PROMO = (RNG.random(20_000) < 0.02).astype(float)
ACTUAL = RNG.poisson(PREDICTED).astype(float)
HISTORY = RNG.integers(5, 700, 20_000)


def test_every_volume_decile_and_promotion_gets_its_share() -> None:
    rows = stratified_sample(PREDICTED, PROMO, 1000)
    assert len(np.unique(rows)) == 1000
    deciles = np.searchsorted(np.quantile(PREDICTED, np.arange(1, 10) / 10), PREDICTED[rows])
    assert np.abs(np.bincount(deciles) - 100).max() <= 2
    for seed in range(10):  # without strata the count would be off by 4 in every third sample
        drawn = PROMO[stratified_sample(PREDICTED, PROMO, 1000, seed)].sum()
        assert abs(drawn - 1000 * PROMO.mean()) <= 3


def test_the_sample_estimates_means_without_bias() -> None:
    means = [PREDICTED[stratified_sample(PREDICTED, PROMO, 500, seed)].mean() for seed in range(20)]
    assert abs(np.mean(means) / PREDICTED.mean() - 1) < 0.03


def test_the_sample_is_repeatable_and_takes_all_of_few_rows() -> None:
    again = stratified_sample(PREDICTED, None, 300, seed=5)
    np.testing.assert_array_equal(again, stratified_sample(PREDICTED, None, 300, seed=5))
    assert not np.array_equal(again, stratified_sample(PREDICTED, None, 300, seed=6))
    np.testing.assert_array_equal(stratified_sample(PREDICTED[:10], None), np.arange(10))


def test_representatives_are_what_they_are_called() -> None:
    chosen = representatives(PREDICTED, ACTUAL, PROMO, HISTORY)
    assert tuple(chosen) == KINDS
    assert len(set(chosen.values())) == 5
    assert chosen["high_volume"] == PREDICTED.argmax()
    assert chosen["low_volume"] == PREDICTED.argmin()
    assert PROMO[chosen["promotion"]] == 1
    assert HISTORY[chosen["cold_start"]] == HISTORY.min()
    assert abs(ACTUAL - PREDICTED)[chosen["worst_error"]] >= np.sort(abs(ACTUAL - PREDICTED))[-2]


def test_kinds_without_a_row_get_a_stand_in() -> None:
    unknown = np.full(100, np.nan)
    chosen = representatives(PREDICTED[:100], unknown, unknown, HISTORY[:100])
    assert list(chosen) == ["high_volume", "low_volume", "cold_start", "median_volume", "upper_quartile_volume"]
    assert len(set(chosen.values())) == 5


def test_fewer_rows_give_fewer_representatives() -> None:
    assert len(representatives(PREDICTED[:2], ACTUAL[:2], None, HISTORY[:2])) == 2
    assert representatives(PREDICTED[:0], ACTUAL[:0], None, HISTORY[:0]) == {}


def test_a_low_volume_example_sells_something() -> None:
    predicted = np.array([0.0, 0.2, 5.0, 9.0, 3.0, 2.0])
    assert representatives(predicted, predicted, None, np.arange(6))["low_volume"] == 1
