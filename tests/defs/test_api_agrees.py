"""The API and the pipeline agree: the same champion, the same answer, with and without overrides."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import pytest

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.lifecycle.publish import champion_models
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.serve import serving_inputs
from tests.api.support import served
from tests.defs.conftest import HORIZON, Graph

SERIES_DAYS = 500
COLUMNS = (c.MEAN, c.POINT, *c.QUANTILE_COLUMNS)


@pytest.fixture(scope="module")
def client(graph: Graph) -> Iterator[httpx.Client]:
    from shelfops_api.settings import ApiSettings

    with served(ApiSettings()) as running:
        yield running


@pytest.fixture(scope="module")
def states(graph: Graph) -> list[tuple[ServedModel, np.ndarray, SeriesState]]:
    """(model with native backends, rows in the panel, state) of each version of the champion."""
    registry, panel = Registry(graph.settings.models), graph.panel
    inputs = serving_inputs(panel, champion_models(registry))
    assert any((i.state.shift != 0).any() for i in inputs)  # so that totals are part of what is compared
    return [(ServedModel.load_native(registry.models / i.version), i.rows, i.state) for i in inputs]


def _row(forecast: Forecast, s: int, h: int) -> list[float]:
    return [forecast.mean[s, h], forecast.point[s, h], *forecast.quantiles[s, h]]


def _ask(client: httpx.Client, body: list[dict[str, object]]) -> list[dict[str, object]]:
    answer = client.post("/v1/predict", json={"series": body, "metric": "mae"})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["series"])


@pytest.mark.parametrize("overridden", [False, True], ids=["as planned", "with overrides"])
def test_the_api_predicts_what_predict_demand_predicts(
    graph: Graph, client: httpx.Client, states: list[tuple[ServedModel, np.ndarray, SeriesState]], overridden: bool
) -> None:
    panel = graph.panel
    rng = np.random.default_rng(11)
    compared = 0
    for model, rows, state in states:
        state = replace(state, channels=state.channels.copy())
        asked = []
        for s, row in enumerate(rows):
            entry: dict[str, object] = {c.STORE_ID: str(panel.store_ids[row]), c.ITEM_ID: str(panel.item_ids[row])}
            if overridden:
                h = int(rng.integers(1, HORIZON + 1))
                price = round(float(rng.uniform(0.5, 9)), 2)
                change = {c.ON_PROMOTION: float(rng.integers(0, 2)), c.PRICE: price, c.OPEN: 1.0}
                state.override(s, {name: [(h, value)] for name, value in change.items()})
                day = str(state.target_dates[h - 1])
                sent = {c.ON_PROMOTION: bool(change[c.ON_PROMOTION]), c.PRICE: change[c.PRICE], c.OPEN: True}
                entry["overrides"] = [{"date": day, **sent}]
            asked.append(entry)
        expected = predict_demand(model, state, Metric.MAE)
        for s, answer in enumerate(_ask(client, asked)):
            for h, got in enumerate(answer["forecast"]):  # type: ignore[arg-type]
                np.testing.assert_allclose(
                    [got[name] for name in COLUMNS], _row(expected, s, h), rtol=1e-4, atol=1e-4, err_msg=f"{s}, {h}"
                )
                compared += 1
    assert compared >= SERIES_DAYS


def test_the_stored_forecast_is_the_one_that_the_graph_published(graph: Graph, client: httpx.Client) -> None:
    import pandas as pd

    frame = pd.read_parquet(graph.artifacts / "demand_forecasts" / "all.parquet")
    first = frame.iloc[0]
    answer = client.get(f"/v1/forecasts/{first[c.STORE_ID]}/{first[c.ITEM_ID]}")
    assert answer.status_code == 200
    rows = answer.json()["forecast"]
    mine = frame[(frame[c.STORE_ID] == first[c.STORE_ID]) & (frame[c.ITEM_ID] == first[c.ITEM_ID])]
    np.testing.assert_allclose([r[c.MEAN] for r in rows], mine[c.MEAN], rtol=1e-6)
