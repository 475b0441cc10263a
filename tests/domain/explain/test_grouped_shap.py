"""SHAP values by group for many rows: XGBoost's own, summed."""

from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.explain import grouped_shap as module
from shelfops_pipeline.explain.grouped_shap import grouped_shap
from shelfops_pipeline.explain.shap_values import explain
from shelfops_pipeline.models.bundle import Trained


def groups_of(n_features: int, n: int = 5) -> Any:
    return np.arange(n_features) % n


def test_groups_are_the_sums_of_native_values(case: Any) -> None:
    rows, groups = case.X[:300], groups_of(len(case.names))
    values, base = grouped_shap(case.booster, rows, groups, 5)
    native = explain(case.booster, rows, case.names)
    expected = np.stack([native.values[:, groups == g].sum(axis=1) for g in range(5)], axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(base, native.base, rtol=1e-6)


def test_each_feature_alone_is_the_native_value(case: Any) -> None:
    rows = case.X[:100]
    values, _ = grouped_shap(case.booster, rows, np.arange(len(case.names)), len(case.names))
    np.testing.assert_allclose(values, explain(case.booster, rows, case.names).values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["trained_log", "trained_count"])
def test_fitted_boosters_are_explained_to_the_last_digit(name: str, request: pytest.FixtureRequest) -> None:
    trained: Trained = request.getfixturevalue(name)
    booster: Any = trained.members.backend.booster  # type: ignore[attr-defined]
    n = booster.num_features()
    rng = np.random.default_rng(2)
    rows = rng.normal(1, 2, (50, n)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    values, base = grouped_shap(booster, rows, np.arange(n), n)
    native = explain(booster, rows, [f"f{i}" for i in range(n)])
    assert np.abs(values - native.values).max() < 1e-4
    assert np.abs(base + values.sum(axis=1) - native.margin).max() < 1e-4


def test_deep_trees_and_several_per_round_are_exact(case: Any) -> None:
    import xgboost

    settings = {"max_depth": 9, "num_parallel_tree": 3, "subsample": 0.7, "min_child_weight": 1, "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(case.X, case.y), 5)
    values, _ = grouped_shap(booster, case.X[:200], groups_of(len(case.names)), 5)
    native = explain(booster, case.X[:200], case.names)
    assert np.abs(values.sum(axis=1) - native.values.sum(axis=1)).max() < 1e-3 * np.abs(native.margin).max()


def test_chunks_of_rows_change_nothing(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = groups_of(len(case.names))
    whole, _ = grouped_shap(case.booster, case.X[:100], groups, 5)
    monkeypatch.setattr(module, "_CHUNK", 7)
    np.testing.assert_array_equal(grouped_shap(case.booster, case.X[:100], groups, 5)[0], whole)


def test_no_rows_and_a_constant_model_are_no_special_case(case: Any) -> None:
    import xgboost

    groups = groups_of(len(case.names))
    assert grouped_shap(case.booster, case.X[:0], groups, 5)[0].shape == (0, 5)
    flat = xgboost.train({"nthread": 1}, xgboost.DMatrix(case.X[:50], np.full(50, 2.0)), 1)
    values, base = grouped_shap(flat, case.X[:3], groups, 5)
    assert (values == 0).all()
    assert base == pytest.approx(2.0)


def test_values_that_are_not_xgboosts_are_refused(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = module._trees
    monkeypatch.setattr(module, "_trees", lambda booster: list(trees(booster))[1:])
    with pytest.raises(ValueError, match="miss XGBoost's own"):
        grouped_shap(case.booster, case.X[:20], groups_of(len(case.names)), 5)


def test_a_booster_of_another_kind_is_refused(case: Any) -> None:
    import xgboost

    dart = xgboost.train({"booster": "dart", "nthread": 1}, xgboost.DMatrix(case.X[:50], case.y[:50]), 2)
    with pytest.raises(ValueError, match="dart"):
        grouped_shap(dart, case.X[:5], groups_of(len(case.names)), 5)
