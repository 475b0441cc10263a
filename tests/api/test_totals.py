"""Totals over HTTP: those of the release, by level, filtered, a page at a time."""

from base64 import urlsafe_b64encode
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from shelfops_pipeline.contracts.columns import TotalLevel
from shelfops_pipeline.evaluation.totals import totals_table
from shelfops_pipeline.models.total_intervals import LevelIntervals, TotalIntervals
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.totals import publish_totals
from tests.api.support import (
    CHALLENGER,
    HORIZON,
    Retailer,
    api_settings,
    check_problem,
    forecast_columns,
    pointer,
    promote,
    served,
    until,
)


@pytest.fixture(scope="module", autouse=True)
def published_totals(retailer: Retailer, published_url: str) -> None:
    """Totals of v2+v1."""
    errors = LevelIntervals(0.05, np.array([[0.7, 1.7], [0.8, 2.0]]))
    intervals = TotalIntervals((7, HORIZON), dict.fromkeys(TotalLevel, errors))
    table = totals_table(retailer.panel, pd.DataFrame(forecast_columns(retailer)), intervals)
    engine = open_engine(published_url)
    publish_totals(engine, pointer().release, {n: table.column(n).to_numpy() for n in table.column_names})
    engine.dispose()


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


def get(api: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = api.get("/v1/totals", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_total_of_each_store_is_the_sum_of_its_series_means(api: httpx.Client, retailer: Retailer) -> None:
    body = get(api)
    assert (body["release"], body["level"], body["next"]) == ("v2+v1", "store", None)
    assert [(t["store_id"], t["category"]) for t in body["totals"]] == [("S0", None), ("S1", None), ("S2", None)]
    rows = [row for row, (store, _) in enumerate(retailer.keys) if store == "S1"]
    expected = np.sum([retailer.forecast(row).mean[0] for row in rows], axis=0)
    periods = body["totals"][1]["forecast"]
    assert [p["mean"] for p in periods] == pytest.approx(expected, rel=1e-5)
    assert periods[0]["date"] == str(retailer.panel.last_observed + timedelta(days=1))
    for p in periods:
        assert p["q05"] <= p["q25"] <= p["q50"] <= p["q75"] <= p["q95"]


def test_levels_filters_and_dates_narrow_the_answer(api: httpx.Client) -> None:
    assert [t["category"] for t in get(api, level="category")["totals"]] == ["bakery", "chilled"]
    (whole,) = get(api, level="all")["totals"]
    assert (whole["store_id"], whole["category"], len(whole["forecast"])) == (None, None, HORIZON)
    one = get(api, level="store_category", store_id="S2", category="chilled")["totals"]
    assert [(t["store_id"], t["category"]) for t in one] == [("S2", "chilled")]
    day = whole["forecast"][3]["date"]
    assert [p["date"] for p in get(api, level="all", start=day, end=day)["totals"][0]["forecast"]] == [day]
    assert get(api, store_id="S9")["totals"] == []
    assert get(api, level="all", start=str(date(2031, 1, 1)))["totals"] == []


def test_what_has_not_changed_is_not_sent_again_and_what_has_is(api: httpx.Client, published_url: str) -> None:
    first = api.get("/v1/totals")
    again = api.get("/v1/totals", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    engine = open_engine(published_url)  # totals are written after their release is published, so under one edition
    with engine.begin() as connection:
        connection.execute(text("UPDATE forecast_totals SET q95 = q95 + 1 WHERE level = 'store'"))
    engine.dispose()
    changed = api.get("/v1/totals", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json() != first.json()


def test_a_page_ends_with_the_rows_it_is_of(models_copy: Path, published_url: str) -> None:
    with served(api_settings(models_copy.parent, published_url)) as api:
        first = api.get("/v1/totals?limit=1").json()
        promote(models_copy, CHALLENGER)
        until(lambda: api.get("/v1/champion").json()["version"] == CHALLENGER)
        check_problem(api, api.get(f"/v1/totals?after={first['next']}"), 410, "cursor_expired")


def test_pages_follow_each_other_without_gap_or_overlap(api: httpx.Client) -> None:
    whole = get(api, level="store_category")["totals"]
    assert len(whole) == 6
    found, after = [], None
    while True:
        page = get(api, level="store_category", limit=4, **({"after": after} if after else {}))
        found += page["totals"]
        after = page["next"]
        if after is None:
            break
    assert found == whole


@pytest.mark.parametrize(
    "params",
    [
        {"level": "shelf"},
        {"limit": 0},
        {"limit": 100_000},
        {"store_id": ""},
        {"start": "2025-07-30", "end": "2025-07-29"},
        *(
            {"after": after}
            for after in (
                *("é", "WzFd", cursor('["S1", ""]'), cursor('["v2+v1@1", "\\ud800", ""]')),
                *(cursor('["v2+v1@1", "\\u0000", ""]'), cursor("[" * 2500)),
            )
        ),
    ],
)
def test_a_question_that_has_no_answer_is_refused(api: httpx.Client, params: dict[str, Any]) -> None:
    body = check_problem(api, api.get("/v1/totals", params=params), 422, "invalid_request")
    assert body["errors"][0]["pointer"] == f"/{next(iter(params))}"
