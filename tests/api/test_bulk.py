"""GET /v1/forecasts: many series, as pages and as streams."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import Engine, text

from shelfops_api.bulk import page_key
from shelfops_api.schemas import ForecastPage
from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS
from shelfops_pipeline.store.forecasts import Wanted
from tests.api.support import CHALLENGER, HORIZON, Retailer, api_settings, check_problem, promote, served, until

NDJSON, CSV = {"Accept": "application/x-ndjson"}, {"Accept": "text/csv"}


def pages(api: httpx.Client, **params: Any) -> Iterator[dict[str, Any]]:
    while True:
        answer = api.get("/v1/forecasts", params=params)
        assert answer.status_code == 200, answer.text
        ForecastPage.model_validate(answer.json(), extra="forbid")
        yield answer.json()
        if (after := answer.json()["next"]) is None:
            return
        params["after"] = after


def keys(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["store_id"], one["item_id"]) for one in page["series"]]


def one_by_one(api: httpx.Client, retailer: Retailer) -> list[dict[str, Any]]:
    return [api.get(f"/v1/forecasts/{store}/{quote(item)}").json() for store, item in sorted(retailer.keys)]


@pytest.mark.parametrize("limit", [1, 5, 12, 1000])
def test_pages_hold_every_series_once_in_order_as_it_is_answered_alone(
    api: httpx.Client, retailer: Retailer, limit: int
) -> None:
    found = list(pages(api, limit=limit))
    assert [one for page in found for one in page["series"]] == one_by_one(api, retailer)
    assert all(len(page["series"]) == limit for page in found[:-1])
    assert {page["release"] for page in found} == {"v2+v1"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"store_id": "S1"}, 4),
        ({"store_id": ["S0", "S2"]}, 8),
        ({"item_id": ["milk", "Käse"]}, 6),
        ({"store_id": "S1", "item_id": "milk"}, 1),
        ({"category": "bakery"}, 6),
        ({"category": ["bakery", "chilled"], "store_id": "S2"}, 4),
        ({"category": "garden"}, 0),
        ({"store_id": "'; DROP TABLE demand_forecasts; --"}, 0),
    ],
)
def test_filters(api: httpx.Client, retailer: Retailer, asked: dict[str, Any], expected: int) -> None:
    (page,) = pages(api, **asked)
    assert len(page["series"]) == expected
    category = dict(zip(["BREAD/BAKERY", "milk", "Käse", "eggs"], ["bakery"] * 2 + ["chilled"] * 2, strict=True))
    for store, item in keys(page):
        assert store in asked.get("store_id", store)
        assert item in asked.get("item_id", item)
        assert category[item] in asked.get("category", category[item])


def test_dates_narrow_every_series(api: httpx.Client) -> None:
    whole = api.get("/v1/forecasts").json()["series"]
    days = [row["date"] for row in whole[0]["forecast"]]
    some = api.get("/v1/forecasts", params={"start": days[2], "end": days[4]}).json()["series"]
    assert some == [one | {"forecast": one["forecast"][2:5]} for one in whole]
    assert api.get("/v1/forecasts", params={"start": "2031-01-01"}).json()["series"] == []


def test_a_stream_has_the_same_series_and_says_when_it_is_complete(api: httpx.Client, retailer: Retailer) -> None:
    answer = api.get("/v1/forecasts", headers=NDJSON)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *series, end = map(json.loads, answer.text.splitlines())
    assert series == one_by_one(api, retailer)
    assert end == {"complete": True, "release": "v2+v1", "series": 12, "periods": 12 * HORIZON}


def test_an_empty_stream_is_complete_too(api: httpx.Client) -> None:
    answer = api.get("/v1/forecasts?store_id=none", headers=NDJSON)
    assert json.loads(answer.text) == {"complete": True, "release": "v2+v1", "series": 0, "periods": 0}
    assert len(api.get("/v1/forecasts?store_id=none", headers=CSV).text.splitlines()) == 1


def test_csv_has_a_line_per_period(api: httpx.Client, retailer: Retailer) -> None:
    rows = list(csv.DictReader(io.StringIO(api.get("/v1/forecasts", headers=CSV).text)))
    assert len(rows) == 12 * HORIZON
    expected = [
        {"store_id": one["store_id"], "item_id": one["item_id"], "model_version": one["model_version"]} | row
        for one in one_by_one(api, retailer)
        for row in one["forecast"]
    ]
    for row, right in zip(rows, expected, strict=True):
        assert {k: (float(v) if k in FORECAST_COLUMNS[3:] else v) for k, v in row.items()} == right


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("text/csv, application/json;q=0.5", "text/csv"),
        ("text/*", "text/csv"),
        ("application/json;q=0, */*", "application/x-ndjson"),
    ],
)
def test_the_form_is_chosen_by_accept(api: httpx.Client, accept: str, form: str) -> None:
    answer = api.get("/v1/forecasts?store_id=none", headers={"Accept": accept})
    assert answer.headers["content-type"].split(";")[0] == form
    assert "Accept" in answer.headers["vary"]


def test_a_question_that_names_many_ids_takes_little_memory_as_a_key() -> None:
    questions = [Wanted(item_ids=tuple(f"{end}{i:0199}" for i in range(200))) for end in "ab"]
    keys = [page_key(wanted, 100) for wanted in (*questions, questions[0])]
    assert sum(map(len, keys[0])) < 50
    assert keys[0] == keys[2] != keys[1]


def test_what_cannot_be_asked_for(api: httpx.Client) -> None:
    check_problem(api, api.get("/v1/forecasts", headers={"Accept": "image/png"}), 406, "not_acceptable")
    for asked in (
        "limit=0",
        "limit=1001",
        "start=2026-02-02&end=2026-01-01",
        "after=%00",
        "after=W10",
        "store_id=a%00",
    ):
        check_problem(api, api.get(f"/v1/forecasts?{asked}"), 422, "invalid_request")


def test_what_has_not_changed_is_not_sent_again(api: httpx.Client) -> None:
    for path in ("/v1/forecasts/S0/milk", "/v1/forecasts", "/v1/forecasts?limit=2"):
        first = api.get(path)
        again = api.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == "private, no-cache"
        assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    tags = {api.get("/v1/forecasts", headers=form).headers["etag"] for form in ({}, NDJSON, CSV)}
    assert len(tags) == 3


def test_a_page_of_a_release_that_serves_no_more_has_no_next(models_copy: Path, published_url: str) -> None:
    with served(api_settings(models_copy.parent, published_url)) as api:
        first = api.get("/v1/forecasts?limit=5")
        promote(models_copy, CHALLENGER)
        until(lambda: api.get("/v1/champion").json()["version"] == CHALLENGER)
        check_problem(api, api.get(f"/v1/forecasts?after={first.json()['next']}"), 410, "cursor_expired")
        changed = api.get("/v1/forecasts?limit=5", headers={"If-None-Match": first.headers["etag"]})
        assert (changed.status_code, changed.json()["release"]) == (200, "v3+v1")


def test_a_stream_that_fails_breaks_off_where_everybody_sees_it(
    models_copy: Path, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    fill(warehouse, 10_000)
    with served(api_settings(models_copy.parent, warehouse_url_of_test, api_max_streams=1)) as api:
        with api.stream("GET", "/v1/forecasts", headers=NDJSON) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines()
            next(lines)
            check_problem(api, api.get("/v1/forecasts", headers=CSV), 503, "too_many_streams")
            with warehouse.connect() as connection:
                others = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shelfops-api'"
                )
                connection.execute(text(others))
            with pytest.raises(httpx.RemoteProtocolError):
                assert all('"complete"' not in line for line in lines)
        until(lambda: api.get("/v1/forecasts?limit=1", headers=NDJSON).status_code == 200)  # the turn was given back


def test_a_reader_that_leaves_gives_its_turn_back(
    models_copy: Path, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    fill(warehouse, 10_000)
    with served(api_settings(models_copy.parent, warehouse_url_of_test, api_max_streams=1)) as api:
        with api.stream("GET", "/v1/forecasts", headers=NDJSON) as answer:
            next(answer.iter_lines())
        until(lambda: api.get("/v1/forecasts?limit=1", headers=NDJSON).status_code == 200)


def fill(warehouse: Engine, series: int) -> None:
    """Forecasts of many series under the release that serves."""
    columns = ", ".join(FORECAST_COLUMNS[3:])
    with warehouse.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO demand_forecasts (release, store_id, item_id, date, model_version, {columns}) "  # noqa: S608
                "SELECT 'v2+v1', 'S1', 'I' || i, date '2025-07-25' + d, 'v2', 1, 2, 3, 4, 5, 6, 7 "
                "FROM generate_series(1, :series) i, generate_series(0, 13) d"
            ),
            {"series": series},
        )
        connection.execute(text("INSERT INTO releases VALUES ('v2+v1', 'v2', 'v1', 'corner_shop', now(), '{}')"))
