"""`shelfops doctor` on a deployment, for people and for programs; `shelfops migrate`, which it recommends."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.doctor import checks
from shelfops_pipeline.services.doctor_stack import Check, workers
from shelfops_pipeline.services.instance import dagster_instance
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.migrate import downgrade, revision_of, revisions
from tests.api.support import until
from tests.domain.lifecycle.conftest import write_stand_in
from tests.redis_server import RedisServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def deployment(tmp_path: Path, warehouse_url_of_test: str) -> Settings:
    return Settings(home=tmp_path, database_url=warehouse_url_of_test, dagster_database_url=warehouse_url_of_test)


@pytest.fixture
def run(deployment: Settings, command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`shelfops` on the deployment."""
    url = deployment.database_url
    assert url is not None
    values = {"HOME": str(deployment.root), "DATABASE_URL": url.get_secret_value(), "DATASET": "", "DATA": ""}
    for name, value in (values | {"DAGSTER_DATABASE_URL": url.get_secret_value()}).items():
        monkeypatch.setenv(f"SHELFOPS_{name}", value)
    return command


def found(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in checks(settings)}


def test_a_deployment_in_order_is_said_to_be(deployment: Settings, warehouse: Engine) -> None:
    told = found(deployment)
    assert [told[name].ok for name in ("Tables", "Clock", "Artifacts", "Dagster daemon")] == [True, True, True, False]
    assert told["Dagster daemon"].detail == "its storage was never used"
    url = deployment.database_url
    assert url is not None
    with dagster_instance(deployment, url.get_secret_value()):
        assert found(deployment)["Dagster daemon"].detail == "never ran"
    beat = "INSERT INTO daemon_heartbeats (daemon_type, daemon_id, timestamp) VALUES ('SENSOR', 'x', :at)"
    for ago, ok in ((10, True), (4000, False)):
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() - ago, UTC).replace(tzinfo=None)
        with warehouse.begin() as connection:
            connection.execute(text("DELETE FROM daemon_heartbeats"))
            connection.execute(text(beat), {"at": at})
        assert found(deployment)["Dagster daemon"].ok is ok


def test_tables_of_another_release_are_named_with_the_remedy(deployment: Settings, warehouse: Engine) -> None:
    downgrade(warehouse, "0007")
    behind = found(deployment)["Tables"]
    assert (behind.ok, behind.required, behind.remedy) == (False, True, "shelfops migrate")
    assert "0007" in behind.detail
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE shelfops_schema_version SET version_num = '9999'"))
    ahead = found(deployment)["Tables"]
    assert not ahead.ok
    assert "newer than this release" in ahead.detail


def test_a_storage_or_a_table_that_cannot_be_read_is_told(deployment: Settings, warehouse: Engine) -> None:
    elsewhere = SecretStr("postgresql://dagster@127.0.0.1:1/dagster")
    storage = found(deployment.model_copy(update={"dagster_database_url": elsewhere}))["Dagster daemon"]
    assert (storage.ok, storage.required) == (False, True)
    assert "cannot be read: Cannot open the database dagster on 127.0.0.1:1" in storage.detail
    assert "SHELFOPS_DAGSTER_DATABASE_URL" in storage.remedy
    with warehouse.begin() as connection:
        connection.execute(text("ALTER TABLE shelfops_schema_version RENAME version_num TO number"))
    told = found(deployment)
    assert not told["Tables"].ok
    assert "version_num" in told["Tables"].detail
    assert told["Clock"].ok


@pytest.mark.parametrize(("url", "ok"), [("memory://artifacts", True), ("nowhere://artifacts", False), (None, False)])
def test_the_artifact_store_is_tried(deployment: Settings, url: str | None, ok: bool) -> None:
    (deployment.root / "artifacts").write_text("a file where a directory should be")
    told = found(deployment.model_copy(update={"artifacts": url}))["Artifacts"]
    assert told.ok is ok
    assert ok or "SHELFOPS_ARTIFACTS" in told.remedy


def test_a_champion_is_verified_byte_by_byte(deployment: Settings) -> None:
    registry = Registry(deployment.models)
    registry.register(write_stand_in(deployment.models, "v1", dataset="simulated"), 2.0, "trained")
    registry.promote("v1", "first")
    assert "matches its checksum" in found(deployment)["Champion"].detail
    (deployment.models / "v1" / "lstm.onnx").write_text("x")
    damaged = found(deployment)["Champion"]
    assert not damaged.ok
    assert "lstm.onnx" in damaged.detail


def test_workers_are_counted_by_queue(deployment: Settings) -> None:
    assert workers(deployment).ok, "none are needed"
    with TemporaryDirectory(prefix="doctor-") as short, ExitStack() as started:
        redis = RedisServer(Path(short))
        redis.start()
        started.callback(redis.stop)
        url = redis.url.replace("unix://", "redis+socket://")
        settings = deployment.model_copy(update={"celery_broker_url": SecretStr(url)})
        told = workers(settings)
        assert (told.ok, told.required, told.detail) == (False, True, "ml: 0, dagster: 0")
        assert told.remedy.endswith("--queues ml,dagster")
        command = [sys.executable, "-m", "celery", "--broker", url, "worker", "--queues", "ml", "--pool", "solo"]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.callback(worker.wait)
        started.callback(worker.kill)
        until(lambda: workers(settings).detail == "ml: 1, dagster: 0", 120)
        assert workers(settings).remedy.endswith("--queues dagster")
        redis.stop()
        assert "the broker does not answer" in workers(settings).detail
    unknown = deployment.model_copy(update={"celery_broker_url": SecretStr("nowhere://broker")})
    assert "the broker does not answer" in workers(unknown).detail


def test_programs_get_one_json_object_and_the_exit_status(run: Run, warehouse: Engine) -> None:
    code, out, _ = run("doctor", "--json")
    told = {check["name"]: check for check in json.loads(out)["checks"]}
    assert set(told["Tables"]) == {"name", "ok", "detail", "remedy", "required"}
    assert code == int(any(check["required"] and not check["ok"] for check in told.values()))
    downgrade(warehouse, "0007")
    code, out, err = run("doctor", "--json")
    assert (code, json.loads(out)["checks"] != []) == (1, True)
    assert "needed, but missing: " in err
    assert "Tables" in err


def test_migrate_goes_up_and_back_and_refuses_what_it_does_not_know(run: Run, warehouse: Engine) -> None:
    newest = revisions()[0]
    code, out, _ = run("migrate", "--to", "0007")
    assert (code, f"{newest} → 0007" in out, revision_of(warehouse)) == (0, True, "0007")
    code, out, _ = run("migrate")
    assert (code, f"0007 → {newest}" in out, revision_of(warehouse)) == (0, True, newest)
    code, _, err = run("migrate", "--to", "7")
    assert (code, "no such revision; known are 0001" in err) == (1, True)
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE shelfops_schema_version SET version_num = '9999'"))
    code, _, err = run("migrate")
    assert (code, "a later release" in err) == (1, True)
