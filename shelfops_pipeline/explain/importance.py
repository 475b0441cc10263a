"""`feature_importance.json`: which features matter, how much, and what they mean."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from shelfops_pipeline.contracts.features import Feature
from shelfops_pipeline.explain.shap_values import Explanation

SCHEMA_VERSION: Final = 1
MEASURE: Final = "mean absolute SHAP value on the margin, which is the log of demand"


def feature_importance(booster: Any, explanation: Explanation, features: Sequence[Feature]) -> list[dict[str, Any]]:
    """Rows of feature, definition, unit, mean_abs_shap, gain and splits; the strongest first.

    `features` are in column order. `gain` is the mean loss reduction of a split on the feature; null for a
    feature that no tree splits on. Raises ValueError if the names differ from the explanation's.
    """
    names = tuple(f.name for f in features)
    if names != explanation.names:
        raise ValueError("The features are not those of the explanation, in its order.")
    strength = np.abs(explanation.values).mean(axis=0) if len(explanation.values) else np.full(len(names), np.nan)
    gain, splits = (booster.get_score(importance_type=kind) for kind in ("gain", "weight"))
    rows = [
        {
            "feature": f.name,
            "definition": f.definition,
            "unit": f.unit,
            "mean_abs_shap": float(value) if np.isfinite(value) else None,
            "gain": float(gain[f"f{i}"]) if f"f{i}" in gain else None,
            "splits": int(splits.get(f"f{i}", 0)),
        }
        for i, (f, value) in enumerate(zip(features, strength, strict=True))
    ]
    return sorted(rows, key=lambda row: (-(row["mean_abs_shap"] or 0.0), row["feature"]))


def write_importance(path: Path, importance: Sequence[dict[str, Any]], rows: int) -> None:
    """Write `feature_importance.json`; `rows` is the number of explained rows."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "measure": MEASURE,
        "rows": rows,
        "features": list(importance),
    }
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_importance(path: Path) -> list[dict[str, Any]]:
    """The rows of a `feature_importance.json`, strongest first."""
    features: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["features"]
    return features
