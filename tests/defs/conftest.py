"""A small simulated retailer whose graph was really run once, on a real Dagster instance and a real warehouse."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import s3fs
from sqlalchemy import Engine

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.services.ingest import sync
from shelfops_pipeline.services.pipeline import Pipeline, open_pipeline
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import open_engine
from tests.conftest import make_databases

SIZES = {"simulated_stores": 3, "simulated_items": 16, "simulated_days": 150}
HORIZON = 14


@dataclass
class Graph:
    """A retailer whose graph has run."""

    settings: Settings
    pipeline: Pipeline
    engine: Engine
    steps: list[tuple[str, str]]

    @property
    def span(self) -> tuple[date, date]:
        return date(2024, 1, 1), date(2024, 1, 1) + timedelta(days=SIZES["simulated_days"] - 1)

    @property
    def artifacts(self) -> Path:
        return self.settings.root / "artifacts"

    @property
    def panel(self) -> Panel:
        return Panel.load(artifact_root(self.settings).folder("panel"))


@pytest.fixture(scope="session")
def graph(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph after one whole run; tests must not change what it left."""
    databases = make_databases(postgres_server, "graph")
    values: dict[str, Any] = SIZES | {"horizon": HORIZON, "effort": 0.05, "folds": 2, "dataset": "simulated"}
    values |= {"home": tmp_path_factory.mktemp("graph")} | databases
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"SHELFOPS_{name.upper()}", str(value))
        settings = Settings()
        steps: list[tuple[str, str]] = []
        with open_pipeline(settings) as pipeline:
            sync(pipeline, lambda step, what: steps.append((step, what)))
            pipeline.train(lambda step, what: steps.append((step, what)))
            engine = open_engine(databases["database_url"])
            yield Graph(settings, pipeline, engine, steps)
            engine.dispose()


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """An S3 server on loopback, with a bucket; its address goes to clients by the environment, as a user's would."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("shelf")
        yield "s3://shelf"
    server.stop()


def files_under(folder: Path) -> dict[str, bytes]:
    """Every file's content by relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
