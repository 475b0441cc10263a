"""Experiment tracking against a real MLflow database store, and without any MLflow."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.mlflow_store import model_name, tracking_uri
from shelfops_pipeline.tracking.track import RunRecord, git_commit, replay_runs, set_alias, track_run

FAST = 10
# MLflow 3.17's own tables use a loader option that SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "a home", mlflow_tracking_uri=None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database store for the tests that only need a working MLflow; making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


def make_run(settings: Settings, version: str = "v1", **changes: Any) -> RunRecord:
    bundle = settings.models / version
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "manifest.json").write_text('{"version": "v1"}')
    (bundle / "xgboost.ubj").write_bytes(b"model")
    charts = settings.reports / "runs" / version
    charts.mkdir(parents=True, exist_ok=True)
    (charts / "tier_comparison.html").write_text("<html></html>")
    run = RunRecord(
        version=version,
        dataset="simulated",
        tier="production",
        trigger="weekly",
        params={"xgboost.rounds": 400, "transform": "log", "long": "x" * 9000, "odd: name": None},
        metrics={"mae": 3.3, "wape": 0.42, "mape": None, "mase": float("nan"), "coverage_90": 0.9},
        artifacts={"bundle": bundle, "reports": charts},
        alias="candidate",
        dagster_run_id="dagster-1",
        started_at=datetime(2024, 3, 4, 12, 0, tzinfo=UTC),
        ended_at=datetime(2024, 3, 4, 12, 5, tzinfo=UTC),
    )
    return replace(run, **changes)


def client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_run_is_logged_with_params_metrics_tags_and_artifacts(settings: Settings) -> None:
    """In the default store: a database in the home, although its path holds a space."""
    result = track_run(settings, make_run(settings))
    assert result.where == "mlflow"
    mlflow = client(tracking_uri(settings))
    logged = mlflow.get_run(result.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.info.end_time - logged.info.start_time == 300_000
    assert logged.data.metrics == {"mae": 3.3, "wape": 0.42, "coverage_90": 0.9}
    assert logged.data.params["xgboost.rounds"] == "400"
    assert logged.data.params["tier"] == "production"
    expected = {"dataset": "simulated", "trigger": "weekly", "version": "v1", "tier": "production"}
    expected |= {"dagster_run_id": "dagster-1", "undefined_metrics": "mape, mase"}
    assert expected.items() <= logged.data.tags.items()
    assert logged.data.tags.get("mlflow.source.git.commit") == git_commit()
    assert {f.path for f in mlflow.list_artifacts(result.run_id, "bundle")} == {
        "bundle/manifest.json",
        "bundle/xgboost.ubj",
    }
    assert (settings.root / "mlflow" / "artifacts").is_dir()
    assert not list(settings.reports.glob("run_*.json"))


def test_the_bundle_is_registered_without_pickle_and_the_alias_moves(settings: Settings, store: str) -> None:
    first = track_run(settings, make_run(settings, "v1", dataset="alias"), store)
    second = track_run(settings, make_run(settings, "v2", dataset="alias"), store)
    mlflow, name = client(store), model_name("alias", "production")
    candidate = mlflow.get_model_version_by_alias(name, "candidate")
    assert str(candidate.version) == second.model_version
    assert candidate.source.endswith("/bundle")
    downloaded = mlflow.download_artifacts(second.run_id, "bundle", str(settings.root))
    assert {p.suffix for p in Path(downloaded).iterdir()} == {".json", ".ubj"}
    assert set_alias(settings, "alias", "production", "v1", "champion", store)
    assert str(mlflow.get_model_version_by_alias(name, "champion").version) == first.model_version
    assert not set_alias(settings, "alias", "production", "v9", "champion", store)


def test_logging_the_same_run_twice_makes_one_run(settings: Settings, store: str) -> None:
    run = make_run(settings, dataset="twice")
    first, second = track_run(settings, run, store), track_run(settings, run, store)
    assert first == second
    mlflow = client(store)
    experiment = mlflow.get_experiment_by_name("shelfops/twice").experiment_id
    assert len(mlflow.search_runs([experiment])) == 1


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{}", "postgresql+psycopg2://someone:secret@127.0.0.1:{}/mlflow"])
def test_a_closed_port_falls_back_to_json_within_seconds(settings: Settings, uri: str) -> None:
    run = make_run(settings)
    started = time.monotonic()
    result = track_run(settings, run, uri.format(closed_port()))
    assert time.monotonic() - started < FAST
    assert result.where == "file"
    assert result.path is not None
    content = json.loads(result.path.read_text())
    assert content["run"]["params"] == dict(run.params)
    assert content["run"]["metrics"] == {"mae": 3.3, "wape": 0.42, "mape": None, "mase": None, "coverage_90": 0.9}
    assert content["undefined_metrics"] == ["mape", "mase"]
    assert content["run"]["artifacts"] == {"bundle": "models/v1", "reports": "reports/runs/v1"}
    assert "secret" not in result.path.read_text()


def test_a_server_that_never_answers_falls_back_within_seconds(settings: Settings) -> None:
    with silent_server() as port:
        started = time.monotonic()
        result = track_run(settings, make_run(settings), f"http://127.0.0.1:{port}")
    assert time.monotonic() - started < FAST
    assert result.where == "file"
    assert "timed out" in result.reason.lower()


def test_the_fallback_is_replayed_in_full_when_mlflow_is_back(settings: Settings, store: str) -> None:
    away = f"http://127.0.0.1:{closed_port()}"
    for version in ("v1", "v2"):
        track_run(settings, make_run(settings, version, dataset="replay"), away)
    still_away = replay_runs(settings, away)
    assert [r.where for r in still_away] == ["file"]
    assert len(list(settings.reports.glob("run_*.json"))) == 2

    done = replay_runs(settings, store)
    assert [r.where for r in done] == ["mlflow", "mlflow"]
    logged = client(store).get_run(done[0].run_id)
    assert logged.data.metrics == {"mae": 3.3, "wape": 0.42, "coverage_90": 0.9}
    assert logged.info.start_time == 1_709_553_600_000
    assert done[1].model_version == "2"
    assert not list(settings.reports.glob("run_*.json"))
    assert len(list((settings.reports / "replayed").glob("run_*.json"))) == 2
    assert replay_runs(settings, store) == []


def test_replay_says_which_artifacts_are_gone(settings: Settings, store: str) -> None:
    run = make_run(settings, dataset="gone")
    track_run(settings, run, f"http://127.0.0.1:{closed_port()}")
    (run.artifacts["reports"] / "tier_comparison.html").unlink()
    run.artifacts["reports"].rmdir()
    (done,) = replay_runs(settings, store)
    assert client(store).get_run(done.run_id).data.tags["missing_artifacts"] == "reports"


def test_a_store_that_breaks_midway_falls_back(settings: Settings, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is not a database" * 100)
    result = track_run(settings, make_run(settings), f"sqlite:///{broken}")
    assert result.where == "file"


def test_a_missing_artifact_folder_is_the_callers_mistake(settings: Settings) -> None:
    run = make_run(settings, artifacts={"bundle": settings.models / "nowhere"})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        track_run(settings, run)


def test_timeouts_do_not_leak_into_the_environment(
    settings: Settings, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    track_run(settings, make_run(settings, dataset="env"), store)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
