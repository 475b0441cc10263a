"""The pictures and the JSON: drawn for real, with what they must show."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.explain.canvas import save_figure
from shelfops_pipeline.explain.importance import feature_importance, read_importance, write_importance
from shelfops_pipeline.explain.plots import beeswarm, waterfall
from shelfops_pipeline.explain.sample import representatives
from shelfops_pipeline.explain.shap_values import explain, to_units


def said(fig: Any) -> list[str]:
    return [t.get_text() for ax in fig.axes for t in ax.texts] + [t.get_text() for t in fig.texts]


def test_beeswarm_shows_the_strongest_features_in_order(case: Any, tmp_path: Path) -> None:
    found = explain(case.booster, case.X[:400], case.names)
    fig = beeswarm(found)
    order = np.argsort(-np.abs(found.values).mean(axis=0), kind="stable")[:20]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == [case.names[i] for i in order]
    save_figure(fig, tmp_path / "shap_summary.png")
    assert (tmp_path / "shap_summary.png").read_bytes().startswith(b"\x89PNG")


def test_text_is_set_in_inter(log_case: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    from matplotlib import font_manager

    fig = beeswarm(explain(log_case.booster, log_case.X[:50], log_case.names))
    label = fig.axes[0].get_yticklabels()[0]
    assert Path(font_manager.findfont(label.get_fontproperties())).name == "Inter-Regular.ttf"
    save_figure(fig, tmp_path / "one.png")
    assert "findfont" not in caplog.text


def test_dollars_in_a_name_are_no_formula(log_case: Any, tmp_path: Path) -> None:
    found = explain(log_case.booster, log_case.X[:1], log_case.names)
    fig = waterfall(found, to_units(found, "log"), 0, log_case.features, "Save $5 #1 or $6", "store A$^$B")
    save_figure(fig, tmp_path / "one.png")
    assert "store A$^$B" in said(fig)


def test_five_waterfalls_lead_from_the_start_to_the_prediction(case: Any, tmp_path: Path) -> None:
    chosen = representatives(case.predicted, case.y, case.column("promo"), case.column("history"))
    found = explain(case.booster, case.X[list(chosen.values())], case.names)
    units = to_units(found, case.transform)
    for row, kind in enumerate(chosen):
        fig = waterfall(found, units, row, case.features, kind, "store s1 · item i1")
        assert "Start" in said(fig)
        assert "Prediction" in said(fig)
        assert f"{len(case.features) - 9} other features" in said(fig)
        bars = fig.axes[0].patches
        widths = [bar.get_width() for bar in bars]
        assert widths[0] + sum(widths[1:-1]) == pytest.approx(widths[-1])
        save_figure(fig, tmp_path / f"shap_local_{kind}.png")
    assert len(list(tmp_path.glob("shap_local_*.png"))) == 5


def test_a_constant_model_can_be_drawn(log_case: Any, tmp_path: Path) -> None:
    import xgboost

    flat = xgboost.train(
        {"base_score": 0.0, "nthread": 1}, xgboost.DMatrix(log_case.X[:50], np.zeros(50, np.float32)), 1
    )
    found = explain(flat, log_case.X[:50], log_case.names)
    save_figure(beeswarm(found), tmp_path / "flat.png")
    save_figure(waterfall(found, to_units(found, "log"), 0, log_case.features, "flat"), tmp_path / "flat_local.png")
    assert (found.values == 0).all()  # nothing to explain, and still two pictures
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("flat.png", "flat_local.png"))


def test_importance_is_sorted_defined_and_machine_readable(case: Any, tmp_path: Path) -> None:
    found = explain(case.booster, case.X[:400], case.names)
    rows = feature_importance(case.booster, found, case.features)
    strength = [r["mean_abs_shap"] for r in rows]
    assert strength == sorted(strength, reverse=True)
    assert {r["feature"] for r in rows} == set(case.names)
    assert all(r["definition"] for r in rows)
    path = tmp_path / "feature_importance.json"
    write_importance(path, rows, rows=400)
    assert read_importance(path) == rows
    assert json.loads(path.read_text())["rows"] == 400


def test_a_feature_no_tree_uses_has_no_gain_rather_than_zero(case: Any) -> None:
    found = explain(case.booster, case.X[:50], case.names)
    used = set(case.booster.get_score(importance_type="weight"))
    for row in feature_importance(case.booster, found, case.features):
        in_use = f"f{case.names.index(row['feature'])}" in used
        assert (row["gain"] is not None) == in_use
        assert (row["splits"] > 0) == in_use


def test_importance_refuses_features_in_another_order(case: Any) -> None:
    found = explain(case.booster, case.X[:5], case.names)
    with pytest.raises(ValueError, match="order"):
        feature_importance(case.booster, found, case.features[::-1])
