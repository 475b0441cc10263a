"""The model card: every section, every field from the run, and no invented number."""

import re
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.bundle import Manifest
from shelfops_pipeline.contracts.columns import BACKTEST_COLUMNS, Grain, Tier
from shelfops_pipeline.contracts.features import feature_list
from shelfops_pipeline.contracts.spec import tier_spec
from shelfops_pipeline.lifecycle.card import render_card

SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Training data",
    "Evaluation data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
    "Training configuration",
)
IMPORTANCE = [
    {"feature": "promo", "definition": "is the target on promotion?", "mean_abs_shap": 0.31, "gain": 12.0},
    {"feature": "base", "definition": "reference level", "mean_abs_shap": 0.22, "gain": None},
]
NAMES = ("mae", "wape", "mape", "rmse", "rmsle", "rmspe", "bias", "mase", "pinball", "coverage_90")


def make_manifest(**changes: Any) -> Manifest:
    spec = tier_spec(Tier.PRODUCTION, Grain.DAY, 28, 730, ("on_promotion", "price"), (), ("store_id", "item_id"))
    fields: dict[str, Any] = {
        "version": "production-20240304",
        "dataset": "simulated",
        "tier": Tier.PRODUCTION,
        "grain": Grain.DAY,
        "horizon": 28,
        "transform": "count",
        "integer_demand": True,
        "spec": spec,
        "features": feature_list(spec, log=False),
        "static_categories": {},
        "channel_scales": {},
        "quantiles": (0.05, 0.25, 0.5, 0.75, 0.95),
        "training_start": date(2022, 3, 1),
        "training_cutoff": date(2024, 3, 3),
        "created_at": datetime(2024, 3, 4, 12, tzinfo=UTC),
        "seed": 7,
        "holiday_kinds": (),
        "recipe": {"transform": "count", "xgboost": {"rounds": 412, "max_depth": None}, "windows": [7, 28]},
        "metrics": {"mae": 3.3, "mape": None},
        "library_versions": {"xgboost": "3.2.0"},
        "sha256": {},
    }
    return Manifest(**{**fields, **changes})


def make_metrics(**over: float) -> pd.DataFrame:
    rows = []
    for model, error in (("ensemble", 0.4), ("lstm", 0.45), ("seasonal_naive", 0.7), ("seasonal_mean", 0.5)):
        for origin in ("2024-01-08", "2024-02-05", "all"):
            for metric in NAMES:
                value = {"coverage_90": 0.9, "bias": 0.01}.get(metric, error)
                if metric in ("pinball", "coverage_90") and model != "ensemble":
                    value = float("nan")
                if model == "ensemble":
                    value = over.get(metric, value)
                rows.append(("production", model, origin, metric, value, 900))
    return pd.DataFrame(rows, columns=["tier", "model", "origin", "metric", "value", "n"])


def make_forecasts() -> pd.DataFrame:
    dates = pd.date_range("2024-01-09", periods=28)
    frame = pd.DataFrame({"date": dates, "y": 10.0, "point": 10.0 + np.arange(28), "mean": 12.0})
    frame = frame.assign(store_id="s1", item_id="i1", origin=pd.Timestamp("2024-01-08"), model="ensemble")
    return frame.reindex(columns=list(BACKTEST_COLUMNS))


def section(card: str, name: str) -> str:
    return card.split(f"## {name}\n")[1].split("\n## ")[0]


def test_the_card_has_every_section_and_no_field_left_open() -> None:
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, "promoted: 4 % better", ["Note of the run."])
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert headings == list(SECTIONS)
    assert not re.findall(r"\$\w+|\$\{", card)
    assert "nan" not in card.lower().split()
    assert "promoted: 4 % better" in section(card, "Model details")
    assert "Note of the run." in section(card, "Caveats and recommendations")


def test_numbers_come_from_the_run() -> None:
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, "candidate")
    assert "2022-03-01 to 2024-03-03 (734 days)" in section(card, "Training data")
    assert "2 folds, origins 2024-01-08, 2024-02-05" in section(card, "Evaluation data")
    analyses = section(card, "Quantitative analyses")
    assert re.search(r"production · Seasonal naive \| 70\.0 %", analyses)
    assert re.search(r"\| `promo` \| 0\.310 \| is the target on promotion\? \|", analyses)
    configuration = section(card, "Training configuration")
    assert "| `xgboost.rounds` | 412 |" in configuration
    assert "| `windows` | 7, 28 |" in configuration
    assert "| `xgboost.max_depth` | undefined (not set) |" in configuration
    assert "| `xgboost` | 3.2.0 |" in configuration


def test_undefined_comes_with_the_reason_and_never_as_zero() -> None:
    card = render_card(make_manifest(), make_metrics(mape=float("nan")), IMPORTANCE, "candidate")
    row = next(line for line in card.splitlines() if "production · Ensemble" in line)
    assert "undefined (no non-zero actuals)" in row
    naive = next(line for line in card.splitlines() if "production · Seasonal naive" in line)
    assert "undefined (no interval)" in naive
    assert " 0.0 %" not in naive


def test_a_reason_given_by_the_backtest_wins() -> None:
    metrics = make_metrics(mase=float("nan")).assign(why="every history is constant")
    assert "undefined (every history is constant)" in render_card(make_manifest(), metrics, IMPORTANCE, "candidate")


def test_errors_by_horizon_are_those_of_the_forecasts() -> None:
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, "candidate", forecasts=make_forecasts())
    # Periods 1 to 5 miss by 0 to 4 units at a demand of 10: MAE 2, WAPE 20 %.
    assert "| 1 to 5 | 20.0 % / 2.00 units |" in section(card, "Quantitative analyses")
    assert "| 26 to 28 | 260.0 % / 26.0 units |" in section(card, "Quantitative analyses")


@pytest.mark.parametrize(
    ("over", "finding"),
    [
        ({"wape": 0.6}, "Weekday mean has no larger WAPE"),
        ({"coverage_90": 0.7}, "holds 70.0 % of actuals"),
        ({"bias": -0.2}, "20.0 % too low"),
        ({"wape": float("nan")}, "gives no WAPE"),
    ],
)
def test_the_card_says_what_speaks_against_the_version(over: dict[str, float], finding: str) -> None:
    caveats = section(
        render_card(make_manifest(), make_metrics(**over), IMPORTANCE, "x"), "Caveats and recommendations"
    )
    assert finding in caveats
    clean = section(render_card(make_manifest(), make_metrics(), IMPORTANCE, "x"), "Caveats and recommendations")
    assert finding not in clean


def test_a_run_without_a_backtest_still_has_a_card() -> None:
    card = render_card(make_manifest(), make_metrics().iloc[:0], [], "")
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == list(SECTIONS)
    assert "undefined (the run had no backtest)" in section(card, "Evaluation data")
    assert "undefined (no feature importance was computed)" in card
    assert "undefined (the gate did not run)" in card


def test_a_dollar_sign_in_a_note_is_kept() -> None:
    assert "costs $price each" in render_card(make_manifest(), make_metrics(), IMPORTANCE, "x", ["costs $price each"])
