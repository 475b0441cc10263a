"""Bundles that are complete to the registry: real manifests and checksums of stand-in files."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.contracts.bundle import (
    CALIBRATION,
    LSTM_NATIVE,
    LSTM_ONNX,
    MANIFEST,
    XGBOOST_NATIVE,
    XGBOOST_ONNX,
    Manifest,
)
from shelfops_pipeline.contracts.columns import QUANTILES, Grain, Tier
from shelfops_pipeline.contracts.features import feature_list
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import sha256
from tests.domain.support import small_spec

MakeBundle = Callable[..., Manifest]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def write_stand_in(models: Path, version: str, tier: Tier = Tier.PRODUCTION, **changes: Any) -> Manifest:
    """Write a bundle into a models directory; keywords go into the manifest."""
    folder = models / version
    folder.mkdir(parents=True)
    names = (CALIBRATION, XGBOOST_NATIVE, XGBOOST_ONNX, LSTM_NATIVE, LSTM_ONNX)
    for name in names:
        (folder / name).write_text(f"{name} of {version}")
    spec = small_spec(tier=tier)
    fields: dict[str, Any] = {
        "version": version,
        "dataset": "shop",
        "tier": tier,
        "grain": Grain.DAY,
        "horizon": spec.horizon,
        "transform": "log",
        "integer_demand": True,
        "spec": spec,
        "features": feature_list(spec, log=True),
        "static_categories": {"store_id": ("a",)},
        "channel_scales": {},
        "quantiles": QUANTILES,
        "training_start": date(2025, 1, 1),
        "training_cutoff": date(2025, 3, 1),
        "created_at": datetime(2025, 3, 2, tzinfo=UTC),
        "seed": 7,
        "holiday_kinds": (),
        "recipe": {},
        "metrics": {"mae": 2.0},
        "library_versions": {},
        "sha256": {name: sha256(folder / name) for name in names},
    }
    manifest = Manifest(**{**fields, **changes})
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return manifest


@pytest.fixture
def make_bundle(registry: Registry) -> MakeBundle:
    """Write a bundle into the registry's directory; keywords go into the manifest."""
    return partial(write_stand_in, registry.models)


@pytest.fixture
def make_bundle_in() -> Callable[..., str]:
    """Write and register a candidate in any registry; returns its version."""

    def make(registry: Registry, tier: Tier = Tier.PRODUCTION, mae: float = 2.0, **changes: Any) -> str:
        version = registry.next_version()
        registry.register(write_stand_in(registry.models, version, tier, **changes), mae, "trained")
        return version

    return make


@pytest.fixture
def candidate(registry: Registry, make_bundle_in: Callable[..., str]) -> Callable[..., str]:
    """Write and register a candidate; returns its version."""
    return partial(make_bundle_in, registry)
