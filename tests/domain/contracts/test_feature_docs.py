"""docs/features.md: current, and complete for every feature that a retailer can have."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.contracts.features import feature_list

ROOT = Path(__file__).parents[3]
COLUMNS = ("feature", "tiers", "definition", "unit", "source", "range")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "feature_docs.py"))


def rows(page: str, grain: Grain) -> dict[str, dict[str, str]]:
    """Feature -> column -> cell, of one grain's table."""
    heading = "## Daily" if grain is Grain.DAY else "## Weekly"
    section = page.split(heading)[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    cells = [dict(zip(COLUMNS, (cell.strip() for cell in line), strict=True)) for line in lines]
    return {row["feature"].strip("`"): row for row in cells}


def test_the_page_is_current(script: dict[str, Any]) -> None:
    assert (ROOT / "docs" / "features.md").read_text() == script["render"](), "run `make docs`"


@pytest.mark.parametrize("grain", Grain)
def test_every_feature_of_both_tiers_is_there(script: dict[str, Any], grain: Grain) -> None:
    listed = {f.name for tier in Tier for f in feature_list(script["spec"](tier, grain), log=True)}
    assert set(rows(script["render"](), grain)) == listed


@pytest.mark.parametrize("grain", Grain)
def test_every_feature_says_everything_about_itself(script: dict[str, Any], grain: Grain) -> None:
    incomplete = {
        f"{name}: {column}"
        for name, row in rows(script["render"](), grain).items()
        for column in COLUMNS
        if not row[column]
    }
    assert incomplete == set()
