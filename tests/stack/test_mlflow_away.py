"""`shelfops train` beside an MLflow that is well, dead or slow; and the replay once it is back."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shelfops_pipeline.services.pipeline import open_pipeline
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.outbox import Outbox
from tests.domain.tracking.faulty import door
from tests.mlflow_server import assert_holds, mlflow_server, runs_of

EXTRA_SECONDS = 10
SMALL = {"STORES": "3", "ITEMS": "16", "DAYS": "150"}


def shelfops(home: Path, uri: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own, on a small simulated retailer."""
    environment = os.environ | {f"SHELFOPS_SIMULATED_{k}": v for k, v in SMALL.items()}
    environment |= {"SHELFOPS_HOME": str(home), "SHELFOPS_MLFLOW_TRACKING_URI": uri, "SHELFOPS_EFFORT": "0.05"}
    command = [sys.executable, "-c", "from shelfops_pipeline.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def tracking_seconds(home: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long the step took that logs the run."""
    monkeypatch.setenv("SHELFOPS_HOME", str(home))
    with open_pipeline(Settings()) as pipeline:
        (run,) = pipeline.instance.get_runs(limit=1)
        (step,) = pipeline.instance.get_run_step_stats(run.run_id, ["experiment_run"])
        assert step.start_time is not None
        assert step.end_time is not None
        return step.end_time - step.start_time


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_training_loses_seconds_and_nothing_else(
    embedded_home: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    homes = {name: embedded_home(name) for name in ("well", "dead", "slow")}
    seconds = {}
    with mlflow_server(tmp_path) as server, door(None, "dripping") as slow:
        for name, uri in (("well", server.url), ("dead", server.url), ("slow", slow)):
            if name == "dead":
                server.kill()
            done = shelfops(homes[name], uri, "train", "--dataset", "simulated", "--horizon", "14")
            assert done.returncode == 0, done.stderr
            seconds[name] = tracking_seconds(homes[name], monkeypatch)
            record_property(f"seconds of experiment_run, MLflow {name}", round(seconds[name], 1))
        assert max(seconds.values()) - seconds["well"] < EXTRA_SECONDS
        away = shelfops(homes["dead"], server.url, "models", "sync-tracking")
        assert away.returncode == 1
        assert "is away" in away.stderr

        server.start()
        for name in ("dead", "slow"):
            outbox = Outbox(homes[name])
            records = [outbox.read(path)[0] for path in outbox.waiting()]
            assert len(records) == 2
            done = shelfops(homes[name], server.url, "models", "sync-tracking")
            assert done.returncode == 0, done.stderr
            assert "2 runs sent" in done.stdout
            assert "0 runs sent" in shelfops(homes[name], server.url, "models", "sync-tracking").stdout
            found = {r.data.tags["shelfops.key"]: r.info.run_id for r in runs_of(server.url, "simulated")}
            for record in records:
                assert_holds(server.url, found[record.key], record, tmp_path / record.key)
        assert len(runs_of(server.url, "simulated")) == 6
        record_property("runs in MLflow after the replay, each complete", 6)
