"""A real MLflow server on loopback, as `shelfops up` and compose run it, and what it holds of a run."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shelfops_pipeline.charts.index import INDEX
from shelfops_pipeline.services.stack import answers
from shelfops_pipeline.tracking.run_record import RunRecord


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class MlflowServer:
    """It can be stopped and started again, on the same port and store."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ("server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        places = ("--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}")
        places += ("--artifacts-destination", str(self.folder / "artifacts"))
        with (self.folder / "server.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *arguments, *places],
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + 180
        while not answers(f"{self.url}/health"):
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the MLflow server does not answer"
            time.sleep(0.2)

    def kill(self) -> None:
        """At once, as a machine that loses power."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """A running server; killed when the block is left."""
    server = MlflowServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def client(uri: str) -> Any:
    """MLflow's own client, to look with."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(uri: str, dataset: str) -> list[Any]:
    """Every run of a data set that is not deleted."""
    mlflow = client(uri)
    experiment = mlflow.get_experiment_by_name(f"shelfops/{dataset}")
    return [] if experiment is None else list(mlflow.search_runs([experiment.experiment_id]))


def sums(folder: Path) -> dict[str, str]:
    """sha256 of every file under a folder, by relative path; of a run's page only that it is there, for it is written
    anew when a version is promoted or watched."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        str(p.relative_to(folder)): "" if p.name == INDEX else hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


def assert_holds(uri: str, run_id: str, run: RunRecord, scratch: Path) -> None:
    """MLflow has every parameter, metric, tag and artifact of `run`, and nothing else."""
    mlflow = client(uri)
    found = mlflow.get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == run.version
    assert abs(found.info.end_time - found.info.start_time - (run.seconds or 0) * 1000) <= 1
    assert found.data.params == {k.replace(":", "_"): str(v)[:6000] for k, v in run.params.items()} | {"tier": run.tier}
    expected: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in run.values():
        if value is not None:
            expected.setdefault(name, []).append((step, value))
    assert set(found.data.metrics) == set(expected)
    for name, points in expected.items():
        assert [(m.step, m.value) for m in mlflow.get_metric_history(run_id, name)] == points, name
    standard = {"dataset": run.dataset, "trigger": run.trigger, "version": run.version, "tier": run.tier}
    standard |= {} if run.dagster_run_id is None else {"dagster_run_id": run.dagster_run_id}
    assert (standard | dict(run.tags)).items() <= found.data.tags.items()
    assert found.data.tags.get("undefined_metrics", "") == ", ".join(run.undefined)
    assert {f.path for f in mlflow.list_artifacts(run_id)} == set(run.artifacts)
    for name, folder in run.artifacts.items():
        assert sums(Path(mlflow.download_artifacts(run_id, name, str(scratch)))) == sums(folder), name
