"""Which candidate is a challenger, and what it forecasts in the champion's shadow."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from shelfops_pipeline.contracts.bundle import MANIFEST, XGBOOST_ONNX, Manifest
from shelfops_pipeline.contracts.columns import MEAN, PRICE, Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.monitoring.shadow import find_challengers, shadow_table

Candidate = Callable[..., str]


def test_without_a_candidate_there_is_no_challenger(registry: Registry, candidate: Candidate) -> None:
    assert find_challengers(registry).versions == {}
    registry.promote(candidate(Tier.PRODUCTION), "better")
    found = find_challengers(registry)
    assert found.versions == {}
    assert found.why_none[Tier.PRODUCTION] == "no candidate is newer than the champion"
    assert found.why_none[Tier.COLD_START] == "no candidate"


def test_the_latest_candidate_that_is_newer_than_the_champion_challenges(
    registry: Registry, candidate: Candidate
) -> None:
    candidate(Tier.PRODUCTION)  # v1, refused: older than the champion
    registry.promote(candidate(Tier.PRODUCTION), "better")
    assert find_challengers(registry).versions == {}
    candidate(Tier.PRODUCTION)
    newest, cold = candidate(Tier.PRODUCTION), candidate(Tier.COLD_START)
    assert find_challengers(registry).versions == {Tier.PRODUCTION: newest, Tier.COLD_START: cold}


def test_a_damaged_challenger_is_left_out_with_the_reason(registry: Registry, candidate: Candidate) -> None:
    registry.promote(candidate(Tier.PRODUCTION), "better")
    damaged = candidate(Tier.PRODUCTION)
    (registry.models / damaged / XGBOOST_ONNX).write_text("something else")
    found = find_challengers(registry)
    assert found.versions == {}
    assert "does not match its checksum" in found.why_none[Tier.PRODUCTION]


def copied(source: Path, folder: Path) -> None:
    """The bundle under another version's name."""
    shutil.copytree(source, folder)
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(manifest.model_copy(update={"version": folder.name}).model_dump_json())


@pytest.fixture
def rivals(bundles: dict[str, Path], tmp_path: Path) -> Registry:
    """The same model as champion and as challenger."""
    registry = Registry(tmp_path / "models")
    for name in ("v1", "v2"):
        copied(bundles["log"], registry.models / name)
        registry.register(read_manifest(registry.models / name), 2.0, "trained")
    registry.promote("v1", "better")
    return registry


def test_a_challenger_forecasts_the_series_that_it_would_serve(rivals: Registry, retailer_panel: Panel) -> None:
    panel = retailer_panel.take(np.arange(12))
    assert find_challengers(rivals).versions == {Tier.PRODUCTION: "v2"}
    table = shadow_table(panel, rivals, {Tier.PRODUCTION: "v2"}, Metric.MAE)
    assert table.num_rows == panel.n_series * 14
    assert pc.unique(table.column("model_version")).to_pylist() == ["v2"]
    assert pc.min(table.column(MEAN)).as_py() >= 0


def test_a_challenger_that_needs_what_the_panel_has_no_more_says_so(rivals: Registry, retailer_panel: Panel) -> None:
    panel = retailer_panel.take(np.arange(12))
    without = replace(panel, channels={k: v for k, v in panel.channels.items() if k != PRICE})
    with pytest.raises(DataError, match="the panel has no 'price', which a challenger was trained with"):
        shadow_table(without, rivals, {Tier.PRODUCTION: "v2"}, Metric.MAE)
