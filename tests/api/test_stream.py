"""Live alerts: what is told, to whom, and what becomes of watchers that misbehave, of Redis, and of revoked keys."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError
from sqlalchemy import Engine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shelfops_api import announcements
from shelfops_api.alert_hub import QUEUE_LENGTH, AlertHub, Watcher
from shelfops_api.routes.stream import FRAMES_PER_MINUTE, LONGEST_FRAME
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.contracts.messages import AlertMessage, alerts_channel
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.alerts import alert_message, list_alerts, resolve
from shelfops_pipeline.store.api_keys import revoke_key
from shelfops_pipeline.store.bus import announce
from shelfops_pipeline.store.replenishment_records import Alert, StockAlert
from tests.api.doors import Door, bearer, opened_door
from tests.api.support import DATASET
from tests.redis_server import RedisServer

PATIENCE = 10.0


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("r"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def door(tmp_path: Path, warehouse_url_of_test: str, redis: RedisServer) -> Iterator[Door]:
    options = {"api_alert_poll_seconds": 0.2, "api_heartbeat_seconds": 0.5, "api_cors_origins": "https://plan.example"}
    with opened_door(tmp_path, warehouse_url_of_test, redis_url=redis.url, **options) as opened:
        yield opened


@asynccontextmanager
async def watching(door: Door, scope: Scope | None = Scope.READ, **options: Any) -> AsyncIterator[ClientConnection]:
    headers = {} if scope is None else bearer(door.keys[scope])
    url = str(door.client.base_url).replace("http", "ws") + "/v1/alerts/stream"
    async with connect(url, additional_headers=headers | options.pop("headers", {}), **options) as socket:
        yield socket


async def told(socket: ClientConnection, event: str | None = None) -> dict[str, Any]:
    """The next message; of `event`, or any that is no heartbeat."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["event"] == event or (event is None and message["event"] != "heartbeat"):
                return message


async def close_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def refusal(door: Door, scope: Scope | None = Scope.READ, **options: Any) -> tuple[int, str]:
    """Status and code with which a stream is not opened."""
    with pytest.raises(InvalidStatus) as refused:
        async with watching(door, scope, **options):
            pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.body or b"{}")["code"]


def find(engine: Engine, *items: str, say: RedisServer | None = None) -> list[AlertMessage]:
    """A run that finds these alerts and no other, and announces what happened if it is to."""
    found = [Alert("S0", item, "stockout_risk", "high", f"{item} runs out", {}) for item in items]
    happened = sync_alerts(engine, DATASET, "v2+v1", found, at=datetime.now(UTC))
    messages = [alert_message(event, alert) for event, alert in happened]
    if say is not None:
        assert announce(say.url, alerts_channel(DATASET), messages)
    return messages


async def find_later(door: Door, *items: str, say: RedisServer | None = None) -> list[AlertMessage]:
    return await asyncio.to_thread(find, door.engine, *items, say=say)


def test_a_watcher_is_told_what_is_open_and_then_what_happens(door: Door, redis: RedisServer) -> None:
    async def run() -> None:
        await find_later(door, "milk")
        async with watching(door) as socket:
            first = await told(socket)
            assert (first["event"], first["complete"]) == ("snapshot", True)
            assert [alert["item_id"] for alert in first["alerts"]] == ["milk"]
            await find_later(door, "milk", "eggs", say=redis)
            news = await told(socket)
            assert (news["event"], news["item_id"], news["status"]) == ("raised", "eggs", "open")
            assert AlertMessage.model_validate(news).dataset == DATASET
            await asyncio.to_thread(door.ask, "POST", f"/v1/alerts/{news['alert_id']}/acknowledge", Scope.OPERATE)
            assert (await told(socket))["event"] == "acknowledged"
            await find_later(door, "eggs", say=redis)
            gone = await told(socket)
            assert (gone["event"], gone["item_id"]) == ("resolved", "milk")
            assert (await told(socket, "heartbeat"))["at"]

    asyncio.run(run())


