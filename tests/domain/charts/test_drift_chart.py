"""Drift over time as a picture: what is drawn, where the limits are, and what is said where there is nothing."""

from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.charts.drift import drift_over_time
from shelfops_pipeline.charts.theme import DANGER


def make_report(day: int, wape: float = 0.42, blocks: tuple[str, ...] = ("1-7", "8-14")) -> dict[str, Any]:
    errors = [
        {
            "block": block,
            "judged": True,
            "wape": wape + 0.02 * k,
            "wape promised": 0.4,
            "wape limit": 0.7,
            "level": 0.05,
            "level promised": 0.0,
            "level limit": 0.25,
            "drifted": wape > 0.7,
        }
        for k, block in enumerate(blocks)
    ]
    inputs = [
        {"feature": f"f{k}", "psi": 0.1 * k, "psi limit": 0.25, "ks": 0.05 * k, "ks limit": 0.15, "drifted": False}
        for k in range(3)
    ]
    coverage = {"coverage": 0.91, "lowest": 0.84, "nominal": 0.9, "drifted": False}
    return {
        "origin": str(np.datetime64("2025-03-01") + day),
        "version": "v1",
        "drifted": wape > 0.7,
        "errors": errors,
        "inputs": inputs,
        "coverage": coverage,
    }


def named(fig: Any, name: str) -> Any:
    return next(t for t in fig.data if t.name == name)


def test_errors_are_drawn_beside_what_the_backtest_promised_and_drift_in_red() -> None:
    fig = drift_over_time([make_report(0), make_report(1, wape=0.8)])
    line = named(fig, "1-7 days ahead")
    assert list(line.y) == pytest.approx([0.42 / 0.4, 0.8 / 0.4])
    assert list(line.marker.color) == ["#2563EB", DANGER]
    limits = [t for t in fig.data if t.line.dash == "dot"]
    assert list(limits[0].y) == pytest.approx([1.75, 1.75])
    assert "drift at 1 of 2 origins" in fig.layout.title.subtitle.text


def test_inputs_show_how_near_the_second_furthest_feature_is_to_its_limit() -> None:
    fig = drift_over_time([make_report(0)])
    (near,) = [t for t in fig.data if t.customdata is not None]
    assert list(near.y) == pytest.approx([0.05 / 0.15])
    assert list(near.customdata) == ["f2, f1"]


def test_one_origin_is_a_point_and_what_is_undefined_says_so() -> None:
    first = make_report(0) | {"errors": [], "coverage": None, "inputs": []}
    texts = [a.text for a in drift_over_time([first]).layout.annotations]
    assert "No forecast came due lately" in texts
    assert "No interval came due lately" in texts
    assert "Inputs were compared at no origin" in texts
    empty = drift_over_time([])
    assert any("No drift report yet" in a.text for a in empty.layout.annotations)
