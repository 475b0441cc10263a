"""Two versions side by side: only scores of the same folds, only parameters that differ, every file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from shelfops_pipeline.contracts.bundle import BACKTEST_METRICS, Manifest
from shelfops_pipeline.lifecycle.compare import compare
from shelfops_pipeline.lifecycle.registry import Registry


@pytest.fixture
def version(registry: Registry, make_bundle: Callable[..., Manifest]) -> Callable[..., Path]:
    """A bundle whose ensemble has this MAE on these folds (and twice that WAPE), on n rows each."""

    def make(name: str, mae: float, folds: Sequence[str], n: int = 100, **changes: object) -> Path:
        make_bundle(name, **changes)
        rows = [
            (tier, model, origin, metric, value + (model != "ensemble"), n, "")
            for tier, model in (("production", "ensemble"), ("production", "lstm"))
            for origin in (*folds, "all")
            for metric, value in (("wape", 2 * mae), ("mae", mae), ("mase", 9.0))
        ]
        columns = ["tier", "model", "origin", "metric", "value", "n", "why"]
        pd.DataFrame(rows, columns=columns).to_parquet(registry.models / name / BACKTEST_METRICS, index=False)
        return registry.models / name

    return make


def test_scores_of_the_same_folds_stand_side_by_side(version: Callable[..., Path]) -> None:
    folds = ["2025-01-08", "2025-01-22"]
    found = compare(version("v1", 2.0, folds), version("v2", 1.5, folds))
    assert found.folds == tuple(folds)
    assert found.note == ""
    assert found.scores == [
        (origin, metric, a, b) for origin in (*folds, "all") for metric, a, b in (("mae", 2, 1.5), ("wape", 4, 3))
    ]


def test_where_only_some_folds_are_common_only_these_are_compared(version: Callable[..., Path]) -> None:
    found = compare(version("v1", 2.0, ["2025-01-08", "2025-01-22"]), version("v2", 1.5, ["2025-01-22", "2025-02-05"]))
    assert found.folds == ("2025-01-22",)
    assert {origin for origin, *_ in found.scores} == {"2025-01-22"}


def test_without_a_common_fold_no_score_is_shown_and_the_reason_is(version: Callable[..., Path]) -> None:
    found = compare(version("v1", 2.0, ["2025-01-08"]), version("v2", 1.5, ["2025-02-05"]))
    assert found.scores == []
    assert found.note == (
        "no fold in common, so their scores say nothing about each other (v1: 2025-01-08; v2: 2025-02-05)"
    )


def test_other_rows_in_a_common_fold_are_told(version: Callable[..., Path]) -> None:
    found = compare(version("v1", 2.0, ["2025-01-08"], n=100), version("v2", 1.5, ["2025-01-08"], n=90))
    assert found.note == "scored on other rows in 2 of them"


def test_a_version_without_a_backtest_is_told(version: Callable[..., Path]) -> None:
    first, second = version("v1", 2.0, ["2025-01-08"]), version("v2", 1.5, ["2025-01-08"])
    (second / BACKTEST_METRICS).unlink()
    found = compare(first, second)
    assert found.scores == []
    assert found.note.startswith("v2: no backtest_metrics.parquet")


def test_only_parameters_that_differ_are_shown(version: Callable[..., Path]) -> None:
    first = version("v1", 2, ["a"], recipe={"xgboost": {"rounds": 10, "max_depth": 8}, "windows": [7, 28]}, seed=7)
    second = version("v2", 2, ["a"], recipe={"xgboost": {"rounds": 20, "max_depth": 8}, "tuned": "at 30"}, seed=8)
    assert compare(first, second).parameters == [
        ("xgboost.rounds", 10, 20),
        ("windows", "7, 28", None),
        ("seed", 7, 8),
        ("tuned", None, "at 30"),
    ]


def test_every_file_is_told_with_its_size_and_whether_it_is_the_same(version: Callable[..., Path]) -> None:
    first, second = version("v1", 2.0, ["a"]), version("v2", 2.0, ["a"])
    (first / "note.txt").write_text("seen")
    (second / "lstm.onnx").write_bytes((first / "lstm.onnx").read_bytes())
    files = {name: rest for name, *rest in compare(first, second).files}
    assert files["note.txt"] == [4, None, False]
    assert files["lstm.onnx"] == [15, 15, True]
    assert files["xgboost.onnx"] == [18, 18, False]
