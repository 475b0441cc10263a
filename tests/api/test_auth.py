"""Who comes in: keys, tokens, scopes; and what is said to everybody else."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import text

from shelfops_api.documentation import guards
from shelfops_api.main import ROUTERS, create_app
from shelfops_api.tokens import SettingsRefusedError
from shelfops_pipeline.contracts.access import ApiKey, Scope
from shelfops_pipeline.store.api_keys import issue_key, list_keys, revoke_key
from shelfops_pipeline.store.engine import for_database
from tests.api.doors import JWT_SECRET, KEY_REFRESH, Door, bearer, opened_door
from tests.api.support import DATASET, api_settings, check_problem, served, until
from tests.conftest import admin

OPEN = {"/healthz", "/readyz", "/metrics"}
PATH = "/v1/champion"  # behind the door: no champion in these tests


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, postgres_server: str, migrated_template: str) -> Iterator[Door]:
    admin(postgres_server, "CREATE DATABASE {} TEMPLATE {}", "door", migrated_template)
    with opened_door(tmp_path_factory.mktemp("door"), for_database(postgres_server, "door")) as opened:
        yield opened


def is_in(answer: httpx.Response) -> bool:
    """Did the caller come past the door?"""
    return answer.status_code == 503 and answer.json()["code"] == "no_champion"


def refused(door: Door, answer: httpx.Response, status: int, code: str) -> str:
    """The problem expected; returns the challenge."""
    check_problem(door.client, answer, status, code)
    return answer.headers["www-authenticate"]


def token(door: Door, scope: Scope = Scope.READ, **body: Any) -> str:
    answer = door.ask("POST", "/v1/tokens", scope, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def forged(secret: str = JWT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "shelfops",
        "aud": f"shelfops:{DATASET}",
        "sub": "0123456789ab",
        "name": "mallory",
        "scope": "admin",
        "iat": now,
        "exp": now + 600,
        "jti": "1",
    }
    claims |= changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm)


def test_every_route_asks_for_a_scope_but_the_probes(door: Door) -> None:
    """A route that is added without a guard fails here."""
    for route, guard in guards(ROUTERS):
        assert (guard is None) == (route.path in OPEN or not route.path.startswith("/v1/")), route.path
        if guard is None or guard.scope is None or not hasattr(route, "response_model"):
            continue
        for method in route.methods - {"HEAD"}:
            path = route.path_format
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", "1")
            assert "error=" not in refused(door, door.ask(method, path), 401, "unauthenticated")
            for scope in set(Scope) - {guard.scope, Scope.ADMIN}:
                challenge = refused(door, door.ask(method, path, scope), 403, "missing_scope")
                assert challenge.endswith(f'error="insufficient_scope", scope="{guard.scope}"'), path
            assert door.ask(method, path, guard.scope).status_code not in (401, 403), path
            assert door.ask(method, path, Scope.ADMIN).status_code not in (401, 403), path


def test_the_documentation_says_what_every_route_needs(door: Door) -> None:
    spec = door.client.get("/openapi.json").json()
    assert set(spec["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert spec["paths"][PATH]["get"]["security"] == [{"bearer": ["read"]}, {"apiKey": ["read"]}]
    assert "security" not in spec["paths"]["/healthz"]["get"]
    metrics = spec["paths"]["/metrics"]["get"]
    assert metrics["security"] == [{}, {"bearer": ["read"]}, {"apiKey": ["read"]}]  # none, where it is open
    assert {"401", "403"} <= set(metrics["responses"])
    assert {"401", "403", "429"} <= set(spec["paths"]["/v1/predict"]["post"]["responses"])


def test_a_key_opens_by_either_header_and_no_other_way(door: Door) -> None:
    key = door.keys[Scope.READ]
    assert is_in(door.ask("GET", PATH, Scope.READ))
    assert is_in(door.client.get(PATH, headers={"X-API-Key": key}))
    assert is_in(door.client.get(PATH, headers={"Authorization": f"bearer  {key}"}))
    for query in ("token", "key", "api_key", "access_token"):
        assert door.client.get(PATH, params={query: key}).status_code == 401
    for header in ("Basic c286eA==", "Bearer", key, ""):
        answer = door.client.get(PATH, headers={"Authorization": header})
        assert 'error="invalid_token"' in refused(door, answer, 401, "invalid_credentials")


def test_a_key_with_a_wrong_secret_or_of_another_retailer_is_refused(door: Door) -> None:
    known = ApiKey.parse(door.keys[Scope.READ])
    assert known is not None
    theirs = issue_key(door.engine, "another", "x", [Scope.ADMIN], by="tests")
    for key in (ApiKey(known.key_id, ApiKey.new().secret), ApiKey.new(), theirs):
        refused(door, door.client.get(PATH, headers=bearer(key.text)), 401, "invalid_credentials")


def test_a_key_is_known_at_once_and_its_revocation_within_seconds(door: Door) -> None:
    issued = issue_key(door.engine, DATASET, "new", [Scope.READ], by="tests")
    time.sleep(1.05)  # the keys are read for an unknown id at most once per second
    headers = bearer(issued.text)
    assert is_in(door.client.get(PATH, headers=headers))
    bought = door.client.post("/v1/tokens", headers=headers, json={}).json()["access_token"]
    until(lambda: list_keys(door.engine, DATASET)[-1].last_used_at is not None, 5)
    revoke_key(door.engine, DATASET, "new", by="tests")
    until(lambda: not is_in(door.client.get(PATH, headers=headers)), 10 * KEY_REFRESH)
    refused(door, door.client.get(PATH, headers=headers), 401, "invalid_credentials")
    refused(door, door.client.get(PATH, headers=bearer(bought)), 401, "invalid_credentials")


def test_an_expired_key_is_refused(door: Door) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    issued = issue_key(door.engine, DATASET, "short", [Scope.READ], by="tests", expires_at=soon)
    until(lambda: is_in(door.client.get(PATH, headers=bearer(issued.text))), 5)
    until(lambda: not is_in(door.client.get(PATH, headers=bearer(issued.text))), 5)


def test_a_token_has_some_of_its_keys_scopes(door: Door) -> None:
    answer = door.ask("POST", "/v1/tokens", Scope.ADMIN, json={"scopes": ["predict", "read"]})
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 900, "predict read")
    assert is_in(door.client.get(PATH, headers=bearer(body["access_token"])))
    denied = door.client.post("/v1/tokens", headers=bearer(token(door, Scope.PREDICT)), json={})
    check_problem(door.client, denied, 403, "key_required")
    check_problem(
        door.client, door.ask("POST", "/v1/tokens", Scope.READ, json={"scopes": ["admin"]}), 403, "scope_not_held"
    )
    refused(door, door.client.get(PATH, headers=bearer(token(door, Scope.PREDICT))), 403, "missing_scope")


def test_a_token_of_admin_for_reading_only_reads(door: Door) -> None:
    weak = bearer(token(door, Scope.ADMIN, scopes=["read"]))
    assert is_in(door.client.get(PATH, headers=weak))
    refused(door, door.client.post("/v1/predict", headers=weak, json={}), 403, "missing_scope")


@pytest.mark.parametrize(
    "make",  # as late as it is shown: tokens expire
    [
        pytest.param(partial(forged, secret="x" * 40), id="another secret"),
        pytest.param(partial(forged, secret="", algorithm="none"), id="alg none"),
        pytest.param(partial(forged, algorithm="HS512", secret=JWT_SECRET * 2), id="another algorithm and secret"),
        pytest.param(partial(forged, secret=JWT_SECRET * 2, algorithm="HS512"), id="another algorithm"),
        pytest.param(partial(forged, aud="shelfops:other"), id="another audience"),
        pytest.param(partial(forged, aud=None), id="no audience"),
        pytest.param(partial(forged, iss="elsewhere"), id="another issuer"),
        pytest.param(partial(forged, exp=None), id="no expiry"),
        pytest.param(partial(forged, exp="soon"), id="unreadable expiry"),
        pytest.param(partial(forged, nbf=int(time.time()) + 3000), id="not yet"),
        pytest.param(partial(forged, scope="root"), id="unknown scope"),
        pytest.param(partial(forged, scope=7), id="scope of another type"),
        pytest.param(partial(forged, scope=None), id="no scope"),
        pytest.param(partial(forged, name=None), id="no name"),
        pytest.param(forged, id="well signed, of a key that is not there"),
        pytest.param(lambda: "e30.e30.", id="empty"),
        pytest.param(lambda: "." * 5000, id="dots"),
        pytest.param(lambda: "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2V0Yy9wYXNzd2QifQ.e30.AAAA", id="path in kid"),
    ],
)
def test_a_forged_token_is_refused(door: Door, make: Callable[[], str]) -> None:
    refused(door, door.client.get(PATH, headers=bearer(make())), 401, "invalid_credentials")


def test_an_expired_token_says_so(door: Door) -> None:
    refused(door, door.client.get(PATH, headers=bearer(forged(exp=int(time.time()) - 1))), 401, "token_expired")


def test_a_token_that_was_good_expires(door: Door) -> None:
    known = ApiKey.parse(door.keys[Scope.READ])
    assert known is not None
    short = bearer(forged(sub=known.key_id, scope="read", exp=int(time.time()) + 3))
    assert is_in(door.client.get(PATH, headers=short))
    until(lambda: door.client.get(PATH, headers=short).status_code == 401)
    refused(door, door.client.get(PATH, headers=short), 401, "token_expired")


def test_known_keys_work_while_the_warehouse_is_away_and_unknown_ones_are_told_to_wait(
    tmp_path: Path, warehouse_url_of_test: str
) -> None:
    with opened_door(tmp_path, warehouse_url_of_test) as door:
        assert is_in(door.ask("GET", PATH, Scope.READ))
        with door.engine.begin() as connection:
            connection.execute(text("ALTER TABLE api_keys RENAME TO gone"))
        time.sleep(3 * KEY_REFRESH)
        assert is_in(door.ask("GET", PATH, Scope.READ))
        refused(door, door.client.get(PATH, headers=bearer(ApiKey.new().text)), 401, "invalid_credentials")
    nowhere = "postgresql://me@127.0.0.1:1/x"
    with served(api_settings(tmp_path, nowhere, api_auth="on")) as client:
        answer = client.get(PATH, headers=bearer(ApiKey.new().text))
        check_problem(client, answer, 503, "warehouse_unavailable")
        assert answer.headers["retry-after"]


def test_development_is_open_to_this_machine_only(tmp_path: Path) -> None:
    with served(api_settings(tmp_path, None)) as client:
        assert is_in(client.get(PATH))
        assert is_in(client.get(PATH, headers={"Host": "localhost:8000", "Origin": "http://localhost:8000"}))
        rebound = client.get(PATH, headers={"Host": "evil.example", "Origin": "http://evil.example"})
        check_problem(client, rebound, 401, "unauthenticated")
        foreign = client.post("/v1/predict", headers={"Origin": "http://evil.example"}, json={})
        check_problem(client, foreign, 403, "origin_refused")
        assert client.get(PATH, headers=bearer("nonsense")).status_code == 401
        check_problem(client, client.get(PATH, headers={"Host": "["}), 401, "unauthenticated")
        check_problem(client, client.get(PATH, headers={"Origin": "http://["}), 403, "origin_refused")


def test_auth_that_is_switched_off_is_off_for_everybody(tmp_path: Path) -> None:
    with served(api_settings(tmp_path, None, api_auth="off")) as client:
        assert is_in(client.get(PATH, headers={"Host": "shelfops.example"}))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"api_mode": "production"}, "needs SHELFOPS_API_JWT_SECRET"),
        ({"api_mode": "production", "api_jwt_secret": "x" * 31}, "fewer than 32 bytes"),
        ({"api_mode": "production", "api_jwt_secret": "x" * 64}, "can be guessed"),
        ({"api_mode": "production", "api_jwt_secret": "changeme-1234567890-abcdefghijklmnop"}, "can be guessed"),
        ({"api_mode": "production", "api_jwt_secret": JWT_SECRET, "api_auth": "off"}, "is refused"),
        ({"api_jwt_secret": "short"}, "fewer than 32 bytes"),
    ],
)
def test_settings_that_leave_the_door_open_are_refused(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsRefusedError, match=says) as refusal:
        create_app(api_settings(tmp_path, None, **settings))
    assert "\n" not in str(refusal.value)
    assert settings.get("api_jwt_secret", "?") not in str(refusal.value)


def test_production_starts_with_a_secret_and_asks_everybody(tmp_path: Path) -> None:
    with served(api_settings(tmp_path, None, api_mode="production", api_jwt_secret=JWT_SECRET)) as client:
        check_problem(client, client.get(PATH), 401, "unauthenticated")
        assert client.get("/healthz").status_code == 200
