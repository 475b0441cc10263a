"""SHAP values: additive, the same as the reference implementation, and exact in units."""

from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.explain.shap_values import Explanation, explain, to_units


def test_contributions_add_up_to_the_margin(case: Any) -> None:
    import xgboost

    found = explain(case.booster, case.X, case.names)
    margin = case.booster.predict(xgboost.DMatrix(case.X), output_margin=True)
    np.testing.assert_allclose(found.margin, margin, rtol=1e-4, atol=1e-4)
    assert found.values.shape == case.X.shape


# Importing shap 0.51 sets its colour maps with a function that matplotlib 3.11 will drop.
@pytest.mark.filterwarnings("ignore:The set_(bad|over|under) function will be deprecated:PendingDeprecationWarning")
def test_contributions_match_the_shap_package(case: Any) -> None:
    import shap

    found = explain(case.booster, case.X[:50], case.names)
    reference = shap.TreeExplainer(case.booster)(case.X[:50])
    np.testing.assert_allclose(found.values, reference.values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.base, reference.base_values, rtol=1e-4, atol=1e-4)


def test_a_single_tree_matches_shapley_values_by_enumeration() -> None:
    """Two binary features, every coalition valued by the tree's own cover (Lundberg et al. 2020, algorithm 1)."""
    import xgboost

    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 25, dtype=np.float32)
    y = 3 * X[:, 0] + 2 * X[:, 1] + 4 * X[:, 0] * X[:, 1]
    settings = {"max_depth": 2, "eta": 1.0, "lambda": 0.0, "base_score": 0.0, "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(X, y), 1)
    found = explain(booster, X[:4], ("a", "b"))
    v = {  # expected value of y given the known features of row (1, 1); covers are equal
        frozenset[int](): 3.5,
        frozenset({0}): 6.0,
        frozenset({1}): 5.5,
        frozenset({0, 1}): 9.0,
    }
    for i, j in ((0, 1), (1, 0)):
        shapley = 0.5 * (v[frozenset({i})] - v[frozenset()]) + 0.5 * (v[frozenset({0, 1})] - v[frozenset({j})])
        assert found.values[3, i] == pytest.approx(shapley, abs=1e-5)
    assert found.base[3] == pytest.approx(3.5, abs=1e-5)


def test_units_add_up_to_the_prediction(case: Any) -> None:
    found = to_units(explain(case.booster, case.X, case.names), case.transform)
    np.testing.assert_allclose(found.prediction, case.predicted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.start + found.parts.sum(axis=1), found.prediction, rtol=1e-12)


def test_units_keep_sign_and_ranking(case: Any) -> None:
    raw = explain(case.booster, case.X[:200], case.names)
    units = to_units(raw, case.transform)
    assert (np.sign(units.parts) == np.sign(raw.values)).all()
    assert (np.argsort(units.parts, axis=1, kind="stable") == np.argsort(raw.values, axis=1, kind="stable")).all()


def test_units_stay_exact_where_nothing_changes() -> None:
    values = np.array([[0.0, 0.0], [0.3, -0.3], [1e-9, 0.0]])
    still = Explanation(values, np.full(3, 1.5), np.zeros((3, 2), np.float32), ("a", "b"))
    units = to_units(still, "count")
    np.testing.assert_allclose(units.prediction, np.exp(1.5), rtol=1e-8)
    assert units.parts[1, 0] == pytest.approx(0.3 * np.exp(1.5))


def test_log_units_start_from_the_series_own_base() -> None:
    data = np.log1p(np.array([[9.0], [99.0]], np.float32))
    found = to_units(Explanation(np.array([[0.0], [0.0]]), np.zeros(2), data, ("base",)), "log")
    np.testing.assert_allclose(found.start, [9.0, 99.0], rtol=1e-6)


def test_log_units_need_the_base_column() -> None:
    without = Explanation(np.zeros((1, 1)), np.zeros(1), np.zeros((1, 1), np.float32), ("level_7",))
    with pytest.raises(ValueError, match="`base`"):
        to_units(without, "log")


def test_a_matrix_of_another_width_is_refused(case: Any) -> None:
    with pytest.raises(ValueError, match="feature names"):
        explain(case.booster, case.X[:, 1:], case.names)


def test_a_booster_with_several_outputs_is_refused(case: Any) -> None:
    import xgboost

    data = xgboost.DMatrix(case.X, case.y)
    settings = {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9], "nthread": 1}
    with pytest.raises(ValueError, match="single-output"):
        explain(xgboost.train(settings, data, 3), case.X, case.names)
