"""Around the routes: probes, ids, logs, limits, documentation."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel

from shelfops_api import errors, schemas
from shelfops_api.main import _from_environment
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.settings import Settings
from tests.api.support import BROKEN, Retailer, api_settings, check_problem, served

SERIES = {"series": [{"store_id": "S0", "item_id": "milk"}]}
ROUTES = (("GET", "/readyz"), ("GET", "/v1/champion"), ("GET", "/v1/forecasts/S0/milk"), ("POST", "/v1/predict"))


def call(api: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    return api.request(method, path, json=SERIES if method == "POST" else None, **options)


def test_it_is_alive_and_ready(api: httpx.Client) -> None:
    assert api.get("/healthz").json() == {"status": "alive"}
    assert api.get("/readyz").json() == {
        "status": "ready",
        "release": "v2+v1",
        "warehouse": "published",
        "open_to": "this machine",
    }


def test_the_champion_is_described(api: httpx.Client, retailer: Retailer) -> None:
    answer = api.get("/v1/champion").json()
    assert datetime.fromisoformat(answer.pop("published_at")) <= datetime.now(UTC)
    assert answer == {
        "version": "v2",
        "tier": "production",
        "mae": 2.5,
        "release": "v2+v1",
        "dataset": "corner_shop",
        "grain": "day",
        "horizon": 14,
        "training_cutoff": retailer.panel.last_observed.isoformat(),
        "channels": ["open", "on_promotion", "price", "holiday", "warmth"],
        "metrics": {"mae": 2.5, "mape": None},
        "promoted_at": "2025-08-01T03:00:00Z",
        "cold_start": {"version": "v1", "tier": "cold_start", "mae": 3.5},
    }


@pytest.mark.parametrize("given", ["abc-123_x.Y", "a" * 64])
def test_a_sane_request_id_comes_back(api: httpx.Client, given: str) -> None:
    for method, path in ROUTES:
        assert call(api, method, path, headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", 'a"}', "é"])
def test_any_other_request_id_is_replaced(api: httpx.Client, given: str) -> None:
    answer = api.get("/healthz", headers={b"X-Request-ID": given.encode()})
    assert len(answer.headers["x-request-id"]) == 32


def test_no_other_origin_may_read_answers(api: httpx.Client) -> None:
    for method, path in (*ROUTES, ("OPTIONS", "/v1/predict")):
        headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        assert not [name for name in call(api, method, path, headers=headers).headers if "access-control" in name]


def test_unknown_paths_and_methods_are_problems_too(api: httpx.Client) -> None:
    for answer, status, code in (
        (api.get("/v2/nothing"), 404, "not_found"),
        (api.delete("/v1/champion"), 405, "method_not_allowed"),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert errors.ProblemBody.model_validate_json(answer.content).code == code


def test_a_problem_is_told_whatever_the_query_is_made_of(api: httpx.Client) -> None:
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=5) as raw:
        raw.sendall(b"GET /nowhere?\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer  # 400: by the server, for an invalid address


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_above_the_limit_is_refused_declared_or_not(api: httpx.Client, declared: bool) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b" " * 100_000

    content = b" " * 1_100_000 if declared else chunks()
    answer = api.post("/v1/predict", content=content, headers={"Content-Type": "application/json"})
    assert check_problem(api, answer, 413, "body_too_large")["detail"]


def test_every_line_logged_is_json_with_the_request_id_and_no_secret(
    retailer: Retailer, published_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(api_settings(retailer.models.parent, published_url)) as api:
        api.get("/v1/champion?token=hunter2", headers={"X-Request-ID": "ask-1"})
        broken = {"series": [dict(zip(("store_id", "item_id"), BROKEN, strict=True))]}
        api.post("/v1/predict", json=broken, headers={"X-Request-ID": "ask-2"})
    with served(api_settings(retailer.models.parent, "postgresql://me:hunter2@127.0.0.1:1/x")) as api:
        api.get("/v1/forecasts/S0/milk", headers={"X-Request-ID": "ask-3"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    lines = [line for line in lines if line["logger"] != "httpx"]  # the client's, which is in this process
    assert "hunter2" not in str(lines)
    of = {name: [line for line in lines if line.get("request_id") == name] for name in ("ask-1", "ask-2", "ask-3")}
    (first,) = of["ask-1"]
    assert (first["event"], first["path"], first["status"], first["release"]) == (
        "request",
        "/v1/champion",
        200,
        "v2+v1",
    )
    assert any("ValueError: payload" in line.get("exception", "") for line in of["ask-2"])
    assert {line["event"] for line in of["ask-3"]} == {"warehouse_unavailable", "request"}


def models_with_examples() -> list[type[BaseModel]]:
    every = [kind for kind in vars(schemas).values() if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [kind for kind in every if "json_schema_extra" in kind.model_config]


def test_the_documentation_is_valid_complete_and_has_examples_that_hold(api: httpx.Client) -> None:
    spec = api.get("/openapi.json").json()
    OpenAPI.model_validate(spec)
    known = spec["components"]["schemas"]
    assert "HTTPValidationError" not in known
    used = {part.split('"')[0] for part in json.dumps(spec).split("#/components/schemas/")[1:]}
    assert used <= set(known)
    for kind in models_with_examples():
        for example in known[kind.__name__]["examples"]:
            kind.model_validate(example, extra="forbid")
    assert {"Alive", "Ready", "ChampionAnswer", "SeriesForecast", "PredictRequest", "PredictAnswer"} <= {
        kind.__name__ for kind in models_with_examples()
    }
    for path, operations in spec["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"], path
            assert "500" in operation["responses"]


def test_settings_mean_what_they_mean_in_the_pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"DATASET": "m5", "METRIC": "rmse", "DATABASE_URL": "postgresql://u:p@h/d"}.items():
        monkeypatch.setenv(f"SHELFOPS_{name}", value)
    for home in ("", str(tmp_path)):
        monkeypatch.setenv("SHELFOPS_HOME", home)
        ours, theirs = ApiSettings(), Settings()
        assert (ours.root, ours.models) == (theirs.root, theirs.models)
        assert (ours.dataset, ours.metric, ours.database_url) == (theirs.dataset, theirs.metric, theirs.database_url)
    assert "u:p" not in repr(ours)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379/hunter2"),
        ("REDIS_URL", "redis://:hunter2@localhost:port/0"),
        ("REDIS_URL", "redis://:hunter2@localhost/0?colour=red"),
        ("DATABASE_URL", "hunter2"),
        ("API_CORS_ORIGINS", "*"),
        ("API_MAX_BATCH", "many"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SHELFOPS_{name}", value)
    with pytest.raises(SystemExit) as stop:
        _from_environment()
    line = str(stop.value)
    assert line.startswith("shelfops: ")
    assert f"SHELFOPS_{name}" in line or "database URL" in line
    assert "\n" not in line
    assert "hunter2" not in line


def test_metrics_say_what_serves_and_where_answers_were_found(api: httpx.Client) -> None:
    for _ in range(2):
        assert api.get("/v1/forecasts/S0/milk").status_code == 200
    lines = dict(line.rsplit(" ", 1) for line in api.get("/metrics").text.splitlines() if line[0] != "#")
    assert float(lines['shelfops_api_answers_total{origin="memory"}']) >= 1
    assert float(lines['shelfops_api_answers_total{origin="warehouse"}']) >= 1
    assert lines['shelfops_champion_info{cold_start="v1",release="v2+v1",version="v2"}'] == "1.0"
    assert 0 <= float(lines["shelfops_forecasts_age_seconds"]) < 3600
    assert lines['shelfops_up{service="warehouse"}'] == "1.0"
