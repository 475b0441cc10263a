"""Metrics: by hand, against Nixtla's, and undefined where they are undefined."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from utilsforecast import losses

from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation.metrics import Score

Floats = NDArray[np.float32]
NAN = np.nan
Y = np.array([[2, 0, 4, NAN]], np.float32)
F = np.array([[3, 1, 2, 9]], np.float32)

POINT_METRICS: dict[str, Callable[[Floats, Floats], Score]] = {
    "mae": m.mae,
    "mape": m.mape,
    "wape": m.wape,
    "bias": m.bias,
    "rmse": m.rmse,
    "rmsle": m.rmsle,
    "rmspe": m.rmspe,
    "mase": lambda y, f: m.mase(y, f, np.ones(len(y), np.float32)),
    "pinball": lambda y, f: m.pinball(y, f, 0.3),
    "coverage": lambda y, f: m.coverage(y, f, f + 1),
    "below": lambda y, f: m.hit_rates(y, f)[0],
    "at_or_below": lambda y, f: m.hit_rates(y, f)[1],
}


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("mae", (1 + 1 + 2) / 3, 3),
        ("mape", (1 / 2 + 2 / 4) / 2, 2),
        ("wape", 4 / 6, 3),
        ("bias", (1 + 1 - 2) / 6, 3),
        ("rmse", np.sqrt((1 + 1 + 4) / 3), 3),
        ("rmsle", np.sqrt((np.log(4 / 3) ** 2 + np.log(2) ** 2 + np.log(5 / 3) ** 2) / 3), 3),
        ("rmspe", np.sqrt((0.25 + 0.25) / 2), 2),
        ("mase", 4 / 3, 1),
        ("pinball", (0.7 * 1 + 0.7 * 1 + 0.3 * 2) / 3, 3),
        ("coverage", 0.0, 3),
        ("below", 2 / 3, 3),
        ("at_or_below", 2 / 3, 3),
    ],
)
def test_a_case_worked_out_by_hand(name: str, value: float, n: int) -> None:
    score = POINT_METRICS[name](Y, F)
    assert score.value == pytest.approx(value, rel=1e-6)
    assert (score.n, score.why) == (n, "")


@pytest.mark.parametrize("name", POINT_METRICS)
@pytest.mark.parametrize("actual", [np.full((2, 3), NAN), np.empty((0, 3)), np.empty((2, 0))])
def test_with_nothing_to_score_a_metric_is_unknown_and_says_why(name: str, actual: Floats) -> None:
    score = POINT_METRICS[name](actual, np.zeros_like(actual))
    assert np.isnan(score.value)
    assert score.n == 0
    assert score.why


@pytest.mark.parametrize("name", ["mape", "wape", "bias", "rmspe"])
def test_shares_of_zero_demand_are_unknown_not_zero(name: str) -> None:
    score = POINT_METRICS[name](np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32))
    assert np.isnan(score.value)
    assert score.why


@pytest.mark.parametrize("name", POINT_METRICS)
@pytest.mark.parametrize("bad", [NAN, np.inf])
def test_a_forecast_that_is_not_a_number_is_not_passed_over(name: str, bad: float) -> None:
    if name in ("below", "at_or_below", "coverage") and np.isinf(bad):
        bad = NAN
    forecast = F.copy()
    forecast[0, 2] = bad
    score = POINT_METRICS[name](Y, forecast)
    assert np.isnan(score.value)
    assert "not a number" in score.why


@pytest.mark.parametrize("name", POINT_METRICS)
def test_what_is_forecast_where_nothing_was_observed_does_not_matter(name: str) -> None:
    other = F.copy()
    other[0, 3] = NAN
    assert POINT_METRICS[name](Y, other) == POINT_METRICS[name](Y, F)


def test_a_forecast_is_broadcast_over_the_actuals() -> None:
    assert m.mae(np.array([[1.0, 3.0], [NAN, 5.0]]), np.array([[1.0], [2.0]])) == Score(5 / 3, 3)


def test_mase_leaves_out_series_without_a_naive_error_and_weighs_the_others_alike() -> None:
    actual = np.array([[1, 1, 1, 1], [4, NAN, NAN, NAN], [1, 1, 1, 1], [9, 9, 9, 9]], np.float32)
    forecast = np.array([[2], [0], [5], [1]], np.float32) * np.ones(4, np.float32)
    score = m.mase(actual, forecast, np.array([2, 1, 0, NAN], np.float32))
    assert score == Score((1 / 2 + 4 / 1) / 2, 2)


def test_hit_rates_bracket_the_level_of_an_exact_quantile_of_counts() -> None:
    y = np.repeat([0, 0, 0, 1, 2], 20).astype(np.float32)
    below, at_or_below = m.hit_rates(y, np.quantile(y, 0.5, method="lower") * np.ones(100))
    assert (below.value, at_or_below.value) == (0, pytest.approx(0.6))


@given(
    arrays(np.float64, (3, 12), elements=st.floats(0.5, 1e3)),
    arrays(np.float64, (3, 12), elements=st.floats(0, 1e3)),
    st.sampled_from([0.05, 0.5, 0.95]),
)
def test_metrics_equal_those_of_nixtla(actual: Floats, forecast: Floats, level: float) -> None:
    frame = _long(actual, forecast)
    whole = frame.assign(unique_id="all")

    def theirs(loss: Callable[..., pd.DataFrame], *args: object, **kwargs: object) -> float:
        return float(loss(whole, *args, **kwargs)["model"].iloc[0])

    assert m.mae(actual, forecast).value == pytest.approx(theirs(losses.mae, ["model"]))
    assert m.rmse(actual, forecast).value == pytest.approx(theirs(losses.rmse, ["model"]))
    assert m.mape(actual, forecast).value == pytest.approx(theirs(losses.mape, ["model"]))
    assert m.wape(actual, forecast).value == pytest.approx(theirs(losses.wape, ["model"]))
    pinball = losses.quantile_loss(whole, {"model": "model"}, q=level)["model"].iloc[0]
    assert m.pinball(actual, forecast, level).value == pytest.approx(float(pinball))
    inside = losses.coverage(whole, ["model"], level=90)["model"].iloc[0]
    assert m.coverage(actual, forecast * 0.8, forecast * 1.2).value == pytest.approx(float(inside))
    hits = losses.calibration(whole, {"model": "model"})["model"].iloc[0]
    assert m.hit_rates(actual, forecast)[1].value == pytest.approx(float(hits))


@given(
    arrays(np.float64, (4, 9), elements=st.one_of(st.just(NAN), st.just(0.0), st.floats(0.5, 1e3))),
    arrays(np.float64, (4, 9), elements=st.floats(0, 1e3)),
)
def test_with_unobserved_actuals_metrics_equal_those_of_nixtla_on_the_observed_rows(
    actual: Floats, forecast: Floats
) -> None:
    observed = _long(actual, forecast).dropna(subset="y").assign(unique_id="all")
    if not observed["y"].sum() > 0:
        assert np.isnan(m.wape(actual, forecast).value)
        return
    for mine, theirs in ((m.mae, losses.mae), (m.rmse, losses.rmse), (m.wape, losses.wape)):
        expected = float(theirs(observed, ["model"])["model"].iloc[0])
        assert mine(actual, forecast).value == pytest.approx(expected)
    sold = observed[observed["y"] > 0]
    assert m.mape(actual, forecast).value == pytest.approx(float(losses.mape(sold, ["model"])["model"].iloc[0]))
    assert m.mape(actual, forecast).n == len(sold)
    hits = losses.calibration(observed, {"model": "model"})["model"].iloc[0]
    assert m.hit_rates(actual, forecast)[1].value == pytest.approx(float(hits))


@given(arrays(np.float64, (3, 30), elements=st.integers(0, 50)), arrays(np.float64, (3, 6), elements=st.floats(0, 50)))
def test_mase_equals_that_of_nixtla(history: Floats, forecast: Floats) -> None:
    history += np.arange(30) % 5  # never the same as a week ago everywhere
    actual = history[:, 24:]
    train = _long(history[:, :24], history[:, :24])
    scale = np.abs(history[:, 7:24] - history[:, :17]).mean(axis=1)
    if (scale == 0).any():
        return
    theirs = losses.mase(_long(actual, forecast), ["model"], seasonality=7, train_df=train)["model"].mean()
    assert m.mase(actual, forecast, scale).value == pytest.approx(float(theirs))


def _long(actual: Floats, forecast: Floats) -> pd.DataFrame:
    S, H = actual.shape
    model = forecast.reshape(-1)
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(S)], H),
            "ds": np.tile(np.arange(H), S),
            "y": actual.reshape(-1),
            "model": model,
            "model-lo-90": 0.8 * model,
            "model-hi-90": 1.2 * model,
        }
    )
