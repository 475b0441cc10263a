"""`lstm_importance.json`: what drives the LSTM, by input and by how long ago it was."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from shelfops_pipeline.explain.recurrent import TOLERANCE, Attribution

SCHEMA_VERSION: Final = 1
METHOD: Final = "expected gradients (Erion et al. 2021)"
MEASURE: Final = "mean absolute change of log demand, relative to the series' usual level"


def lstm_importance(found: Attribution) -> dict[str, Any]:
    """The content of the file. `inputs` are sorted, the strongest first; `history` begins with the last period."""
    strength = np.abs(found.values).mean(axis=0)
    rows = [
        {"part": part, "input": name, "mean_abs": float(value)}
        for (part, name), value in zip(found.inputs, strength, strict=True)
    ]
    by_age = np.abs(found.by_age).mean(axis=0)
    return {
        "schema_version": SCHEMA_VERSION,
        "method": METHOD,
        "measure": MEASURE,
        "rows": len(found.values),
        "background": found.background,
        "steps": found.steps,
        "largest_change": found.largest,
        "largest_gap": found.gap,
        "tolerance": TOLERANCE,
        "inputs": sorted(rows, key=lambda row: (-row["mean_abs"], row["part"], row["input"])),
        "history": [{"periods_ago": i, "mean_abs": float(value)} for i, value in enumerate(by_age)],
    }


def write_lstm_importance(path: Path, content: dict[str, Any]) -> None:
    """Write `lstm_importance.json`."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_lstm_importance(path: Path) -> list[dict[str, Any]]:
    """The inputs of a `lstm_importance.json`, strongest first: part, input, mean_abs."""
    inputs: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["inputs"]
    return inputs
