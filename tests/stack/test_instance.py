"""The Dagster instance of a home: prepared once, shared storage, and no run that is STARTED for ever."""

import os
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._core.utils import make_new_run_id

from shelfops_pipeline.defs.dead_runs import dead_runs, fail_dead_runs
from shelfops_pipeline.services.doctor import checks
from shelfops_pipeline.services.instance import (
    DAGSTER_URL,
    dagster_home,
    dagster_instance,
    is_embedded,
    warehouse,
)
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.shipped import shipped_file

DEAD_PID = 2**22 + 1  # above the kernel's limit: never a process


@pytest.fixture
def home_settings(tmp_path: Path, postgres_url: str) -> Settings:
    return Settings(home=tmp_path, database_url=postgres_url, dagster_database_url=postgres_url)


def started_run(
    instance: dg.DagsterInstance,
    pid: int | None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    tags: Mapping[str, str] | None = None,
) -> str:
    """A run that says it runs in process `pid`, and is never heard of again."""
    run = create_run_for_test(instance, run_id=make_new_run_id(), status=status, tags=tags)
    if pid is not None:
        data = EngineEventData(metadata={"pid": dg.MetadataValue.text(str(pid))})
        instance.report_engine_event("Started process for run", run, data)
    return str(run.run_id)


def test_dead_runs_fail_and_living_ones_go_on(home_settings: Settings, postgres_url: str) -> None:
    with dagster_instance(home_settings, postgres_url) as instance:
        instance.event_log_storage.set_concurrency_slots("training", 1)
        dead, living, unknown = (started_run(instance, pid) for pid in (DEAD_PID, os.getpid(), None))
        instance.event_log_storage.claim_concurrency_slot("training", dead, "step")
        never = started_run(instance, None, dg.DagsterRunStatus.NOT_STARTED)  # killed when it had just been made
        assert fail_dead_runs(instance) == [dead]
        assert set(fail_dead_runs(instance, launcher_gone=True)) == {unknown, never}
        statuses = {r: instance.get_run_by_id(r).status for r in (dead, living, unknown, never)}  # type: ignore[union-attr]
        assert statuses[dead] is statuses[unknown] is statuses[never] is dg.DagsterRunStatus.FAILURE
        assert statuses[living] is dg.DagsterRunStatus.STARTED
        assert instance.event_log_storage.get_concurrency_run_ids() == set()


def test_a_sensor_fails_the_dead_runs_of_the_code_server_and_no_others(
    home_settings: Settings, postgres_url: str
) -> None:
    launched = {GRPC_INFO_TAG: "{}"}
    canceling = dg.DagsterRunStatus.CANCELING
    with dagster_instance(home_settings, postgres_url) as instance:
        dead = started_run(instance, DEAD_PID, tags=launched)
        stopped = started_run(instance, DEAD_PID, canceling, tags=launched)
        others = (started_run(instance, os.getpid(), tags=launched), started_run(instance, None, tags=launched))
        elsewhere = started_run(instance, DEAD_PID)  # of a command, maybe on another machine
        said = dead_runs.evaluate_tick(dg.build_sensor_context(instance)).skip_message or ""
        assert (dead in said, stopped in said) == (True, True)
        statuses = {run.run_id: run.status for run in instance.get_runs()}
        assert statuses.pop(dead) is dg.DagsterRunStatus.FAILURE
        assert statuses.pop(stopped) is dg.DagsterRunStatus.CANCELED
        assert statuses == dict.fromkeys((*others, elsewhere), dg.DagsterRunStatus.STARTED)
        said = dead_runs.evaluate_tick(dg.build_sensor_context(instance)).skip_message or ""
        assert said == "every run at work has its process"


def test_the_environment_is_set_only_while_the_instance_is_open(
    home_settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv(DAGSTER_URL, "before")
    with dagster_instance(home_settings, postgres_url):
        assert os.environ["DAGSTER_HOME"] == str(home_settings.root / "dagster")
        assert os.environ[DAGSTER_URL].startswith("postgresql+psycopg2://")
    assert "DAGSTER_HOME" not in os.environ
    assert os.environ[DAGSTER_URL] == "before"


def test_an_edited_dagster_yaml_is_kept_and_an_untouched_one_follows_the_shipped(home_settings: Settings) -> None:
    file = dagster_home(home_settings) / "dagster.yaml"
    assert file.read_text() == shipped_file("dagster.yaml").read_text()
    file.write_text("telemetry: {enabled: false}\n")
    dagster_home(home_settings)
    assert file.read_text() == "telemetry: {enabled: false}\n"


def test_a_given_warehouse_is_used_as_it_is(home_settings: Settings, postgres_url: str) -> None:
    with warehouse(home_settings) as url:
        assert url == postgres_url
    assert not is_embedded(home_settings)
    assert not (home_settings.root / "postgres").exists()


def test_doctor_names_what_is_wrong_and_never_the_password(tmp_path: Path) -> None:
    secret = "pa55-w0rd"  # noqa: S105
    settings = Settings(
        home=tmp_path,
        database_url=f"postgresql://me:{secret}@127.0.0.1:1/db",
        redis_url=f"redis://:{secret}@127.0.0.1:1/0",
        mlflow_tracking_uri=f"http://me:{secret}@127.0.0.1:1",
    )
    found = {check.name: check for check in checks(settings)}
    assert {name for name in ("Database", "Redis", "MLflow", "Champion") if not found[name].ok} == {
        *("Database", "Redis", "MLflow", "Champion")
    }
    assert found["Python"].ok
    assert found["Packages [ml]"].ok
    assert secret not in repr(found)
    assert all(check.remedy for check in found.values() if not check.ok)


def test_doctor_counts_the_runs_that_wait_for_mlflow_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "run_20240304T120000.000000Z.json").write_text("{}")
    (found,) = (check for check in checks(Settings(home=tmp_path)) if check.name == "MLflow")
    assert not found.ok
    assert "wait for it: 1" in found.detail
    assert found.remedy == "shelfops models sync-tracking"
    assert {p.name for p in tmp_path.iterdir()} == {"reports"}
