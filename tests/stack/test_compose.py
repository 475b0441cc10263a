"""The compose stack's files: clean for docker-compose, and in agreement with settings, pins and metrics."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from shelfops_api.metrics import Metrics
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.defs.delivery import LOOK_SECONDS, MISSES, REPLY_SECONDS
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.embedded import DATABASES

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
FILES = [COMPOSE, ROOT / "Dockerfile", ROOT / "Dockerfile.ml", ROOT / ".env.example", ROOT / "deploy" / "settings.env"]
CORE = {
    *("timescaledb", "redis", "mlflow", "dagster-webserver", "dagster-daemon", "pipeline-code", "ml-worker"),
    *("io-worker", "api", "prepare"),
}
PORTS = {"timescaledb": 5432, "redis": 6379, "mlflow": 5000, "dagster-webserver": 3000, "api": 8000}
SECRETS = re.compile(r"^([A-Z_]+(?:PASSWORD|SECRET))=(.*)$", flags=re.M)
needs_compose = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="apt-get install docker-compose")


def compose(folder: Path, environment: str, *profiles: str) -> "subprocess.CompletedProcess[str]":
    """What docker-compose makes of the file with this .env."""
    file = folder / "env"
    file.write_text(environment)
    command = ["docker-compose", "--env-file", str(file), "-f", str(COMPOSE)]
    command += [word for profile in profiles for word in ("--profile", profile)]
    return subprocess.run([*command, "config"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin"})


def example(secret: str) -> str:
    """.env.example with every secret filled in."""
    text, count = SECRETS.subn(rf"\1={secret}", (ROOT / ".env.example").read_text())
    assert count
    return text


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


@needs_compose
def test_docker_compose_finds_the_file_clean(tmp_path: Path) -> None:
    done = compose(tmp_path, example("0123456789abcdef" * 3), "core", "scale", "observe")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert set(yaml.safe_load(done.stdout)["services"]) > CORE


@needs_compose
@pytest.mark.parametrize("name", [match[1] for match in SECRETS.finditer((ROOT / ".env.example").read_text())])
def test_nothing_starts_while_a_secret_is_empty(name: str, tmp_path: Path) -> None:
    empty = re.sub(rf"^{name}=.*$", f"{name}=", example("0123456789abcdef" * 3), flags=re.M)
    done = compose(tmp_path, empty, "core")
    assert done.returncode != 0
    assert ".env.example" in done.stderr


def test_the_example_has_no_secret_that_works() -> None:
    assert {match[2] for match in SECRETS.finditer((ROOT / ".env.example").read_text())} == {""}


def test_every_variable_of_the_example_is_used_and_every_one_that_is_used_is_in_it() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text()))
    named = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.M))
    assert named - {"COMPOSE_PROFILES"} == used


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    known = {f"SHELFOPS_{name.upper()}" for kind in (Settings, ApiSettings) for name in kind.model_fields}
    assert set(re.findall(r"SHELFOPS_[A-Z_]+", file.read_text())) - known == set()


def test_core_is_what_the_standard_lists_and_its_ports_are_bound_to_loopback() -> None:
    found = {name: service for name, service in services().items() if service["profiles"] == ["core"]}
    assert set(found) == CORE
    for name, port in PORTS.items():
        [published] = found[name]["ports"]
        assert published.startswith("${BIND_ADDRESS:-127.0.0.1}:")
        assert published.endswith(f":{port}")
    assert {name for name in found if "ports" in found[name]} == set(PORTS)


@pytest.mark.parametrize("name", services())
def test_every_container_is_confined_limited_and_watched(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] in ("unless-stopped", "on-failure")
    assert service["deploy"]["resources"]["limits"]["memory"]
    built = service["image"].split(":")[0] in ("shelfops-api", "shelfops-ml", "shelfops-mlflow")  # in the Dockerfile
    assert built or "healthcheck" in service or name == "gateway"


def test_what_is_too_large_for_a_workers_memory_lies_on_a_volume() -> None:
    worker = services()["ml-worker"]
    temporary = worker["environment"]["TMPDIR"]
    assert temporary in worker["volumes"]
    assert temporary not in worker["tmpfs"]


@pytest.mark.parametrize("name", ["ml-worker", "io-worker"])
def test_a_worker_that_stops_is_gone_before_its_step_is_given_to_another(name: str) -> None:
    [seconds] = re.findall(r"^(\d+)s$", services()[name]["stop_grace_period"])
    assert int(seconds) < (MISSES - 1) * LOOK_SECONDS + REPLY_SECONDS


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.ml", "deploy/mlflow/Dockerfile"])
def test_our_images_run_as_an_unprivileged_user_and_are_asked_for_their_health(name: str) -> None:
    end = (ROOT / name).read_text().rsplit("\nFROM ", 1)[1]
    [user] = re.findall(r"^USER (\S+)$", end, flags=re.M)
    assert user in ("shelfops", "10001:10001")
    assert re.search(r"^HEALTHCHECK ", end, flags=re.M)


def test_mlflow_is_the_release_that_is_pinned() -> None:
    [image] = re.findall(r"mlflow/mlflow:v(\S+)", (ROOT / "deploy" / "mlflow" / "Dockerfile").read_text())
    assert f"\nmlflow=={image}\n" in (ROOT / "requirements-ml.txt").read_text()


def test_the_workspace_points_at_the_code_server() -> None:
    [entry] = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]
    server = entry["grpc_server"]
    command = services()[server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--location-name") + 1] == server["location_name"]


def test_the_databases_are_those_of_the_embedded_server_each_with_an_owner_of_its_own() -> None:
    script = (ROOT / "deploy" / "timescaledb" / "databases.sql").read_text()
    made = dict(re.findall(r"^CREATE DATABASE (\w+) OWNER (\w+);", script, flags=re.M))
    assert made == {name: name for name in DATABASES}


def exported() -> dict[str, set[str]]:
    """The labels of every metric of ours, as the API tells Prometheus."""
    metrics = Metrics()
    for metric in (*vars(metrics).values(), *vars(metrics.pipeline).values()):
        if isinstance(metric, MetricWrapperBase) and metric._labelnames:
            metric.labels(*metric._labelnames)
    text = generate_latest(metrics.registry).decode()  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in families
        if family.name.startswith("shelfops_")
    }


def queries() -> list[str]:
    board = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "shelfops.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def test_the_dashboard_shows_every_metric_by_labels_that_it_has() -> None:
    known, shown = exported(), set()
    for query in queries():
        names = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"shelfops_\w+", query)}
        assert names <= set(known), query
        labels = {label for name in names for label in known[name]} | {"le"}
        used = {label for group in re.findall(r" by \(([^)]*)\)", query) for label in group.split(", ")}
        assert used | set(re.findall(r"(\w+)=~?\"", query)) <= labels, query
        shown |= names
    assert shown == set(known)


def test_prometheus_keeps_the_labels_of_the_api_where_it_has_such_of_its_own() -> None:
    [scrape] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert {"job", "instance"} & set().union(*exported().values()) == {"job"}
    assert scrape["honor_labels"] is True
