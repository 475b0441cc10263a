"""What the API's tests share: a retailer to compare with, a server in a thread, and how a problem must look."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import uvicorn
from sqlalchemy import Engine

from shelfops_api.errors import ProblemBody
from shelfops_api.main import create_app
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.contracts.bundle import MANIFEST, ChampionPointer, ColdStartChampion
from shelfops_pipeline.contracts.columns import (
    CATEGORY,
    DATE,
    FORECAST_COLUMNS,
    ITEM_ID,
    MEAN,
    ORIGIN,
    POINT,
    QUANTILE_COLUMNS,
    STORE_ID,
    Metric,
    Tier,
)
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.store import writes
from shelfops_pipeline.store.tables import MODEL_VERSION, PAYLOAD

DATASET = "corner_shop"
HORIZON = 14
DAYS = 200
COLD, CHAMPION, CHALLENGER = "v1", "v2", "v3"
SHORT_HISTORY = 10  # rows of the panel from here on are served by the cold-start version
BROKEN = ("S0", "broken")
PUBLISHED = datetime(2025, 8, 1, 4, 0, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Retailer:
    """What was trained and published: the truth that answers are compared with."""

    models: Path
    panel: Panel
    native: dict[str, ServedModel]
    states: dict[str, SeriesState]

    @property
    def keys(self) -> list[tuple[str, str]]:
        return list(zip(self.panel.store_ids.tolist(), self.panel.item_ids.tolist(), strict=True))

    def version_of(self, row: int, champion: str = CHAMPION) -> str:
        return champion if row < SHORT_HISTORY else COLD

    def what_if(self, version: str, changes: dict[int, dict[str, list[tuple[int, float]]]]) -> Forecast:
        """The native models' forecast of all series, those in `changes` with another future."""
        state = self.states[version]
        state = replace(state, channels=state.channels.copy())
        for row, values in changes.items():
            state.override(row, values)
        return predict_demand(self.native[version], state)

    def forecast(self, row: int, champion: str = CHAMPION, metric: Metric = Metric.MAE) -> Forecast:
        """The native models' forecast of one series as planned."""
        return self._forecasts(self.version_of(row, champion), metric).take(np.array([row]))

    @cache  # noqa: B019 - one retailer per session; Keras takes its time for every call
    def _forecasts(self, version: str, metric: Metric) -> Forecast:
        return predict_demand(self.native[version], self.states[version], metric)


def table(forecast: Forecast) -> dict[str, Any]:
    """One series' forecast by column of the API's answer."""
    columns = {MEAN: forecast.mean[0], POINT: forecast.point[0]}
    columns |= {name: forecast.quantiles[0, :, i] for i, name in enumerate(QUANTILE_COLUMNS)}
    return {DATE: [day.isoformat() for day in forecast.dates.tolist()], **columns}


def pointer(champion: str = CHAMPION) -> ChampionPointer:
    return ChampionPointer(
        version=champion,
        feature_tier=Tier.PRODUCTION,
        dataset=DATASET,
        mae=2.5,
        cold_start=ColdStartChampion(version=COLD, feature_tier=Tier.COLD_START, mae=3.5),
        promoted_at=datetime(2025, 8, 1, 3, 0, tzinfo=UTC),
    )


def promote(models: Path, champion: str = CHAMPION) -> None:
    """Replace champion.json whole, as the registry does."""
    draft = models / ".champion.draft"
    draft.write_text(pointer(champion).model_dump_json())
    draft.replace(models / "champion.json")


def edit_manifest(folder: Path, **changes: Any) -> None:
    raw = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_text(json.dumps(raw))


def forecast_columns(retailer: Retailer, champion: str = CHAMPION) -> dict[str, Any]:
    """The forecast table of a release, by column."""
    parts = [table(retailer.forecast(row, champion)) for row in range(len(retailer.keys))]
    versions = [retailer.version_of(row, champion) for row in range(len(retailer.keys))]
    stores, items = map(list, zip(*retailer.keys, strict=True))
    columns: dict[str, Any] = {
        STORE_ID: np.repeat(stores, HORIZON),
        ITEM_ID: np.repeat(items, HORIZON),
        MODEL_VERSION: np.repeat(versions, HORIZON),
        DATE: np.array([day for part in parts for day in part[DATE]], dtype="datetime64[D]"),
    }
    return columns | {name: np.concatenate([part[name] for part in parts]) for name in FORECAST_COLUMNS[3:]}


def publish(engine: Engine, retailer: Retailer, champion: str) -> None:
    """Forecasts and online features of the release, then its pointer row."""
    release = pointer(champion).release
    writes.publish_forecasts(engine, release, forecast_columns(retailer, champion))
    versions = [retailer.version_of(row, champion) for row in range(len(retailer.keys))]
    stores, items = map(list, zip(*retailer.keys, strict=True))
    payloads = [retailer.states[version].pack()[row] for row, version in enumerate(versions)]
    features = {
        STORE_ID: [*stores, BROKEN[0]],
        ITEM_ID: [*items, BROKEN[1]],
        MODEL_VERSION: [*versions, champion],
        ORIGIN: [retailer.panel.last_observed] * (len(stores) + 1),
        PAYLOAD: [*payloads, b"\0" * 12],
    }
    writes.publish_online_features(engine, release, features)
    writes.publish_release(
        engine, release, champion_version=champion, cold_start_version=COLD, dataset=DATASET, manifest={}
    )


def item_categories(retailer: Retailer) -> pa.Table:
    """The table of items, as the pipeline writes it to the warehouse."""
    items, category = retailer.panel.static[ITEM_ID], retailer.panel.static[CATEGORY]
    of_item = dict(zip(items.codes.tolist(), category.codes.tolist(), strict=True))
    names = [category.categories[of_item[code]] for code in range(len(items.categories))]
    return pa.table({ITEM_ID: list(items.categories), CATEGORY: names})


@contextmanager
def served(settings: ApiSettings) -> Iterator[httpx.Client]:
    """The API on a real server in a thread, and a client of it."""
    config = uvicorn.Config(create_app(settings), port=0, ws="auto", log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for `condition`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def api_settings(home: Path, url: str | None, **changes: Any) -> ApiSettings:
    return ApiSettings.model_validate(
        {
            "dataset": DATASET,
            "home": home,
            "database_url": url,
            "api_poll_seconds": 0.02,
            "api_rate_per_minute": 0,
            **changes,
        }
    )


def check_problem(api: httpx.Client, answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is the problem expected, complete, and documented for its route; returns its body."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body = ProblemBody.model_validate_json(answer.content)
    assert (body.status, body.code) == (status, code), answer.text
    assert body.request_id == answer.headers["x-request-id"]
    method = answer.request.method.lower()
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        template = re.sub(r"\\{\w+\\}", ".+", re.escape(path))
        if re.fullmatch(template, answer.request.url.path) and method in operations:
            examples = operations[method]["responses"][str(status)]["content"]["application/problem+json"]["examples"]
            assert code in examples
    return dict(answer.json())
