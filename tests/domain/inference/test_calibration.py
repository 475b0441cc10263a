"""Calibration tables at work: classes, blending, levels, points; and their JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import QUANTILES, Metric
from shelfops_pipeline.inference.calibration import CLASSES, LEVELS, Calibration, demand_class, point, published
from tests.domain.support import blank_state, small_spec

LOSSES = {
    Metric.MAE: lambda y, f: np.abs(y - f),
    Metric.RMSE: lambda y, f: (y - f) ** 2,
    Metric.RMSLE: lambda y, f: (np.log1p(y) - np.log1p(f)) ** 2,
    Metric.RMSPE: lambda y, f: np.where(y > 0, ((y - f) / np.where(y > 0, y, 1)) ** 2, 0),
}
BLOCKS = (7, 14)


def calibration(transform: Transform = "log", integer: bool = True, seed: int = 0, **changes: Any) -> Calibration:
    """Random tables of a valid shape; quantile ratios rise."""
    rng = np.random.default_rng(seed)
    shape = (len(BLOCKS), len(CLASSES))
    fields: dict[str, Any] = {
        "blocks": BLOCKS,
        "transform": transform,
        "integer": integer,
        "trust": rng.random((len(BLOCKS), 2)),
        "weights": rng.random(shape),
        "bias": rng.uniform(0.8, 1.3, shape),
        "log_share": np.array([0.1, 0.9, 2.5]),
        "ratios": np.sort(rng.gamma(2, 0.5, (*shape, 3, len(LEVELS))), axis=-1),
    }
    return Calibration(**{**fields, **changes})


@pytest.mark.parametrize(
    ("adi", "cv2", "expected"),
    [
        (1.32, 0.49, "smooth"),
        (1.32, 0.4901, "erratic"),
        (1.3201, 0.49, "intermittent"),
        (1.3201, 0.4901, "lumpy"),
        (np.nan, np.nan, "new"),
        (np.nan, 0.1, "new"),
        (np.inf, 0.1, "new"),
    ],
)
def test_demand_classes_follow_the_cut_offs_of_syntetos_and_boylan(adi: float, cv2: float, expected: str) -> None:
    state = blank_state(small_spec(), 2, adi=np.float64(adi), cv2=np.float64(cv2))
    assert [CLASSES[i] for i in demand_class(state)] == [expected] * 2


def test_series_without_history_are_told_apart_by_whether_their_item_and_store_are_known() -> None:
    history = np.array([0, 0, 0, 0, 60], np.float32)
    item = np.array([4, np.nan, 4, np.nan, np.nan], np.float32)
    store = np.array([4, 4, np.nan, np.nan, np.nan], np.float32)
    state = blank_state(small_spec(), 5, history=history, item_level_28=item, store_level_28=store)
    assert [CLASSES[i] for i in demand_class(state)] == ["new", "new_item", "new_store", "new_item", "dormant"]


def test_a_calibration_survives_json() -> None:
    before = calibration()
    after = Calibration.from_json(before.to_json())
    assert (after.blocks, after.transform, after.integer) == (before.blocks, before.transform, before.integer)
    for name in ("trust", "weights", "bias", "log_share", "ratios"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    mean, classes = np.full((2, 14), 3.0, np.float32), np.array([0, 4])
    whole = np.array([True, False])
    np.testing.assert_array_equal(after.levels(mean, classes, whole), before.levels(mean, classes, whole))


def test_a_calibration_for_other_probabilities_or_with_broken_numbers_is_refused() -> None:
    raw = json.loads(calibration().to_json())
    with pytest.raises(ValueError, match="other probabilities"):
        Calibration.from_json(json.dumps(raw | {"levels": [0.1, 0.9]}))
    with pytest.raises(ValueError, match="not finite"):
        Calibration.from_json(json.dumps(raw | {"trust": [[float("inf"), 0.5]] * 2}))
    with pytest.raises(ValueError, match="not finite"):
        Calibration.from_json(json.dumps(raw | {"bias": [[float("nan")] * len(CLASSES)] * 2}))


def test_a_calibration_of_a_release_with_other_demand_classes_is_refused() -> None:
    raw = json.loads(calibration().to_json())
    with pytest.raises(ValueError, match="other demand classes or blocks: weights"):
        Calibration.from_json(json.dumps(raw | {"weights": [row[:-1] for row in raw["weights"]]}))
    with pytest.raises(ValueError, match="other demand classes or blocks: ratios"):
        Calibration.from_json(json.dumps(raw | {"ratios": raw["ratios"][:1]}))


def test_each_target_period_belongs_to_one_block_and_the_last_block_has_no_end() -> None:
    assert calibration().block_of(16).tolist() == [0] * 7 + [1] * 9


@given(
    mean=arrays(np.float32, (4, 14), elements=st.floats(0, 1e5, width=32)),
    classes=arrays(np.intp, 4, elements=st.integers(0, len(CLASSES) - 1)),
    whole=arrays(np.bool_, 4),
    seed=st.integers(0, 99),
)
def test_levels_never_fall_are_never_negative_and_are_whole_for_whole_units(
    mean: np.ndarray, classes: np.ndarray, whole: np.ndarray, seed: int
) -> None:
    levels = calibration(seed=seed).levels(mean, classes, whole)
    assert levels.shape == (4, 14, len(LEVELS))
    assert (np.diff(levels, axis=2) >= 0).all()
    assert (levels >= 0).all()
    assert (levels[whole] == np.round(levels[whole])).all()


def test_levels_follow_the_mean_between_knots_and_stay_flat_beyond_them() -> None:
    ratios = np.ones((2, len(CLASSES), 3, len(LEVELS))) * np.array([1, 2, 4])[:, None]
    flat = calibration(ratios=ratios)
    means = np.expm1([0.0, 0.1, 0.5, 0.9, 2.5, 9.0]).astype(np.float32)
    got = flat.levels(means[:, None], np.zeros(6, np.intp), np.zeros(6, bool))[:, 0, 0] / (means + 0.1)
    np.testing.assert_allclose(got, [1, 1, 1.5, 2, 4, 4], rtol=1e-5)


def test_one_knot_serves_every_mean() -> None:
    one = calibration(log_share=np.array([1.0]), ratios=np.ones((2, len(CLASSES), 1, len(LEVELS))))
    mean = np.array([[0.0, 5.0, 1e6]], np.float32)
    np.testing.assert_allclose(one.levels(mean, np.array([0]), np.array([False]))[..., 0], mean + 0.1, rtol=1e-6)


def test_the_blend_is_geometric_like_on_logs_and_arithmetic_on_counts() -> None:
    members = {"xgboost": np.full((1, 14), 8.0, np.float32), "lstm": np.full((1, 14), 0.0, np.float32)}
    half = np.full((2, len(CLASSES)), 0.5)
    log = calibration("log", weights=half).blend(members, np.array([0]))
    np.testing.assert_allclose(log, 2.0, rtol=1e-6)  # sqrt(9 * 1) - 1
    count = calibration("count", weights=half).blend(members, np.array([0]))
    np.testing.assert_allclose(count, 4.0)


def test_weights_and_bias_are_looked_up_by_block_and_class() -> None:
    by_class = np.arange(2 * len(CLASSES)).reshape(2, -1)
    by_class[1] = 5 + np.arange(len(CLASSES))
    tables = calibration("count", weights=by_class / 10, bias=(by_class + 1) / 5)
    members = {"xgboost": np.ones((2, 14), np.float32), "lstm": np.zeros((2, 14), np.float32)}
    classes = np.array([1, 3])
    blend = tables.blend(members, classes)
    np.testing.assert_allclose(blend[:, [0, 6, 7, 13]], [[0.1, 0.1, 0.6, 0.6], [0.3, 0.3, 0.8, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(tables.mean(blend, classes)[:, [0, 13]], [[0.04, 0.84], [0.24, 1.44]], rtol=1e-5)


def test_each_member_is_moved_by_its_blocks_share_of_its_shift() -> None:
    tables = calibration(trust=np.array([[0.0, 1.0], [0.5, 0.25]]))
    members = {"xgboost": np.full((2, 14), 3.0, np.float32), "lstm": np.full((2, 14), 10.0, np.float32)}
    shift = np.zeros((2, 2, 14), np.float32)
    shift[0] = np.log(16)
    moved = tables.reconciled(members, shift)
    np.testing.assert_allclose(moved["xgboost"][0], [3] * 7 + [12] * 7, rtol=1e-6)
    np.testing.assert_allclose(moved["lstm"][0], [160] * 7 + [20] * 7, rtol=1e-6)
    for name, values in members.items():
        np.testing.assert_array_equal(moved[name][1], values[1])  # a series without a shift stays where it is
    assert {v.dtype for v in moved.values()} == {np.dtype(np.float32)}


def test_periods_past_the_last_block_are_moved_as_the_last_block_is() -> None:
    tables = calibration(trust=np.array([[0.0, 0.0], [1.0, 1.0]]))
    members = {name: np.ones((1, 16), np.float32) for name in ("xgboost", "lstm")}
    moved = tables.reconciled(members, np.full((1, 2, 16), np.log(2), np.float32))
    np.testing.assert_allclose(moved["lstm"][0], [1] * 7 + [2] * 9, rtol=1e-6)


@pytest.mark.parametrize("metric", [Metric.MAE, Metric.RMSLE, Metric.RMSPE])
@pytest.mark.parametrize("shape", ["counts", "volumes"])
def test_the_point_minimises_the_expected_loss_of_its_metric(metric: Metric, shape: str) -> None:
    rng = np.random.default_rng(4)
    draws = rng.poisson(1.3, 4000) if shape == "counts" else rng.lognormal(2, 0.8, 4000)
    levels = np.quantile(draws, LEVELS, method="lower").astype(np.float32)
    best = float(point(levels, levels.mean(), metric))
    grid = np.linspace(0, levels.max(), 2001)
    losses = LOSSES[metric](levels[:, None], grid).mean(axis=0)
    assert LOSSES[metric](levels, best).mean() <= losses.min() * 1.0005


def test_the_point_for_squared_error_is_the_mean() -> None:
    levels = np.arange(len(LEVELS), dtype=np.float32)
    mean = np.float32(12.5)
    assert point(levels, mean, Metric.RMSE) == mean


def test_the_point_is_zero_where_demand_is_certainly_zero() -> None:
    levels = np.zeros((2, len(LEVELS)), np.float32)
    for metric in Metric:
        assert (point(levels, np.zeros(2, np.float32), metric) == 0).all()


def test_the_published_quantiles_are_those_of_their_probabilities() -> None:
    assert published(np.array(LEVELS, np.float32)).tolist() == pytest.approx(list(QUANTILES))
