"""Redis and PostgreSQL stop and come back, releases change: under load, and without a restart of the service."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from redis import Redis
from sqlalchemy import Engine

from shelfops_pipeline.contracts.messages import ReleaseMessage, releases_channel
from shelfops_pipeline.store.bus import announce
from shelfops_pipeline.store.embedded import embedded_postgres
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import migrate
from shelfops_pipeline.store.place import recorded
from tests.api.support import (
    CHALLENGER,
    CHAMPION,
    DATASET,
    Retailer,
    api_settings,
    check_problem,
    promote,
    publish,
    served,
    until,
)
from tests.api.test_champion import MILK, Hammer, went_on
from tests.redis_server import RedisServer

NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("r"))
    server.start()
    yield server
    server.stop()


def cached(redis: RedisServer) -> list[str]:
    with Redis.from_url(redis.url) as client:
        return [key.decode() for key in client.keys("shelfops:*:answers:*")]


def expected(retailer: Retailer) -> dict[str, dict[str, list[float]]]:
    """Release -> item -> means, of the series that hammers ask for."""
    rows = {"milk": retailer.keys.index(("S1", "milk")), "eggs": retailer.keys.index(("S2", "eggs"))}
    return {
        f"{version}+v1": {item: retailer.forecast(row, version).mean[0].tolist() for item, row in rows.items()}
        for version in (CHAMPION, CHALLENGER)
    }


class Streams(Hammer):
    """Reads whole streams: complete, and of one release from the first line to the last."""

    def run(self) -> None:
        while not self.stop.is_set():
            answer = self.ask()
            self.count += 1
            if answer.status_code != 200:
                self.wrong.append(answer.text)
                continue
            *series, end = map(json.loads, answer.text.splitlines())
            self.seen.add(end["release"])
            if {one["release"] for one in series} != {end["release"]} or end["series"] != len(series) == 12:
                self.wrong.append(answer.text)


def test_announced_swaps_under_load_fail_no_request_and_mix_no_releases(
    models_copy: Path, published_url: str, retailer: Retailer, redis: RedisServer
) -> None:
    patient = {"api_poll_seconds": 60, "redis_url": redis.url}  # so that only announcements can be in time
    with served(api_settings(models_copy.parent, published_url, **patient)) as api:
        right = expected(retailer)
        asks: list[Callable[[], httpx.Response]] = [
            lambda: api.get("/v1/forecasts/S1/milk"),
            lambda: api.post("/v1/predict", json=MILK),
        ]
        hammers = [Hammer(ask, right) for ask in (*asks, *asks)]
        hammers.append(Streams(lambda: api.get("/v1/forecasts", headers=NDJSON), right))
        listening(redis)
        for hammer in hammers:
            hammer.start()
        for swap in range(6):
            version = (CHALLENGER, CHAMPION)[swap % 2]
            promote(models_copy, version)
            message = ReleaseMessage(dataset=DATASET, release=f"{version}+v1", published_at=datetime.now(UTC))
            assert announce(redis.url, releases_channel(DATASET), [message])
            until(lambda version=version: api.get("/v1/champion").json()["version"] == version)  # type: ignore[misc]
            counts = [hammer.count + 3 for hammer in hammers]
            until(lambda counts=counts: went_on(hammers, counts), 60)  # type: ignore[misc]
        for hammer in hammers:
            hammer.stop.set()
            hammer.join()
    for hammer in hammers:
        assert hammer.wrong == []
        assert hammer.seen == set(right)


def listening(redis: RedisServer) -> None:
    with Redis.from_url(redis.url) as client:
        until(lambda: dict(client.pubsub_numsub(releases_channel(DATASET)))[releases_channel(DATASET).encode()] == 1)


def test_redis_stops_and_comes_back_under_load(
    models_copy: Path, published_url: str, retailer: Retailer, redis: RedisServer
) -> None:
    settings = api_settings(models_copy.parent, published_url, redis_url=redis.url, api_cache_mb=0)
    with served(settings) as api:
        hammer = Hammer(lambda: api.get("/v1/forecasts/S1/milk"), expected(retailer))
        hammer.start()
        until(lambda: len(cached(redis)) == 1)
        redis.stop()
        until(lambda: went_on([hammer], [hammer.count]), 5)
        count = hammer.count
        until(lambda: hammer.count > count + 20)
        redis.start()
        until(lambda: len(cached(redis)) == 1)  # it is used again, though it lost everything
        hammer.stop.set()
        hammer.join()
    assert hammer.wrong == []


def test_what_one_process_has_answered_another_has_from_redis(
    models_copy: Path, retailer: Retailer, redis: RedisServer, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    publish(warehouse, retailer, CHAMPION)
    settings = api_settings(models_copy.parent, warehouse_url_of_test, redis_url=redis.url)
    with served(settings) as first:
        answer = first.get("/v1/forecasts/S1/milk")
    with Redis.from_url(redis.url) as client:
        (name,) = cached(redis)
        client.set(name, b'{"from": "redis"}')
        assert name.startswith(f"shelfops:{DATASET}:answers:v2+v1@")
    with served(settings) as second:
        assert second.get("/v1/forecasts/S1/milk").json() == {"from": "redis"}
        publish(warehouse, retailer, CHAMPION)  # the same release with the rows of another day
        until(lambda: second.get("/v1/forecasts/S1/milk").headers["etag"] != answer.headers["etag"])
        assert second.get("/v1/forecasts/S1/milk").json() == answer.json()


def test_postgres_stops_and_comes_back(
    embedded_home: Callable[[str], Path], retailer: Retailer, models_copy: Path
) -> None:
    home = embedded_home("home2")
    models_copy.rename(home / "models")

    def asked(api: httpx.Client, path: str, **options: Any) -> httpx.Response:
        return api.request("POST" if options else "GET", path, **options)

    with embedded_postgres(home) as url:
        engine = open_engine(url)
        migrate(engine)
        publish(engine, retailer, CHAMPION)
        engine.dispose()
        stack = served(api_settings(home, None, api_mode="development"))
        api = stack.__enter__()
        kept = {path: asked(api, path).json() for path in ("/v1/forecasts/S1/milk", "/v1/forecasts?limit=2")}
        what_if = asked(api, "/v1/predict", json=MILK).json()
    try:
        until(lambda: api.get("/readyz").json()["warehouse"] == "unreachable", 60)
        for path, body in kept.items():
            assert api.get(path).json() == body
        assert api.post("/v1/predict", json=MILK).json() == what_if
        check_problem(api, api.get("/v1/forecasts/S0/milk"), 503, "warehouse_unavailable")
        check_problem(api, api.get("/v1/forecasts", headers=NDJSON), 503, "warehouse_unavailable")
        with embedded_postgres(home):
            until(lambda: api.get("/v1/forecasts/S0/milk").status_code == 200)
            assert api.get("/v1/forecasts", headers=NDJSON).status_code == 200
    finally:
        stack.__exit__(None, None, None)


def test_a_frozen_postgres_is_given_up_and_used_again_when_it_thaws(
    embedded_home: Callable[[str], Path], retailer: Retailer, models_copy: Path
) -> None:
    home = embedded_home("home3")
    models_copy.rename(home / "models")
    with embedded_postgres(home) as url:
        engine = open_engine(url)
        migrate(engine)
        publish(engine, retailer, CHAMPION)
        engine.dispose()
        with served(api_settings(home, url, api_database_seconds=0.5, api_cache_mb=0)) as api:
            assert api.get("/v1/forecasts/S1/milk").status_code == 200
            frozen = backends(home)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            try:
                with ThreadPoolExecutor(60) as callers:  # more than the service has threads
                    answers = list(callers.map(lambda _: api.get("/v1/forecasts/S1/milk"), range(60)))
                for answer in answers:
                    check_problem(api, answer, 503, "warehouse_unavailable")
                assert api.get("/readyz").json()["warehouse"] == "unreachable"
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
            until(lambda: api.get("/v1/forecasts/S1/milk").status_code == 200)


def backends(home: Path) -> list[int]:
    """Every process of the home's server, the first of them first."""
    note = (recorded(home) or home / "postgres") / "server.json"
    first = psutil.Process(json.loads(note.read_text())["pid"])
    return [first.pid, *(child.pid for child in first.children(recursive=True))]
