"""A run to log, and MLflows to log it to: one database store and one real server per session."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.contracts.bundle import RegistryEntry
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.lifecycle.files import write_json
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.run_record import RunRecord
from tests.mlflow_server import MlflowServer, mlflow_server

MADE = datetime(2024, 3, 4, 12, 0, 0, 250_000, tzinfo=UTC)
MakeRun = Callable[..., RunRecord]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home whose path holds a space."""
    return Settings(home=tmp_path / "a home", mlflow_tracking_uri=None)


@pytest.fixture
def make_run(settings: Settings) -> MakeRun:
    """A run with two folders of artifacts in the home; keywords change it."""

    def make(version: str = "v1", **changes: Any) -> RunRecord:
        bundle, charts = settings.models / version, settings.reports / "runs" / version
        for folder in (bundle, charts / "png"):
            folder.mkdir(parents=True, exist_ok=True)
        (bundle / "manifest.json").write_text(f'{{"version": "{version}"}}')
        (bundle / "xgboost.ubj").write_bytes(os.urandom(1000))
        (charts / "tier_comparison.html").write_text("<html></html>")
        (charts / "png" / "tier_comparison.png").write_bytes(b"a picture")
        run = RunRecord(
            version=version,
            dataset="simulated",
            tier="production",
            trigger="weekly",
            params={"xgboost_rounds": 400, "long": "x" * 9000, "odd: name": None} | {f"p{i}": i for i in range(120)},
            metrics={"mae": 3.3, "wape": 0.42, "mape": None, "mase": float("nan"), "seconds/lstm": 1.5},
            fold_metrics={"mae": [3.0, 3.6], "mape": [None, 0.2]},
            artifacts={"bundle": bundle, "reports": charts},
            made_at=MADE + timedelta(days=int(version[1:])),
            seconds=12.5,
            dagster_run_id="dagster-1",
            tags={"gate": "promoted"},
        )
        return replace(run, **changes)

    return make


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database store for tests that only need a working MLflow; making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real server; tests must leave it running."""
    with mlflow_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def register(settings: Settings, run: RunRecord, status: Status) -> None:
    """Put the run's version into the registry of the home, or give it another status."""
    path = settings.models / "registry.json"
    entries = {e.version: e for e in _entries(path)}
    entries[run.version] = RegistryEntry(
        version=run.version,
        feature_tier=Tier(run.tier),
        dataset=run.dataset,
        mae=1.0,
        status=status,
        created_at=run.made_at,
    )
    write_json(path, [e.model_dump(mode="json") for e in entries.values()])


def _entries(path: Path) -> list[RegistryEntry]:
    import json

    return [RegistryEntry.model_validate(e) for e in json.loads(path.read_text())] if path.is_file() else []
