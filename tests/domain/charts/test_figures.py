"""The five charts, as figures: what they show, and what they do with frames that have holes."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.charts.error_distribution import error_distribution
from shelfops_pipeline.charts.feature_importance import feature_importance
from shelfops_pipeline.charts.forecast_vs_actual import forecast_vs_actual
from shelfops_pipeline.charts.theme import BACKGROUND, FONT, GRID, PRIMARY, use_theme
from shelfops_pipeline.charts.tier_comparison import tier_comparison
from shelfops_pipeline.charts.training_summary import training_summary
from shelfops_pipeline.contracts.columns import Grain

FACTS = {"Version": "v1", "Data set": "simulated", "Series": 12, "Training time": None}


def texts(fig: Any) -> str:
    return " ".join(str(a.text) for a in fig.layout.annotations)


def test_the_template_carries_the_standards_design_tokens() -> None:
    import plotly.io as pio

    layout = pio.templates[use_theme()].layout
    assert layout.colorway[0] == PRIMARY == "#2563EB"
    assert layout.font.family.startswith(FONT)
    assert FONT == "Inter"
    assert layout.plot_bgcolor == layout.paper_bgcolor == BACKGROUND == "#FFFFFF"
    assert layout.xaxis.gridcolor == layout.yaxis.gridcolor == GRID == "#F3F4F6"


def test_total_forecast_and_actual_are_sums_over_the_same_rows(forecasts: pd.DataFrame) -> None:
    fig = forecast_vs_actual(forecasts)
    shown = {t.name: t for t in fig.data if t.visible is True}
    own = forecasts[(forecasts["model"] == "ensemble") & forecasts["y"].notna()]
    expected = own.groupby("date")[["mean", "y"]].sum()
    line = shown["Ensemble forecast"]
    drawn = {x: y for x, y in zip(line.x, line.y, strict=True) if x is not None}
    assert len(drawn) == len(expected) == 28
    np.testing.assert_allclose(list(drawn.values()), expected["mean"], rtol=1e-4)
    np.testing.assert_allclose(shown["Actual"].y, expected["y"], rtol=1e-4)
    assert {"90 % interval, added up", "50 % interval, added up"} <= set(shown)


def test_the_dropdown_shows_one_series_at_a_time(forecasts: pd.DataFrame) -> None:
    fig = forecast_vs_actual(forecasts)
    buttons = fig.layout.updatemenus[0].buttons
    assert 4 <= len(buttons) <= 7
    seen: set[int] = set()
    for button in buttons:
        on = {i for i, visible in enumerate(button.args[0]["visible"]) if visible}
        assert len(button.args[0]["visible"]) == len(fig.data)
        assert on
        assert not on & seen
        seen |= on
    assert seen == set(range(len(fig.data)))


def test_folds_are_drawn_apart(forecasts: pd.DataFrame) -> None:
    line = next(t for t in forecast_vs_actual(forecasts).data if t.name == "Ensemble forecast")
    assert sum(x is None for x in line.x) == 2


def test_reliability_brackets_each_quantile_with_the_ties(forecasts: pd.DataFrame) -> None:
    fig = error_distribution(forecasts)
    own = forecasts[(forecasts["model"] == "ensemble") & forecasts["y"].notna()]
    points = next(t for t in fig.data if t.type == "scatter" and t.error_y.array is not None)
    top = np.asarray(points.y) + np.asarray(points.error_y.array)
    bottom = np.asarray(points.y) - np.asarray(points.error_y.arrayminus)
    assert top[2] == pytest.approx((own["y"] <= own["q50"]).mean())
    assert bottom[2] == pytest.approx((own["y"] < own["q50"]).mean())


def test_the_histogram_holds_every_error(forecasts: pd.DataFrame) -> None:
    bars = error_distribution(forecasts).data[0]
    assert sum(bars.y) == pytest.approx(1.0)


def test_horizon_boxes_start_at_one_for_weekly_data(forecasts_of: Any) -> None:
    fig = error_distribution(forecasts_of(days=7, horizon=6), Grain.WEEK)
    box = next(t for t in fig.data if t.type == "box")
    assert list(box.x) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("grain", Grain)
def test_words_follow_the_grain(forecasts_of: Any, metrics: pd.DataFrame, grain: Grain) -> None:
    frame = forecasts_of(days=grain.days, horizon=6)
    figures = [
        forecast_vs_actual(frame, grain),
        error_distribution(frame, grain),
        tier_comparison(metrics, grain),
        training_summary(frame, metrics, FACTS, grain=grain),
    ]
    said = [fig.to_json() for fig in figures]
    other = Grain.WEEK if grain is Grain.DAY else Grain.DAY
    for text in said:
        assert re.search(rf"per {grain}\b", text)
        assert not re.search(rf"\b{other}s?\b", text.replace("4-week mean", "").replace("13-week mean", ""))
        assert ("eekday" in text) == (grain is Grain.DAY and text is not said[1])


def test_ticks_of_weeks_are_mondays(forecasts_of: Any) -> None:
    axis = forecast_vs_actual(forecasts_of(days=7, horizon=26), Grain.WEEK).layout.xaxis
    assert pd.Timestamp(axis.tick0).day_name() == "Monday"
    weeks = axis.dtick / (7 * 86_400_000)
    assert weeks == int(weeks)
    assert 52 / weeks <= 12
    assert axis.hoverformat.startswith("Week of")


def test_undefined_metrics_are_written_out_and_not_drawn(metrics: pd.DataFrame) -> None:
    fig = tier_comparison(metrics)
    # 6 models without quantiles in each tier, and the cold-start naive without WAPE and MAE.
    assert sum(a.text == "undefined" for a in fig.layout.annotations) == 14
    assert all(np.isfinite(v) and v > 0 for bars in fig.data for v in bars.x)


def test_tier_comparison_shows_both_tiers_in_order(metrics: pd.DataFrame) -> None:
    said = texts(tier_comparison(metrics))
    assert said.index("Production tier") < said.index("Cold start tier")


def test_summary_compares_with_the_best_baseline(forecasts: pd.DataFrame, metrics: pd.DataFrame) -> None:
    said = texts(training_summary(forecasts, metrics, FACTS))
    assert "on weekday × promo mean" in said  # 0.60 is the lowest WAPE of the baselines
    assert "25.0 %" in said  # 1 - 0.45 / 0.60


def test_summary_says_undefined_where_nothing_is_known(no_forecasts: pd.DataFrame, metrics: pd.DataFrame) -> None:
    unknown = metrics.assign(value=np.nan)
    fig = training_summary(no_forecasts, unknown, FACTS)
    assert texts(fig).count("undefined") == 6  # five cards, and the curve by horizon
    table = next(t for t in fig.data if t.type == "table")
    assert {v for column in table.cells.values[1:] for v in column} == {"undefined"}


def test_importance_is_sorted_and_unknown_gain_is_left_out(importance: list[dict[str, Any]]) -> None:
    fig = feature_importance(list(reversed(importance)))
    by_shap, by_gain = fig.data
    assert list(by_shap.y) == [f"feature_{i}" for i in range(20)]
    assert "feature_0" not in by_gain.y
    assert by_gain.visible is False


@pytest.mark.parametrize("draw", [forecast_vs_actual, error_distribution])
def test_an_empty_backtest_says_so(draw: Any, no_forecasts: pd.DataFrame) -> None:
    fig = draw(no_forecasts)
    assert not fig.data
    assert "no row" in texts(fig)


def test_no_metrics_and_no_importance_say_so(metrics: pd.DataFrame, no_forecasts: pd.DataFrame) -> None:
    assert "No metric" in texts(tier_comparison(metrics.iloc[:0]))
    assert "No feature importance" in texts(feature_importance([]))
    assert "no metric" in texts(training_summary(no_forecasts, metrics.iloc[:0], {}))
    assert training_summary(no_forecasts, metrics.iloc[:0], FACTS).data


def test_one_series_with_a_long_name_is_drawn(forecasts_of: Any) -> None:
    one = forecasts_of(series=1, folds=1).assign(item_id="a very long name of an item " * 12)
    fig = forecast_vs_actual(one)
    assert len(fig.layout.updatemenus[0].buttons) == 2
    assert max(len(b.label) for b in fig.layout.updatemenus[0].buttons) < 100
    assert error_distribution(one).data


def test_a_model_without_quantiles_has_no_band(forecasts_of: Any) -> None:
    frame = forecasts_of(models=("xgboost",))
    assert not [t for t in forecast_vs_actual(frame).data if "interval" in t.name]
    assert "undefined: the model gives no quantiles" in texts(error_distribution(frame))


def test_categories_instead_of_strings_are_drawn_the_same(forecasts: pd.DataFrame) -> None:
    coded = forecasts.astype(dict.fromkeys(["store_id", "item_id", "model"], "category"))
    for draw in (forecast_vs_actual, error_distribution):
        assert draw(coded).to_json() == draw(forecasts).to_json()


def test_a_series_that_never_sells_does_not_break_the_charts(forecasts_of: Any) -> None:
    idle = forecasts_of(series=2).assign(y=0.0)
    assert forecast_vs_actual(idle).data
    assert "undefined" in str(error_distribution(idle).layout.title.subtitle.text)
