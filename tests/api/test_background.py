"""Work beside the requests: begun anew after any error, told, counted; ended with the service."""

import asyncio
import json

import pytest
from sqlalchemy import text

from shelfops_api.background import Work, keep_going, running
from shelfops_api.metrics import Metrics
from shelfops_pipeline.contracts.access import Scope
from tests.api.doors import bearer, opened_door
from tests.api.support import Retailer, until


def restarts(metrics: Metrics, work: str) -> float | None:
    return metrics.registry.get_sample_value("shelfops_api_background_restarts_total", {"work": work})


def test_work_that_fails_or_returns_begins_anew() -> None:
    begun, metrics = 0, Metrics()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise ZeroDivisionError("nobody thought of this")
        if begun == 3:
            await asyncio.Event().wait()

    async def run() -> None:
        task = asyncio.create_task(keep_going(Work("sums", work), metrics, first_wait=0.001))
        while begun < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert restarts(metrics, "sums") == 2


def test_work_ends_with_the_service_and_cleans_up_first() -> None:
    happened: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            happened.append("cleaned up")

    async def run() -> None:
        async with running([Work("idle", work)], Metrics()):
            await asyncio.sleep(0.01)
            happened.append("served")

    asyncio.run(run())
    assert happened == ["served", "cleaned up"]


def test_keys_are_read_again_after_a_row_that_nobody_foresaw(
    retailer: Retailer, warehouse_url_of_test: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened_door(retailer.models.parent, warehouse_url_of_test, api_metrics_auth="off") as door:
        with door.engine.begin() as connection:
            connection.execute(text("UPDATE api_keys SET scopes = '{fly}' WHERE name = 'admin-er'"))
        counted = 'shelfops_api_background_restarts_total{work="keys"}'
        until(lambda: counted in door.client.get("/metrics").text)
        assert door.client.get("/v1/alerts", headers=bearer(door.keys[Scope.READ])).status_code == 200  # as last read
        with door.engine.begin() as connection:
            connection.execute(text("UPDATE api_keys SET scopes = '{read}', revoked_at = now()"))
        until(lambda: door.client.get("/v1/alerts", headers=bearer(door.keys[Scope.READ])).status_code == 401)
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    (told, *_) = [line for line in lines if line["event"] == "background_work_ended"]
    assert told["work"] == "keys"
    assert "ValueError: 'fly'" in told["exception"]
