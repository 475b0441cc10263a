"""What is written to MLflow, on a real database store: complete, once, and finished where it was cut off."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.mlflow_store import COMPLETE_TAG, RunRefusedError, Store
from shelfops_pipeline.tracking.probe import TrackingUnavailableError
from tests.domain.tracking.conftest import MakeRun
from tests.mlflow_server import assert_holds, client, runs_of

# What dagster-mlflow 0.29 asks of Dagster 1.13.
pytestmark = pytest.mark.filterwarnings("ignore:InitResourceContext.(dagster_run|run_id) is deprecated")


@pytest.fixture
def mlflow(store: str, settings: Settings) -> Iterator[Store]:
    """MLflow in this process; what it leaves in the environment is taken back."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        yield Store.open(store, settings.root)
        while mlflow.active_run():
            mlflow.end_run("KILLED")
    mlflow.set_tracking_uri("")
    mlflow.set_registry_uri("")


class CutOffError(Exception):
    """Stands for the kill of the process."""


def cut(store: Store, name: str, calls: int = 1) -> Store:
    """A store whose client is cut off when `name` is called for the `calls`-th time."""
    left = [calls]

    class Client:
        def __getattr__(self, attribute: str) -> Any:
            if attribute == name:
                left[0] -= 1
                if left[0] == 0:
                    raise CutOffError
            return getattr(store.client, attribute)

    return dataclasses.replace(store, client=Client())


@pytest.mark.parametrize("dagster_run_id", ["dagster-1", None])
def test_every_parameter_metric_tag_and_artifact_is_there(
    mlflow: Store, make_run: MakeRun, tmp_path: Path, dagster_run_id: str | None
) -> None:
    run = make_run(dataset=f"whole-{dagster_run_id}", dagster_run_id=dagster_run_id)
    run_id, number = mlflow.log_run(run, "c0ffee")
    assert number == "1"
    assert_holds(mlflow.uri, run_id, run, tmp_path)
    assert client(mlflow.uri).get_run(run_id).data.tags["git_commit"] == "c0ffee"


def test_two_runs_of_one_training_do_not_mix(mlflow: Store, make_run: MakeRun, tmp_path: Path) -> None:
    """They share the Dagster run, by which dagster-mlflow would find one of them for the other."""
    first, second = make_run(dataset="pair"), make_run("v2", dataset="pair", metrics={"mae": 1.0})
    for run in (first, second):
        assert_holds(mlflow.uri, mlflow.log_run(run, None)[0], run, tmp_path / run.version)


def test_a_complete_run_is_not_logged_again(mlflow: Store, make_run: MakeRun) -> None:
    run = make_run(dataset="twice")
    assert mlflow.log_run(run, None) == mlflow.log_run(run, None)
    assert len(runs_of(mlflow.uri, "twice")) == 1


@pytest.mark.parametrize(
    "step", ["log_batch", "get_run", "create_model_version", "set_terminated", "delete_run", "set_tag"]
)
def test_a_run_that_was_cut_off_is_completed_and_there_once(
    mlflow: Store, make_run: MakeRun, tmp_path: Path, step: str
) -> None:
    run = make_run(dataset=f"cut-{step}")
    if step == "delete_run":  # a server that was slow did twice what it was asked
        experiment = mlflow._experiment(run.dataset)
        mlflow._create(experiment, run)
        mlflow._create(experiment, run)
    with pytest.raises(CutOffError):
        cut(mlflow, step, calls=2 if step == "log_batch" else 1).log_run(run, None)
    assert not [r for r in runs_of(mlflow.uri, run.dataset) if COMPLETE_TAG in r.data.tags]
    run_id, number = mlflow.log_run(run, None)
    assert [r.info.run_id for r in runs_of(mlflow.uri, run.dataset)] == [run_id]
    assert_holds(mlflow.uri, run_id, run, tmp_path)
    versions = client(mlflow.uri).search_model_versions(f"run_id = '{run_id}'")
    assert [str(v.version) for v in versions] == [number]


def test_a_bundle_is_registered_without_pickle(mlflow: Store, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(dataset="bundle")
    _, number = mlflow.log_run(run, None)
    found = client(mlflow.uri).get_model_version("shelfops-bundle-production", number)
    assert found.source.endswith("/bundle")
    downloaded = client(mlflow.uri).download_artifacts(found.run_id, "bundle", str(tmp_path))
    assert {p.suffix for p in Path(downloaded).iterdir()} == {".json", ".ubj"}


def test_aliases_follow_and_stay_behind_where_a_run_is_missing(mlflow: Store, make_run: MakeRun) -> None:
    name, runs = "shelfops-alias-production", [make_run(v, dataset="alias") for v in ("v1", "v2", "v3")]
    for run in runs[:2]:
        mlflow.log_run(run, None)
    one, two, missing = (run.key for run in runs)
    first = {"champion": one, "challenger": two}
    assert mlflow.set_aliases({name: first}) == {name: first}
    later = mlflow.set_aliases({name: {"champion": missing, "challenger": None}})
    assert later == {name: {"champion": one, "challenger": None}}
    assert client(mlflow.uri).get_registered_model(name).aliases == {"champion": 1}
    assert mlflow.set_aliases({"shelfops-nobody-production": {"champion": one}}) == {
        "shelfops-nobody-production": {"champion": None}
    }


@pytest.mark.parametrize("dagster_run_id", ["dagster-1", None])
@pytest.mark.parametrize("wrong", [{"params": {"": 1}}, {"tags": {"": "no name"}}])
def test_a_run_that_mlflow_will_not_have_is_refused_and_does_not_touch_the_next(
    mlflow: Store, make_run: MakeRun, tmp_path: Path, wrong: dict[str, Any], dagster_run_id: str | None
) -> None:
    dataset = f"refused-{next(iter(wrong))}-{dagster_run_id}"
    bad = make_run(dataset=dataset, dagster_run_id=dagster_run_id, **wrong)
    with pytest.raises(RunRefusedError, match="name"):
        mlflow.log_run(bad, None)
    good = make_run("v2", dataset=dataset, dagster_run_id=dagster_run_id)
    assert_holds(mlflow.uri, mlflow.log_run(good, None)[0], good, tmp_path)


def test_a_store_that_is_no_database_is_unavailable(settings: Settings, tmp_path: Path, make_run: MakeRun) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is not a database" * 100)
    with pytest.raises(TrackingUnavailableError):
        Store.open(f"sqlite:///{broken}", settings.root).log_run(make_run(), None)