def test_it_goes_on_without_redis_and_with_it_again(door: Door, redis: RedisServer) -> None:
    async def run() -> None:
        async with watching(door) as socket:
            assert (await told(socket))["alerts"] == []
            redis.stop()
            await find_later(door, "milk")
            assert (await told(socket))["item_id"] == "milk"
            (alert,) = list_alerts(door.engine, DATASET)
            await asyncio.to_thread(door.ask, "POST", f"/v1/alerts/{alert.alert_id}/acknowledge", Scope.OPERATE)
            assert (await told(socket))["event"] == "acknowledged"
            await asyncio.to_thread(resolve, door.engine, DATASET, alert.alert_id, who="x")
            assert (await told(socket))["event"] == "resolved"
            redis.start()
            await asyncio.sleep(3)
            await find_later(door, "eggs", say=redis)
            assert (await told(socket))["item_id"] == "eggs"
            with pytest.raises(TimeoutError):  # told once, though both ways know of it
                await asyncio.wait_for(told(socket), 1)

    asyncio.run(run())


def test_the_same_checks_as_for_requests_stand_at_the_door(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        assert await refusal(door, None) == (401, "unauthenticated")
        assert await refusal(door, None, headers=bearer("guess")) == (401, "invalid_credentials")
        assert await refusal(door, Scope.PREDICT) == (403, "missing_scope")
        assert await refusal(door, origin="https://evil.example") == (403, "origin_refused")
        for query in ("token", "access_token", "key"):
            url = str(door.client.base_url).replace("http", "ws") + "/v1/alerts/stream"
            with pytest.raises(InvalidStatus):
                await connect(f"{url}?{query}={door.keys[Scope.READ]}")
        assert door.keys[Scope.READ] not in capfd.readouterr().err
        async with watching(door, origin="https://plan.example") as socket:
            assert await told(socket, "snapshot")

    asyncio.run(run())


def test_browsers_show_a_token_as_a_subprotocol(door: Door) -> None:
    token = door.ask("POST", "/v1/tokens", Scope.READ, json={}).json()["access_token"]

    async def run() -> None:
        async with watching(door, None, subprotocols=["shelfops.v1", f"bearer.{token}"]) as socket:
            assert socket.subprotocol == "shelfops.v1"
            assert await told(socket, "snapshot")
        async with watching(door, None, subprotocols=[f"bearer.{door.keys[Scope.READ]}"]) as socket:
            assert await told(socket, "snapshot")
        assert await refusal(door, None, subprotocols=["shelfops.v1", "bearer.guess"]) == (401, "invalid_credentials")

    asyncio.run(run())


def test_a_stream_ends_with_its_key(door: Door) -> None:
    async def run() -> None:
        async with watching(door) as socket:
            await told(socket)
            revoke_key(door.engine, DATASET, "read-er", by="tests")
            assert await close_code(socket) == 1008

    asyncio.run(run())


def test_streams_are_limited_per_key_and_in_all(tmp_path: Path, warehouse_url_of_test: str) -> None:
    limits = {"api_max_sockets": 3, "api_max_sockets_per_key": 2}

    async def run(door: Door) -> None:
        async with watching(door) as first, watching(door) as second:
            assert await refusal(door) == (429, "too_many_sockets")
            async with watching(door, Scope.ADMIN):
                assert await refusal(door, Scope.ADMIN) == (429, "too_many_sockets")
            await told(first)
            await told(second)
            assert "shelfops_api_websocket_clients 2.0" in (await asyncio.to_thread(door.client.get, "/metrics")).text
        await asyncio.sleep(0.2)
        async with watching(door) as again:
            await told(again)

    with opened_door(tmp_path, warehouse_url_of_test, **limits) as door:
        asyncio.run(run(door))


def test_a_watcher_that_does_not_read_is_dropped_and_the_others_are_not(door: Door) -> None:
    slow, quick = Watcher("a"), Watcher("b")
    hub = AlertHub(door.settings, None, None)  # type: ignore[arg-type] - neither is touched
    hub._watchers = {slow, quick}
    (message,) = find(door.engine, "milk")
    for i in range(QUEUE_LENGTH + 1):
        hub._pass_on(message.model_copy(update={"updated_at": datetime.fromtimestamp(i, UTC)}))
        quick.messages.get_nowait()
    assert slow.too_slow.is_set()
    assert not quick.too_slow.is_set()


def test_who_comes_after_an_event_is_not_shown_what_was_read_before_it(door: Door) -> None:
    hub = AlertHub(door.settings, None, None)  # type: ignore[arg-type] - neither is touched
    (message,) = find(door.engine, "milk")
    reads = 0

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def read() -> list[StockAlert]:
            nonlocal reads
            reads += 1
            if reads == 1:  # the event comes while the alerts, which do not know of it yet, are on their way
                asyncio.run_coroutine_threadsafe(happens(), loop).result()
            return []

        async def happens() -> None:
            hub._pass_on(message)

        hub._unresolved = read  # type: ignore[method-assign]
        await hub.snapshot()
        await hub.snapshot()

    asyncio.run(run())
    assert reads == 2


def test_a_redis_that_does_not_answer_is_left() -> None:
    class Silent:
        async def get_message(self, **_: object) -> None:
            return None

        async def ping(self) -> None:
            return None

    hub = AlertHub(ApiSettings(), None, None)  # type: ignore[arg-type] - neither is touched
    for listening in (hub._listen(Silent()), announcements._listen(Silent(), list)):  # type: ignore[arg-type]
        with pytest.raises(RedisError, match="did not answer"):
            asyncio.run(asyncio.wait_for(listening, 5))


async def misbehaves(door: Door, *frames: str | bytes) -> int | None:
    async with watching(door) as socket:
        try:
            for frame in frames:
                await socket.send(frame)
        except ConnectionClosed:
            pass
        return await close_code(socket)


def test_watchers_that_talk_are_closed_with_a_reason(door: Door) -> None:
    async def run() -> None:
        assert await misbehaves(door, b"\x00\x01") == 1003
        assert await misbehaves(door, "x" * (LONGEST_FRAME + 1)) == 1009
        assert await misbehaves(door, *["ping"] * (2 * FRAMES_PER_MINUTE + 2)) == 1008
        async with watching(door) as socket:
            for text in ("", "ping", "{}", '{"a":' * 100, "\x00", "☃"):
                await socket.send(text)
            assert await told(socket, "heartbeat")

    asyncio.run(run())


def raw_frame(opcode: int, fin: bool, reserved: int, payload: bytes) -> bytes:
    """A masked frame as no library would send it (the mask is 0)."""
    return bytes([fin << 7 | reserved << 4 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


frames = st.lists(
    st.builds(raw_frame, st.integers(0, 15), st.booleans(), st.sampled_from([0, 0, 4, 7]), st.binary(max_size=120))
    | st.binary(min_size=1, max_size=40),
    min_size=1,
    max_size=6,
)


@given(frames)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_closes_the_stream_and_nothing_else(
    door: Door, capfd: pytest.CaptureFixture[str], garbage: list[bytes]
) -> None:
    async def run() -> None:
        async with watching(door, ping_interval=None) as socket:
            socket.transport.write(b"".join(garbage))
            await asyncio.sleep(0.01)
            socket.transport.abort()

    asyncio.run(run())
    assert "Traceback" not in capfd.readouterr().err
    assert door.client.get("/healthz").status_code == 200


@pytest.mark.soak
def test_a_thousand_idle_streams_hold_with_little_memory(
    tmp_path: Path, warehouse_url_of_test: str, redis: RedisServer, record_property: Any
) -> None:
    count = 1000
    options = {"api_max_sockets_per_key": count, "api_heartbeat_seconds": 5, "redis_url": redis.url}

    async def run(door: Door) -> None:
        before = _resident(door)
        sockets: list[ClientConnection] = []
        url = str(door.client.base_url).replace("http", "ws") + "/v1/alerts/stream"
        began = time.monotonic()
        for _ in range(count):
            connection = connect(
                url, additional_headers=bearer(door.keys[Scope.READ]), compression=None, ping_interval=None
            )
            sockets.append(await connection)
        opened = time.monotonic() - began
        await asyncio.sleep(12)
        assert (
            f"shelfops_api_websocket_clients {count}.0" in (await asyncio.to_thread(door.client.get, "/metrics")).text
        )
        await find_later(door, "milk", say=redis)
        heard = await asyncio.gather(*(told(socket, "raised") for socket in sockets))
        assert len(heard) == count
        grown = (_resident(door) - before) / count
        record_property("seconds_to_open", round(opened, 1))
        record_property("kilobytes_per_stream_both_ends", round(grown / 1000))
        await asyncio.gather(*(socket.close() for socket in sockets))
        assert grown < 150_000

    with opened_door(tmp_path, warehouse_url_of_test, **options) as door:
        asyncio.run(run(door))


def _resident(door: Door) -> float:
    text = door.client.get("/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith("process_resident_memory_bytes ")]
    return float(line.split()[1])
