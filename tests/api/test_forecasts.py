"""GET /v1/forecasts: what was published, exactly."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine

from shelfops_api.client import Client
from shelfops_api.schemas import SeriesForecast
from shelfops_pipeline.contracts.columns import DATE, FORECAST_COLUMNS, ITEM_ID, STORE_ID
from shelfops_pipeline.store.writes import publish_forecasts, publish_release
from tests.api.support import (
    CHAMPION,
    COLD,
    DATASET,
    HORIZON,
    SHORT_HISTORY,
    Retailer,
    api_settings,
    check_problem,
    served,
    table,
)


def test_the_stored_forecast_of_every_series(api: httpx.Client, retailer: Retailer) -> None:
    for row, (store_id, item_id) in enumerate(retailer.keys):
        answer = api.get(f"/v1/forecasts/{store_id}/{quote(item_id)}")
        assert answer.status_code == 200
        body = SeriesForecast.model_validate(answer.json(), extra="forbid")
        assert (body.store_id, body.item_id, body.release) == (store_id, item_id, "v2+v1")
        assert body.model_version == (CHAMPION if row < SHORT_HISTORY else COLD)
        expected = table(retailer.forecast(row))
        assert [period[DATE] for period in answer.json()["forecast"]] == expected[DATE]
        for name in FORECAST_COLUMNS[3:]:
            values = [period[name] for period in answer.json()["forecast"]]
            np.testing.assert_allclose(values, expected[name], rtol=1e-6, err_msg=name)


def test_an_answer_has_the_contracts_columns(api: httpx.Client) -> None:
    first = api.get("/v1/forecasts/S0/milk").json()["forecast"][0]
    assert tuple(first) == FORECAST_COLUMNS[2:]


def test_an_item_may_have_a_slash_in_its_name_escaped_or_not(api: httpx.Client) -> None:
    plain, escaped = api.get("/v1/forecasts/S0/BREAD/BAKERY"), api.get("/v1/forecasts/S0/BREAD%2FBAKERY")
    assert plain.json()["item_id"] == "BREAD/BAKERY"
    assert plain.json() == escaped.json()


def test_ids_may_have_any_character_where_slashes_are_escaped(
    models_copy: Path, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    keys = [("S/1", "milk"), ("S", "1/milk"), ("/", "/"), ("a%2Fb", "100 %"), ("é?", "#x/y"), ("..", "../..")]
    keys += [("=1+1", "-1")]
    days = np.arange("2025-07-25", "2025-07-27", dtype="datetime64[D]")
    columns = {name: np.ones(2 * len(keys), np.float32) for name in FORECAST_COLUMNS[3:]} | {"model_version": CHAMPION}
    columns |= {STORE_ID: np.repeat([k[0] for k in keys], 2), ITEM_ID: np.repeat([k[1] for k in keys], 2)}
    publish_forecasts(warehouse, "v2+v1", columns | {DATE: np.tile(days, len(keys))})
    names = {"champion_version": CHAMPION, "cold_start_version": COLD, "dataset": DATASET}
    publish_release(warehouse, "v2+v1", **names, manifest={})
    with served(api_settings(models_copy.parent, warehouse_url_of_test)) as api:
        for store, item in keys:
            path = f"{quote(store, safe='')}/{quote(item, safe='')}".replace(".", "%2E")  # httpx would resolve the dots
            for route in ("forecasts", "history"):
                body = api.get(f"/v1/{route}/{path}").json()
                assert (body["store_id"], body["item_id"]) == (store, item)
            answer = api.get(f"/v1/explanations/{path}")
            assert repr(store) in check_problem(api, answer, 404, "not_explained")["detail"]
        assert api.get("/v1/forecasts/S/1/milk").json()["item_id"] == "1/milk"  # an item's own need not be
        assert api.get("/v1/forecasts?limit=2").json()["series"][0]["store_id"] == "..", "the list is another route"
        assert api.post("/v1/forecasts/S%2F1/milk").status_code == 405
        for path in ("/page/v1/forecasts/S%2F1/milk", "/v1/v1/forecasts/S%2F1/milk"):
            assert api.get(path).status_code == 404, path
        assert "\n'=1+1,'-1,2025-07-25," in api.get("/v1/forecasts", headers={"Accept": "text/csv"}).text
        with Client(str(api.base_url)) as client:
            assert client.forecast("S/1", "milk").store_id == "S/1"


@pytest.mark.parametrize(
    ("start", "end", "kept"), [(3, None, slice(2, None)), (None, 3, slice(3)), (2, 4, slice(1, 4)), (-9, 99, slice(14))]
)
def test_dates_are_filtered_both_ends_included(
    api: httpx.Client, retailer: Retailer, start: int | None, end: int | None, kept: slice
) -> None:
    last = retailer.panel.last_observed
    given = {"start": start, "end": end}
    dates = {name: (last + timedelta(days=h)).isoformat() for name, h in given.items() if h is not None}
    whole = api.get("/v1/forecasts/S1/milk").json()["forecast"]
    assert api.get("/v1/forecasts/S1/milk", params=dates).json()["forecast"] == whole[kept]


def test_an_unknown_series_is_named(api: httpx.Client) -> None:
    for path in ("S0/chocolate", "S7/milk", "S0/MILK"):
        body = check_problem(api, api.get(f"/v1/forecasts/{path}"), 404, "unknown_series")
        store_id, item_id = path.split("/")
        assert f"'{item_id}'" in body["detail"]
        assert f"'{store_id}'" in body["detail"]


@pytest.mark.parametrize(
    ("dates", "pointers", "code"),
    [
        ({"start": "yesterday"}, ["/start"], "invalid_request"),
        ({"start": "2025-07-30", "end": "2025-07-29"}, ["/start", "/end"], "invalid_request"),
        ({"start": "2031-01-01"}, ["/start"], "date_outside_horizon"),
        ({"end": "2025-07-24"}, ["/end"], "date_outside_horizon"),
    ],
)
def test_dates_that_leave_nothing_are_refused(
    api: httpx.Client, dates: dict[str, str], pointers: list[str], code: str
) -> None:
    body = check_problem(api, api.get("/v1/forecasts/S0/milk", params=dates), 422, code)
    assert [e["pointer"] for e in body["errors"]] == pointers
    assert {e["location"] for e in body["errors"]} == {"query"}
    if code == "date_outside_horizon":
        assert f"2025-07-25 to 2025-08-{HORIZON - 7:02d}" in body["detail"]


def test_an_id_that_no_database_can_hold_is_refused(api: httpx.Client) -> None:
    body = check_problem(api, api.get("/v1/forecasts/S0/mi%00lk"), 422, "invalid_request")
    assert body["errors"][0] == {
        "location": "path",
        "pointer": "/item_id",
        "detail": body["errors"][0]["detail"],
        "code": "string_pattern_mismatch",
    }
