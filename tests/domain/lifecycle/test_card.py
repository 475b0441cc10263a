"""The model card: every section, every field from the run, and no invented number."""

import re
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from shelfops_pipeline.contracts.bundle import Manifest
from shelfops_pipeline.contracts.columns import SCORE_COLUMNS, Grain, Tier
from shelfops_pipeline.contracts.decision import Figure, GateDecision, Verdict
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


def make_scores() -> pd.DataFrame:
    """Group g of a dimension has WAPE g %, its best baseline twice as much; stores are twelve."""
    groups = {"block": 2, "class": 3, "store": 12, "category": 2, "class x block": 6}
    rows = [
        (tier, by, f"{by} {g}", model, metric, value * (1 if model == "ensemble" else 2), 100 + g, "")
        for tier in ("production", "served")
        for by, n in groups.items()
        for g in range(1, n + 1)
        for model in ("ensemble", "lstm", "seasonal_naive")
        for metric, value in (("wape", g / 100), ("mae", 3.0 * g), ("bias", -0.01 * g), ("coverage_90", 0.88))
    ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def make_decision(**objections: Verdict) -> GateDecision:
    """A promotion, with figures by metric that have other verdicts."""
    verdicts = {"mae": Verdict.PASSED, "bias": Verdict.PASSED, "coverage_90": Verdict.PASSED} | objections
    figures = tuple(
        Figure(
            metric=name, candidate=0.2, rival=0.1, change=0.1, low=0.05, high=None, rows=900, limit="…", verdict=verdict
        )
        for name, verdict in verdicts.items()
    )
    return GateDecision(
        version="v3",
        tier=Tier.PRODUCTION,
        promote=Verdict.FAILED not in verdicts.values(),
        reason="MAE 3.3 is below 0.95 x 4 of the champion v2, on the same folds",
        rival="v2",
        rival_is_champion=True,
        compared="as it is: the folds lie after its training",
        folds=("2024-01-08", "2024-02-05"),
        periods=28,
        rows=900,
        blocks=8,
        figures=figures,
        decided_at=datetime(2024, 3, 4, 13, tzinfo=UTC),
        by="gate (weekly)",
    )


def section(card: str, name: str) -> str:
    return card.split(f"## {name}\n")[1].split("\n## ")[0]


def test_the_card_has_every_section_and_no_field_left_open() -> None:
    card = render_card(
        make_manifest(), make_metrics(), IMPORTANCE, make_decision(), ["Note of the run."], make_scores()
    )
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert headings == list(SECTIONS)
    assert not re.findall(r"\$\w+|\$\{", card)
    assert "nan" not in card.lower().split()
    assert "**Promotion gate:** promoted: MAE 3.3 is below" in section(card, "Model details")
    assert "Note of the run." in section(card, "Caveats and recommendations")


def test_numbers_come_from_the_run() -> None:
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, make_decision())
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
    card = render_card(make_manifest(), make_metrics(mape=float("nan")), IMPORTANCE, make_decision())
    row = next(line for line in card.splitlines() if "production · Ensemble" in line)
    assert "undefined (no non-zero actuals)" in row
    naive = next(line for line in card.splitlines() if "production · Seasonal naive" in line)
    assert "undefined (no interval)" in naive
    assert " 0.0 %" not in naive


def test_a_reason_given_by_the_backtest_wins() -> None:
    metrics = make_metrics(mase=float("nan")).assign(why="every history is constant")
    assert "undefined (every history is constant)" in render_card(make_manifest(), metrics, IMPORTANCE, make_decision())


def test_metrics_by_group_stand_beside_the_groups_best_baseline() -> None:
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, make_decision(), scores=make_scores())
    analyses = section(card, "Quantitative analyses")
    headings = re.findall(r"^### (.+)$", analyses, re.MULTILINE)
    assert headings == [
        "By tier and model, all folds",
        "By fold",
        "By periods ahead",
        "By demand class",
        "By store",
        "By category",
        "By demand class and periods ahead",
        "Decision of the promotion gate",
        "What the forecast looks at",
    ]
    blocks = analyses.split("### By periods ahead\n")[1].split("###")[0]
    assert [line.split(" | ")[0] for line in blocks.splitlines() if "block " in line] == ["| block 1", "| block 2"]
    assert "| block 2 | 102 | 4.0 % | 2.0 % | 6.00 units | −2.0 % | 88.0 % |" in blocks
    stores = analyses.split("### By store\n")[1].split("###")[0]
    shown = [line.split(" | ")[0] for line in stores.splitlines() if "store " in line]
    assert shown == [f"| store {g}" for g in range(12, 2, -1)]  # the worst ten first
    assert "The 10 with the largest WAPE, of 12." in stores


def test_a_dimension_that_the_retailer_does_not_have_is_undefined() -> None:
    scores = make_scores()
    card = render_card(make_manifest(), make_metrics(), [], None, scores=scores[scores["by"] != "category"])
    assert "### By category\n\nundefined (nothing to group by, or too many groups)" in card


def test_the_gates_decision_is_a_section_with_every_figure_and_interval() -> None:
    decision = make_decision(bias=Verdict.WARNING)
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, decision)
    part = section(card, "Quantitative analyses").split("### Decision of the promotion gate\n")[1]
    assert "**Promoted** by gate (weekly), 2024-03-04 13:00 UTC: MAE 3.3 is below" in part
    assert "the same 900 forecasts, up to 28 periods ahead, of 2 folds, origins 2024-01-08, 2024-02-05" in part
    assert "| MAE of the median | 0.200 units | 0.100 units | 0.100 x (0.050 to undefined) | … | passed |" in part
    assert "| Bias of the mean | +20.0 % | +10.0 % | +10.0 points (+5.0 to undefined) | … | *warning* |" in part
    assert "Gate, warning: bias of the mean +20.0 %, the rival's +10.0 %." in section(
        card, "Caveats and recommendations"
    )


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
        render_card(make_manifest(), make_metrics(**over), IMPORTANCE, make_decision()), "Caveats and recommendations"
    )
    assert finding in caveats
    clean = section(
        render_card(make_manifest(), make_metrics(), IMPORTANCE, make_decision()), "Caveats and recommendations"
    )
    assert finding not in clean


def test_a_run_without_a_backtest_still_has_a_card() -> None:
    card = render_card(make_manifest(), make_metrics().iloc[:0], [], None)
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == list(SECTIONS)
    assert "undefined (the run had no backtest)" in section(card, "Evaluation data")
    assert "undefined (no feature importance was computed)" in card
    assert "undefined (the gate did not run)" in card


def test_what_each_member_looks_at_is_told() -> None:
    network = [{"part": "known_future", "input": "promo", "mean_abs": 0.25}]
    card = render_card(make_manifest(), make_metrics(), IMPORTANCE, None, network=network)
    assert "| promo | known future | 0.250 |" in card
    assert "undefined (the LSTM was not explained)" in render_card(make_manifest(), make_metrics(), IMPORTANCE, None)


def test_a_dollar_sign_in_a_note_is_kept() -> None:
    assert "costs $price each" in render_card(make_manifest(), make_metrics(), IMPORTANCE, None, ["costs $price each"])
