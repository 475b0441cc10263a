"""How much a caller may ask for: requests per minute, shared by Redis and kept without it; bytes; depth."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_api.body import MAX_DEPTH, is_deeper_than
from shelfops_api.errors import MOST_FAULTS, Problem
from shelfops_api.limits import WINDOW_SECONDS, Allowance, RateLimiter
from shelfops_pipeline.contracts.access import Scope
from tests.api.doors import Door, opened_door
from tests.api.support import api_settings, check_problem, served
from tests.redis_server import RedisServer

LIMIT = 10


class Clock:
    """A time that tests set; 7 seconds into a window."""

    now = 1000 * WINDOW_SECONDS + 7.0

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock, redis: RedisServer | None = None, limit: int = LIMIT) -> RateLimiter:
    url = None if redis is None else redis.url
    return RateLimiter(api_settings(Path(), None, api_rate_per_minute=limit, redis_url=url), clock)


def passes(limited: RateLimiter, client: str = "key:a") -> int:
    """How many requests of `client` pass before one does not."""
    for count in range(1000):
        try:
            limited.take(client)
        except Problem:
            return count
    raise AssertionError("there is no limit")


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("r"))
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def sharing(*limiters: RateLimiter) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.watch()) for each in limiters]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_each_caller_has_a_count_of_its_own() -> None:
    limited = limiter(Clock())
    assert passes(limited, "key:a") == LIMIT
    assert passes(limited, "key:b") == LIMIT
    assert passes(limited, "key:a") == 0


def test_the_window_slides() -> None:
    clock = Clock()
    limited = limiter(clock)
    assert passes(limited) == LIMIT
    clock.now += WINDOW_SECONDS - 7  # the next minute begins
    assert passes(limited) == 0
    clock.now += WINDOW_SECONDS / 2
    assert passes(limited) == LIMIT / 2
    clock.now += 5 * WINDOW_SECONDS
    assert passes(limited) == LIMIT


def test_who_waits_as_told_passes() -> None:
    clock = Clock()
    limited = limiter(clock)
    for _ in range(5):
        passes(limited)
        with pytest.raises(Problem) as refusal:
            limited.take("key:a")
        told = int((refusal.value.headers or {})["Retry-After"])
        assert 1 <= told <= 2 * WINDOW_SECONDS
        clock.now += told
        limited.take("key:a")


def test_what_is_left_is_told() -> None:
    limited = limiter(Clock())
    assert limited.take("key:a") == Allowance(LIMIT, LIMIT - 1, 54)
    assert limited.take("key:a") == Allowance(LIMIT, LIMIT - 2, 54)
    assert limiter(Clock(), limit=0).take("key:a") is None


def test_two_processes_share_one_count(redis: RedisServer) -> None:
    async def run() -> None:
        first, second = limiter(Clock(), redis), limiter(Clock(), redis)
        async with sharing(first, second):
            for _ in range(LIMIT - 3):
                first.take("key:a")
            await asyncio.sleep(0.6)
            second.take("key:a")
            await asyncio.sleep(0.6)
            assert passes(second) == 2
            await asyncio.sleep(0.6)
            assert passes(first) == 0 or passes(first) == 0

    asyncio.run(run())


def test_without_redis_each_process_counts_for_itself_and_shares_again_when_it_is_back(redis: RedisServer) -> None:
    async def run() -> None:
        first, second = limiter(Clock(), redis), limiter(Clock(), redis)
        async with sharing(first, second):
            redis.stop()
            for _ in range(LIMIT - 1):
                first.take("key:a")
            await asyncio.sleep(0.6)
            assert passes(second, "key:b") == LIMIT
            redis.start()
            await asyncio.sleep(2)
            second.take("key:a")
            await asyncio.sleep(0.6)
            assert passes(second) == 0

    asyncio.run(run())


@pytest.fixture
def door(tmp_path: Path, warehouse_url_of_test: str) -> Iterator[Door]:
    with opened_door(tmp_path, warehouse_url_of_test, api_rate_per_minute=LIMIT) as opened:
        yield opened


def test_one_request_too_many_is_refused_with_the_time_to_wait(door: Door) -> None:
    for left in reversed(range(LIMIT)):
        answer = door.ask("GET", "/v1/champion", Scope.READ)
        assert answer.headers["ratelimit-policy"] == f'"minute";q={LIMIT};w=60'
        assert f"r={left};" in answer.headers["ratelimit"]
    answer = door.ask("GET", "/v1/champion", Scope.READ)
    check_problem(door.client, answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 70
    assert door.ask("GET", "/v1/champion", Scope.ADMIN).status_code == 503
    assert door.client.get("/healthz").status_code == 200


def test_whoever_guesses_keys_is_slowed_and_others_are_not(door: Door) -> None:
    guesses = [door.client.get("/v1/champion", headers={"X-API-Key": "guess"}).status_code for _ in range(LIMIT + 2)]
    assert guesses == [401] * LIMIT + [429] * 2
    assert door.ask("GET", "/v1/champion", Scope.READ).status_code == 503


def test_metrics_count_by_route_and_never_by_path_or_caller(door: Door) -> None:
    door.ask("GET", "/v1/forecasts/S1/milk-of-many-kinds", Scope.READ)
    door.client.get("/v1/champion", headers={"X-API-Key": "guess"})
    door.client.get("/no/such/path")
    text = door.client.get("/metrics").text
    route = "/v1/forecasts/{store_id}/{item_id:path}"
    assert f'shelfops_api_requests_total{{method="GET",route="{route}",status="503"}} 1.0' in text
    assert 'shelfops_api_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'shelfops_api_refused_total{code="invalid_credentials"} 1.0' in text
    assert f'shelfops_api_request_seconds_count{{route="{route}"}} 1.0' in text
    assert 'shelfops_up{service="warehouse"} 1.0' in text
    assert "shelfops_forecasts_age_seconds NaN" in text
    assert "process_resident_memory_bytes" in text
    assert "milk" not in text
    assert "read-er" not in text


def test_metrics_can_be_closed(tmp_path: Path, warehouse_url_of_test: str) -> None:
    with opened_door(tmp_path, warehouse_url_of_test, api_metrics_auth="on") as door:
        check = door.client.get("/metrics")
        assert (check.status_code, check.json()["code"]) == (401, "unauthenticated")
        assert door.ask("GET", "/metrics", Scope.READ).status_code == 200


def test_metrics_say_what_is_away(tmp_path: Path, redis: RedisServer) -> None:
    away = api_settings(tmp_path, "postgresql://me@127.0.0.1:1/x", redis_url=redis.url)
    with served(away) as client:
        text = client.get("/metrics").text
        assert 'shelfops_up{service="redis"} 1.0' in text
        assert 'shelfops_up{service="warehouse"} 0.0' in text
        redis.stop()
        assert 'shelfops_up{service="redis"} 0.0' in client.get("/metrics").text


def nested(depth: int) -> Any:
    value: Any = 1
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def test_a_body_may_be_nested_so_deep_and_no_deeper(door: Door) -> None:
    for depth, status, code in ((MAX_DEPTH, 422, "invalid_request"), (MAX_DEPTH + 1, 422, "body_too_deep")):
        answer = door.ask("POST", "/v1/tokens", Scope.READ, json=nested(depth))
        check_problem(door.client, answer, status, code)
    for content in (b"[" * 900_000, b'{"a":' * 150_000):
        headers = {"Content-Type": "application/json"}
        answer = door.ask("POST", "/v1/tokens", Scope.READ, content=content, headers=headers)
        check_problem(door.client, answer, 422, "body_too_deep")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab[]{}"\\é\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a[}"\\'), inner, max_size=3),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(json_values, st.booleans())
def test_depth_is_counted_as_a_parser_would(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    depth = depth_of(value)
    assert not is_deeper_than(depth, text)
    assert depth == 0 or is_deeper_than(depth - 1, text)


UNENDED = b'"' + b'\\"' * 450_000


@pytest.mark.parametrize("end", [UNENDED, UNENDED + b"\\", b'""' * 450_000, b"[]" * 450_000])
def test_no_text_keeps_the_service_busy_with_its_depth(end: bytes) -> None:
    """A scan that begins anew at every character would not come to an end here."""
    assert not is_deeper_than(MAX_DEPTH, b"[]" * (MAX_DEPTH + 1) + end)


def test_of_very_many_faults_a_hundred_are_named(door: Door) -> None:
    wish = {"scopes": ["read"], **{f"f{i}": i for i in range(1000)}}
    answer = door.ask("POST", "/v1/tokens", Scope.READ, json=wish)
    assert len(check_problem(door.client, answer, 422, "invalid_request")["errors"]) == MOST_FAULTS


def test_pages_of_listed_origins_may_read_answers_and_others_may_not(tmp_path: Path) -> None:
    ours, other = "https://plan.example.com", "https://evil.example.com"
    wanted = "authorization,idempotency-key,if-match,if-none-match,x-api-key,x-request-id"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    with served(api_settings(tmp_path, None, api_auth="on", api_cors_origins=f" {ours} , http://x:1")) as client:
        answer = client.options("/v1/predict", headers={"Origin": ours, **preflight})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ours)
        assert "access-control-allow-credentials" not in answer.headers
        refused = client.options("/v1/predict", headers={"Origin": other, **preflight})
        assert "access-control-allow-origin" not in refused.headers
        assert "access-control-allow-origin" not in client.get("/v1/champion", headers={"Origin": other}).headers


@pytest.mark.parametrize("origin", ["*", "https://*", "plan.example.com", "https://x/path", "null", "https://a@b"])
def test_what_is_no_origin_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        api_settings(tmp_path, None, api_cors_origins=f"https://fine.example,{origin}")


@pytest.mark.parametrize("path", ["/healthz", "/v1/champion", "/nowhere", "/docs", "/", "/metrics"])
def test_every_answer_tells_browsers_to_be_careful(door: Door, path: str) -> None:
    headers = door.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert len(headers.get_list("content-security-policy")) == 1
    assert ("unsafe-inline" in headers["content-security-policy"]) == (path == "/docs")
