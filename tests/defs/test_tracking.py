"""Tracking in the graph: what a training logged, and a training while MLflow is away, up to its replay."""

from pathlib import Path

import dagster as dg
import pytest

from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.tracking import replay_tracking
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.tracking.outbox import Outbox
from shelfops_pipeline.tracking.probe import tracking_uri
from shelfops_pipeline.tracking.run_record import RunRecord
from tests.defs.conftest import HORIZON, Graph
from tests.mlflow_server import assert_holds, client, free_port, runs_of


@pytest.fixture(scope="module")
def logged(graph: Graph) -> dict[str, RunRecord]:
    """What the training sent to MLflow, by version."""
    outbox = Outbox.of(graph.settings)
    assert outbox.waiting() == []
    records = [outbox.read(path)[0] for path in sorted(outbox.tracked.glob("run_*.json"))]
    return {r.version: r for r in records}


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings name an MLflow server that is not there."""
    uri = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("SHELFOPS_MLFLOW_TRACKING_URI", uri)
    return uri


def test_mlflow_has_all_that_was_sent(graph: Graph, logged: dict[str, RunRecord], tmp_path: Path) -> None:
    uri = tracking_uri(graph.settings)
    found = {run.info.run_name: run.info.run_id for run in runs_of(uri, "simulated")}
    assert set(found) == set(logged) == {e.version for e in Registry(graph.settings.models).entries()}
    for version, record in logged.items():
        assert_holds(uri, found[version], record, tmp_path / version)


def test_every_hyperparameter_metric_fold_time_tag_and_file_was_sent(
    graph: Graph, logged: dict[str, RunRecord]
) -> None:
    for version, run in logged.items():
        manifest = read_manifest(graph.settings.models / version)
        assert Recipe.model_validate(manifest.recipe).parameters().items() <= run.params.items()
        assert run.params["folds"] == 2
        assert run.params["horizon"] == HORIZON
        assert {"seed", "metric", "effort", "training_cutoff", "fold_origins"} <= set(run.params)
        assert manifest.metrics.items() <= run.metrics.items()
        wanted = {"mae", "mape", "wape", "bias", "rmse", "pinball", "coverage_90", "seasonal_naive/mae", "gate/ratio"}
        assert wanted <= set(run.metrics)
        assert wanted & set(manifest.metrics) <= set(run.fold_metrics)
        assert {len(values) for values in run.fold_metrics.values()} == {2}
        assert (run.dataset, run.trigger, run.tags["gate"]) == ("simulated", "manual", "promoted")
        files = {p.name for folder in run.artifacts.values() for p in folder.rglob("*")}
        assert {"xgboost.onnx", "shap_summary.png", "feature_importance.json", "model_card.md"} <= files
        assert {"training_summary.html", "index.html"} <= files


def test_training_time_is_what_the_fits_took(graph: Graph, logged: dict[str, RunRecord]) -> None:
    stats = {s.step_key: s for s in graph.pipeline.instance.get_run_step_stats(_run_id(graph))}
    for run in logged.values():
        parts = {name: run.metrics[f"seconds/{name}"] for name in ("features", "xgboost", "lstm")}
        for name, seconds in parts.items():
            step = stats[f"{run.tier}_{name}"]
            assert seconds is not None
            assert step.start_time is not None
            assert step.end_time is not None
            assert 0 < seconds < step.end_time - step.start_time
        assert run.metrics["training_seconds"] == run.seconds == pytest.approx(sum(filter(None, parts.values())))


def test_the_champions_are_named_by_alias(graph: Graph, logged: dict[str, RunRecord]) -> None:
    mlflow = client(tracking_uri(graph.settings))
    for version, run in logged.items():
        found = mlflow.get_model_version_by_alias(f"shelfops-simulated-{run.tier}", "champion")
        assert found.tags["shelfops.version"] == version


def test_while_mlflow_is_away_a_training_goes_on_and_the_sensor_replays_it(
    graph: Graph, away: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, instance = Outbox.of(graph.settings), graph.pipeline.instance
    train = graph.pipeline.definitions.resolve_job_def("train")
    done = train.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey("experiment_run")], tags={"trigger": "drift"}
    )
    assert done.success
    records = [outbox.read(path)[0] for path in outbox.waiting()]
    assert {r.trigger for r in records} == {"drift"}
    assert {r.dagster_run_id for r in records} == {done.run_id}

    def tick() -> dg.RunRequest | dg.SkipReason:
        found = replay_tracking(dg.build_sensor_context(instance), retailer=Retailer())
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found

    answer = tick()
    assert isinstance(answer, dg.SkipReason)
    assert "MLflow is away" in str(answer.skip_message)
    back = f"sqlite:///{tmp_path / 'back.db'}"
    monkeypatch.setenv("SHELFOPS_MLFLOW_TRACKING_URI", back)
    assert isinstance(tick(), dg.RunRequest)
    sync = graph.pipeline.definitions.resolve_job_def("sync_tracking")
    assert sync.execute_in_process(instance=instance).success
    assert isinstance(tick(), dg.SkipReason)
    found = {run.info.run_name: run.info.run_id for run in runs_of(back, "simulated")}
    assert set(found) == {r.version for r in records}
    for record in records:
        assert_holds(back, found[record.version], record, tmp_path / record.version)


def _run_id(graph: Graph) -> str:
    return next(r.run_id for r in graph.pipeline.instance.get_runs() if r.job_name == "train" and not r.asset_selection)
