"""The charts of a backtest's scores: what they show, and what they do where nothing is known."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.charts.accuracy_by_group import MOST_BARS, accuracy_by_group
from shelfops_pipeline.charts.accuracy_by_horizon import accuracy_by_horizon
from shelfops_pipeline.charts.quantile_reliability import quantile_reliability
from shelfops_pipeline.charts.score_tables import (
    beside_best_baseline,
    best_baseline,
    groups_markdown,
    main_tier,
)
from shelfops_pipeline.charts.write import write_figures
from shelfops_pipeline.contracts.columns import QUANTILE_COLUMNS, QUANTILES, SCORE_COLUMNS, Grain
from shelfops_pipeline.services.console import console, worst_groups_view
from tests.domain.charts.conftest import MODELS

GROUPS = {
    "all": ["all"],
    "origin": ["2024-03-03", "2024-03-17"],
    "horizon": [str(h) for h in range(1, 15)],
    "class": ["smooth", "intermittent", "new"],
    "store": [f"S{k:03d}" for k in range(30)],
    "category": ["bread | rolls", "milk"],
}
HITS = {f"{side}_{q}": level + gap for q, level in zip(QUANTILE_COLUMNS, QUANTILES, strict=True)
        for side, gap in (("below", -0.04), ("at_or_below", 0.03))}  # fmt: skip


def make_scores(tiers: tuple[str, ...] = ("production", "cold_start", "served")) -> pd.DataFrame:
    """Scores in which store S007 is the worst and, in it alone, seasonal_naive the best baseline."""
    rows = []
    for tier, (by, groups), (model, error) in product(tiers, GROUPS.items(), MODELS.items()):
        for k, group in enumerate(groups):
            wape = 0.2 + error / 2 + 0.001 * k + (0.5 if group == "S007" else 0)
            wape -= 0.4 if group == "S007" and model == "seasonal_naive" else 0
            values = {"wape": wape, "mae": 5 * wape, "bias": 0.01 * k - 0.02}
            if model == "ensemble":
                values |= {"coverage_90": 0.91, **HITS}
            rows += [(tier, by, group, model, m, v, 100 + k, "") for m, v in values.items()]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return make_scores()


def texts(fig: Any) -> str:
    return " ".join(str(a.text) for a in fig.layout.annotations)


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        (("cold_start", "served", "production"), "served"),
        (("cold_start", "production"), "production"),
        (("cold_start",), "cold_start"),
        ((), None),
    ],
)
def test_a_chart_is_about_what_would_have_been_served(tiers: tuple[str, ...], expected: str | None) -> None:
    assert main_tier(make_scores(tiers)) == expected


def test_each_group_stands_beside_its_own_best_baseline_the_worst_first(scores: pd.DataFrame) -> None:
    assert best_baseline(scores, "served") == "seasonal_promo_mean"
    table = beside_best_baseline(scores, "served", "store")
    assert len(table) == 30
    assert table.index[0] == "S007"
    assert table["who"].value_counts().to_dict() == {"seasonal_promo_mean": 29, "seasonal_naive": 1}
    assert table.loc["S007", "who"] == "seasonal_naive"
    assert table["ours"].is_monotonic_decreasing
    assert table.loc["S003", "theirs"] == pytest.approx(0.2 + 0.3 / 2 + 0.003)
    assert table.loc["S003", "n"] == 103


def test_groups_without_a_wape_are_left_out_and_one_without_a_baseline_is_kept(scores: pd.DataFrame) -> None:
    wape, store = scores["metric"] == "wape", scores["by"] == "store"
    unknown = scores.assign(value=scores["value"].mask(wape & store & (scores["group"] == "S001")))
    unknown["value"] = unknown["value"].mask(
        wape & store & (scores["group"] == "S002") & scores["model"].isin(["ensemble", "xgboost", "lstm"]).eq(False)
    )
    table = beside_best_baseline(unknown, "served", "store")
    assert "S001" not in table.index
    assert np.isnan(table.loc["S002", "theirs"])
    assert accuracy_by_group(unknown).data


def test_horizon_chart_has_a_line_per_model_from_period_one(scores: pd.DataFrame) -> None:
    fig = accuracy_by_horizon(scores)
    lines = [t for t in fig.data if t.xaxis in (None, "x")]
    assert len(lines) == len(MODELS)
    assert all(list(t.x) == list(range(1, 15)) for t in lines)
    ours = next(t for t in lines if t.name == "Ensemble")
    np.testing.assert_allclose(ours.y, [0.2 + 0.15 / 2 + 0.001 * k for k in range(14)])
    assert "ensemble and weekday × promo mean" in texts(fig)


def test_group_chart_shows_the_worst_of_many_and_says_so(scores: pd.DataFrame) -> None:
    fig = accuracy_by_group(scores)
    assert f"the {MOST_BARS} with the largest WAPE of 30" in texts(fig)
    assert "all 3" in texts(fig)
    longest = max(len(t.y) for t in fig.data)
    assert longest == MOST_BARS
    assert "seasonal naive" in " ".join(fig.data[-1].text)


def test_reliability_bars_reach_from_below_to_at_or_below(scores: pd.DataFrame) -> None:
    fig = quantile_reliability(scores)
    points = [t for t in fig.data if t.error_y.array is not None]
    assert len(points) == 4  # all rows, and three classes
    for trace in points:
        np.testing.assert_allclose(np.asarray(trace.y) + trace.error_y.array, np.asarray(QUANTILES) + 0.03)
        np.testing.assert_allclose(np.asarray(trace.y) - trace.error_y.arrayminus, np.asarray(QUANTILES) - 0.04)
        np.testing.assert_allclose(trace.y, QUANTILES)  # the level lies within: right
    assert "No demand so far" in texts(fig)
    assert "90 % interval holds 91.0 %" in texts(fig)


@pytest.mark.parametrize("draw", [accuracy_by_horizon, accuracy_by_group, quantile_reliability])
def test_scores_without_a_value_say_so(scores: pd.DataFrame, draw: Any) -> None:
    for empty in (scores.iloc[:0], scores.assign(value=np.nan)):
        fig = draw(empty)
        assert not fig.data
        assert texts(fig)


def test_words_follow_the_grain(scores: pd.DataFrame) -> None:
    weekly = accuracy_by_horizon(scores, Grain.WEEK)
    assert weekly.layout.xaxis.title.text == "Weeks after the origin"
    assert "Naive (last week)" in {t.name for t in weekly.data}


def test_the_console_shows_the_worst_groups_and_nothing_where_there_is_one(scores: pd.DataFrame) -> None:
    view = worst_groups_view(scores, "served", "store")
    assert view is not None
    with console.capture() as shown:
        console.print(view)
    lines = shown.get().splitlines()
    assert "5 of 30" in lines[0]
    assert "S007" in next(line for line in lines if "S0" in line)
    assert "seasonal_naive" in shown.get()
    assert worst_groups_view(scores, "served", "all") is None


def test_markdown_of_groups_has_a_row_each_and_says_how_many_are_left(scores: pd.DataFrame) -> None:
    text = groups_markdown(scores, "store", most=4)
    assert len([line for line in text.splitlines() if line.startswith("| S0")]) == 4
    assert text.endswith("26 more")
    assert "| bread / rolls |" in groups_markdown(scores, "category")
    assert groups_markdown(scores, "supplier") == ""
    assert groups_markdown(scores.iloc[:0], "store") == ""


def test_the_charts_are_written_as_pages(scores: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "accuracy_by_group.html"
    assert path in write_figures({path: accuracy_by_group(scores)})
    assert "Plotly.newPlot" in path.read_text()
