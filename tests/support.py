"""What more than one room's tests need."""

import os
from pathlib import Path

import pytest


def real_data(dataset: str) -> Path:
    """The directory of a real data set; skips the test with a reason where it is not at hand."""
    root = os.environ.get("SHELFOPS_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data"
    folder = Path(root) / dataset
    if not folder.is_dir():
        pytest.skip(
            f"{dataset} is not at hand: set SHELFOPS_REAL_DATA to a folder that holds {dataset}/ (docs/data.md)"
        )
    return folder
