"""POST /v1/predict: the pipeline's numbers, changed only where the caller changed the future."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from shelfops_api.schemas import PredictAnswer
from shelfops_pipeline.contracts.columns import DATE, FORECAST_COLUMNS, Metric
from shelfops_pipeline.inference.predict import Forecast, predict_demand
from tests.api.support import BROKEN, CHAMPION, COLD, HORIZON, SHORT_HISTORY, Retailer, check_problem, table

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
NUMBERS = FORECAST_COLUMNS[3:]


def ask(api: httpx.Client, *series: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    answer = api.post("/v1/predict", json={"series": list(series), **options})
    assert answer.status_code == 200, answer.text
    PredictAnswer.model_validate(answer.json(), extra="forbid")
    assert answer.json()["release"] == "v2+v1"
    rows: list[dict[str, Any]] = answer.json()["series"]
    return rows


def of(retailer: Retailer, row: int, **more: Any) -> dict[str, Any]:
    store_id, item_id = retailer.keys[row]
    return {"store_id": store_id, "item_id": item_id, **more}


def dumps(value: Any) -> bytes:
    """JSON as clients can send it, NaN, Infinity and lone surrogates included."""
    return json.dumps(value).encode()


def day(retailer: Retailer, h: int) -> str:
    return (retailer.panel.last_observed + timedelta(days=h)).isoformat()


def assert_equal(answer: dict[str, Any], forecast: Forecast) -> None:
    expected = table(forecast)
    assert [row[DATE] for row in answer["forecast"]] == expected[DATE]
    for name in NUMBERS:
        np.testing.assert_allclose([row[name] for row in answer["forecast"]], expected[name], err_msg=name, **CLOSE)


def test_every_series_has_the_pipelines_forecast_by_the_version_that_serves_it(
    api: httpx.Client, retailer: Retailer
) -> None:
    answers = ask(api, *(of(retailer, row) for row in range(len(retailer.keys))))
    for row, answer in enumerate(answers):
        assert (answer["store_id"], answer["item_id"]) == retailer.keys[row]
        assert answer["model_version"] == (CHAMPION if row < SHORT_HISTORY else COLD)
        assert_equal(answer, retailer.forecast(row))


def test_answers_are_moved_towards_the_totals_of_their_stores(api: httpx.Client, retailer: Retailer) -> None:
    state = retailer.states[CHAMPION]
    unmoved = predict_demand(retailer.native[CHAMPION], replace(state, shift=np.zeros_like(state.shift)))
    (answer,) = ask(api, of(retailer, 5))
    means = np.array([row["mean"] for row in answer["forecast"]])
    assert np.abs(means / unmoved.mean[5] - 1).max() > 0.01
    assert_equal(answer, retailer.forecast(5))


@pytest.mark.parametrize("metric", list(Metric))
def test_point_is_optimal_for_the_metric_asked_for(api: httpx.Client, retailer: Retailer, metric: Metric) -> None:
    (answer,) = ask(api, of(retailer, 5), metric=metric)
    assert_equal(answer, retailer.forecast(5, metric=metric))


def random_override(rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {
        "on_promotion": bool(rng.random() < 0.5),
        "price": round(float(rng.uniform(0.5, 3)), 2),
        "open": bool(rng.random() < 0.8),
        "covariates": {"warmth": float(rng.normal())},
    }
    return {name: values[name] for name in values if rng.random() < 0.7} or {"price": 1.5}


def test_random_what_ifs_equal_the_native_models(api: httpx.Client, retailer: Retailer) -> None:
    rng = np.random.default_rng(11)
    for _ in range(4):
        order = [int(row) for row in rng.permutation(len(retailer.keys))]
        batch, changes = [], dict[int, dict[str, list[tuple[int, float]]]]()
        for row in order:
            future = {int(h): random_override(rng) for h in rng.permutation(HORIZON)[: rng.integers(0, 6)] + 1}
            overrides = [{"date": day(retailer, h), **values} for h, values in future.items()]
            batch.append(of(retailer, row, overrides=overrides))
            changes[row] = {}
            for h, values in future.items():
                flat = {**values, **values.get("covariates", {})}
                for name in flat.keys() - {"covariates"}:
                    changes[row].setdefault(name, []).append((h, float(flat[name])))
        native = {version: retailer.what_if(version, changes) for version in (CHAMPION, COLD)}
        for row, answer in zip(order, ask(api, *batch), strict=True):
            assert_equal(answer, native[retailer.version_of(row)].take(np.array([row])))


def test_an_override_changes_its_own_series_only(api: httpx.Client, retailer: Retailer) -> None:
    plain = ask(api, of(retailer, 4), of(retailer, 5), of(retailer, 11))
    cheap = [{"date": day(retailer, 3), "price": 0.5, "on_promotion": True}]
    changed = ask(api, of(retailer, 4), of(retailer, 5, overrides=cheap), of(retailer, 11))
    assert changed[0] == plain[0]
    assert changed[2] == plain[2]
    assert changed[1]["forecast"][2] != plain[1]["forecast"][2]


def test_one_series_may_be_asked_several_what_ifs_in_one_batch(api: httpx.Client, retailer: Retailer) -> None:
    prices = (0.5, 1.0, 4.0)
    what_ifs = [of(retailer, 5, overrides=[{"date": day(retailer, 3), "price": price}]) for price in prices]
    alone = [ask(api, what_if)[0] for what_if in what_ifs]
    for together, single in zip(ask(api, *what_ifs), alone, strict=True):
        for name in NUMBERS:
            ours, theirs = ([row[name] for row in a["forecast"]] for a in (together, single))
            np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_a_closed_day_has_no_demand_and_other_days_still_do(api: httpx.Client, retailer: Retailer) -> None:
    (answer,) = ask(api, of(retailer, 5, overrides=[{"date": day(retailer, 4), "open": False}]))
    for h, row in enumerate(answer["forecast"], start=1):
        assert (row["mean"] == 0) == (h == 4)
        assert all(row[name] == 0 for name in NUMBERS) == (h == 4)


def test_only_the_dates_asked_for_come_back_in_order(api: httpx.Client, retailer: Retailer) -> None:
    dates = [day(retailer, 6), day(retailer, 2)]
    (answer,) = ask(api, of(retailer, 5, dates=dates))
    (whole,) = ask(api, of(retailer, 5))
    assert answer["forecast"] == [whole["forecast"][1], whole["forecast"][5]]


def test_unknown_series_are_all_named(api: httpx.Client, retailer: Retailer) -> None:
    batch = [of(retailer, 0), {"store_id": "S0", "item_id": "Brot"}, {"store_id": "S9", "item_id": "milk"}]
    body = check_problem(api, api.post("/v1/predict", json={"series": batch}), 404, "unknown_series")
    assert [e["pointer"] for e in body["errors"]] == ["/series/1", "/series/2"]
    assert "'Brot'" in body["errors"][0]["detail"]
    assert "'S9'" in body["errors"][1]["detail"]


def test_every_date_outside_the_horizon_is_named_with_the_valid_range(api: httpx.Client, retailer: Retailer) -> None:
    late, early = day(retailer, HORIZON + 1), day(retailer, 0)
    series = of(retailer, 0, dates=[day(retailer, 1), late], overrides=[{"date": early, "price": 1.0}])
    body = check_problem(api, api.post("/v1/predict", json={"series": [series]}), 422, "date_outside_horizon")
    assert [e["pointer"] for e in body["errors"]] == ["/series/0/dates/1", "/series/0/overrides/0/date"]
    for error in body["errors"]:
        assert f"{day(retailer, 1)} to {day(retailer, HORIZON)}" in error["detail"]


def test_a_channel_that_the_model_does_not_have_is_named_with_those_it_has(
    api: httpx.Client, retailer: Retailer
) -> None:
    series = of(retailer, 0, overrides=[{"date": day(retailer, 1), "covariates": {"oil~/price": 1.0}}])
    body = check_problem(api, api.post("/v1/predict", json={"series": [series]}), 422, "unknown_channel")
    (error,) = body["errors"]
    assert error["pointer"] == "/series/0/overrides/0/covariates/oil~0~1price"
    assert "open, on_promotion, price, holiday, warmth" in error["detail"]


def test_a_batch_above_the_limit_is_refused(api: httpx.Client, retailer: Retailer) -> None:
    answer = api.post("/v1/predict", json={"series": [of(retailer, 0)] * 21})
    body = check_problem(api, answer, 422, "batch_too_large")
    assert body["errors"][0]["pointer"] == "/series"
    assert len(ask(api, *[of(retailer, 0)] * 20)) == 20


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"price": 0}, "/price"),
        ({"price": -1.5}, "/price"),
        ({"price": float("nan")}, "/price"),
        ({"price": float("inf")}, "/price"),
        ({"price": 1e300}, "/price"),
        ({"price": "1.5"}, "/price"),
        ({"on_promotion": 1}, "/on_promotion"),
        ({"open": "yes"}, "/open"),
        ({"covariates": {"warmth": float("nan")}}, "/covariates/warmth"),
        ({"covariates": {"warmth": float("-inf")}}, "/covariates/warmth"),
        ({"covariates": {"price": 2.0}}, "/covariates"),
        ({"covariates": {"holiday": -1.0}}, "/covariates"),
        ({"covariates": {"holiday": 0.5}}, "/covariates"),
        ({"promo": True}, "/promo"),
        ({"date": "soon", "price": 1.0}, "/date"),
        ({}, ""),
    ],
)
def test_an_impossible_override_is_refused_where_it_is(
    api: httpx.Client, retailer: Retailer, change: dict[str, Any], pointer: str
) -> None:
    override = {"date": day(retailer, 1), **change}
    content = dumps({"series": [of(retailer, 0), of(retailer, 1, overrides=[override])]})
    answer = api.post("/v1/predict", content=content, headers={"Content-Type": "application/json"})
    body = check_problem(api, answer, 422, "invalid_request")
    assert [e["pointer"] for e in body["errors"]] == [f"/series/1/overrides/0{pointer}"]
    assert body["errors"][0]["location"] == "body"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/series"),
        ({"series": []}, "/series"),
        ({"series": [{"store_id": "S0"}]}, "/series/0/item_id"),
        ({"series": [{"store_id": 0, "item_id": "milk"}]}, "/series/0/store_id"),
        ({"series": [{"store_id": "", "item_id": "milk"}]}, "/series/0/store_id"),
        ({"series": [{"store_id": "S0", "item_id": "mi\0lk"}]}, "/series/0/item_id"),
        ({"series": [{"store_id": "S0", "item_id": "\ud800"}]}, "/series/0/item_id"),
        ({"series": [{"store_id": "S0", "item_id": "milk", "dates": []}]}, "/series/0/dates"),
        ({"series": [{"store_id": "S0", "item_id": "milk"}], "metric": "mape"}, "/metric"),
        (
            {"series": [{"store_id": "S0", "item_id": "milk", "overrides": [{"date": "2025-07-25", "price": 1}] * 2}]},
            "/series/0/overrides",
        ),
        ([], ""),
    ],
)
def test_a_body_of_another_form_is_refused_where_it_is_wrong(api: httpx.Client, body: Any, pointer: str) -> None:
    answer = api.post("/v1/predict", content=dumps(body), headers={"Content-Type": "application/json"})
    assert [e["pointer"] for e in check_problem(api, answer, 422, "invalid_request")["errors"]] == [pointer]


@pytest.mark.parametrize("content", [b"", b"{", b'{"series": [}'])
def test_a_body_that_is_not_json_is_refused(api: httpx.Client, content: bytes) -> None:
    answer = api.post("/v1/predict", content=content, headers={"Content-Type": "application/json"})
    assert check_problem(api, answer, 422, "invalid_request")["errors"]


def test_a_body_that_cannot_be_read_is_refused(api: httpx.Client) -> None:
    answer = api.post("/v1/predict", content=b'{"series": "\xe9"}', headers={"Content-Type": "application/json"})
    assert check_problem(api, answer, 400, "bad_request")["detail"]


def test_published_features_that_do_not_fit_the_model_are_an_error_of_ours(api: httpx.Client) -> None:
    series = dict(zip(("store_id", "item_id"), BROKEN, strict=True))
    # uvicorn closes a connection on which the application failed.
    answer = api.post("/v1/predict", json={"series": [series]}, headers={"Connection": "close"})
    body = check_problem(api, answer, 500, "internal_error")
    assert "payload" not in body["detail"]
