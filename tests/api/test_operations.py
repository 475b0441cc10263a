"""Alerts, orders, the plan, flags, trainings and models over HTTP: each status code, and who is on record."""

import csv
import inspect
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import BaseModel
from sqlalchemy import text

from shelfops_api.routes import alerts, flags, models, order_models, reorder_plan, retrain, tokens
from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.replenishment_records import Alert
from shelfops_pipeline.store.requests import add_request
from tests.api.doors import Door, opened_door
from tests.api.support import DATASET, check_problem

TODAY = date(2025, 8, 1)
STRANGE = ["'; DROP TABLE stock_alerts; --", "..%2F..%2Fetc%2Fpasswd", "%27%20OR%201%3D1", "a" * 200, "☃", "%0d%0aX: y"]


@pytest.fixture
def door(tmp_path: Path, warehouse_url_of_test: str) -> Iterator[Door]:
    with opened_door(tmp_path, warehouse_url_of_test) as opened:
        yield opened


def read(door: Door, path: str, **query: Any) -> Any:
    answer = door.ask("GET", path, Scope.READ, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def operate(door: Door, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
    return door.ask(method, path, Scope.OPERATE, json=body, **options)


def raise_alerts(door: Door, *items: str, severity: str = "high") -> list[str]:
    found = [Alert("S0", item, "stockout_risk", severity, f"{item} runs out", {"days": 2.5}) for item in items]
    sync_alerts(door.engine, DATASET, "v2+v1", found, at=datetime(2025, 8, 1, 6, tzinfo=UTC))
    return [a["alert_id"] for a in read(door, "/v1/alerts")["alerts"]]


def propose(door: Door) -> str:
    """An order of two lines with one supplier; its id."""
    columns = {
        "store_id": np.array(["S0", "S1"], object),
        "item_id": np.array(["milk", "BREAD/BAKERY"], object),
        "supplier_id": np.array(["dairy, and more"] * 2, object),
        "quantity": np.array([12.0, 7.5]),
        "order_date": np.full(2, TODAY, "datetime64[D]"),
        "delivery_date": np.full(2, date(2025, 8, 3), "datetime64[D]"),
        "unit_cost": np.array([1.25, np.nan]),
        "reason": np.array(["below_reorder_point"] * 2, object),
    }
    propose_orders(door.engine, DATASET, "v2+v1", columns, today=TODAY)
    (order,) = read(door, "/v1/orders")["orders"]
    return str(order["order_id"])


def test_alerts_are_paged_and_filtered(door: Door) -> None:
    ids = raise_alerts(door, "milk", "eggs", "soap")
    first = read(door, "/v1/alerts", limit=2)
    rest = read(door, "/v1/alerts", limit=2, after=first["next"])
    assert [a["alert_id"] for a in first["alerts"] + rest["alerts"]] == ids
    assert rest["next"] is None
    assert [a["item_id"] for a in read(door, "/v1/alerts", item_id="eggs")["alerts"]] == ["eggs"]
    assert read(door, "/v1/alerts", severity="low")["alerts"] == []
    assert read(door, "/v1/alerts", status="resolved")["alerts"] == []
    check_problem(door.client, door.ask("GET", "/v1/alerts?after=nothing", Scope.READ), 404, "unknown_alert")
    for wrong in ("limit=0", "limit=1001", "status=gone", "item_id=%00", "kind=x"):
        check_problem(door.client, door.ask("GET", f"/v1/alerts?{wrong}", Scope.READ), 422, "invalid_request")


def test_an_alert_is_acknowledged_and_resolved_in_the_name_of_the_key(door: Door) -> None:
    (alert,) = raise_alerts(door, "milk")
    seen = operate(door, "POST", f"/v1/alerts/{alert}/acknowledge").json()
    assert (seen["status"], seen["acknowledged_by"]) == ("acknowledged", "operate-er")
    check_problem(door.client, operate(door, "POST", f"/v1/alerts/{alert}/acknowledge"), 409, "alert_state")
    done = operate(door, "POST", f"/v1/alerts/{alert}/resolve", {"note": "delivered"}).json()
    assert (done["status"], done["resolved_by"], done["note"]) == ("resolved", "operate-er", "delivered")
    check_problem(door.client, operate(door, "POST", f"/v1/alerts/{alert}/resolve"), 409, "alert_state")
    assert read(door, "/v1/alerts")["alerts"] == []
    assert len(read(door, "/v1/alerts", status="resolved")["alerts"]) == 1
    check_problem(door.client, operate(door, "POST", "/v1/alerts/none/resolve"), 404, "unknown_alert")
    for body in ({"note": "x" * 1001}, {"note": "\0"}, {"notes": ""}, [], {"note": 1}):
        answer = operate(door, "POST", f"/v1/alerts/{alert}/resolve", body)
        check_problem(door.client, answer, 422, "invalid_request")


def test_an_order_is_edited_and_accepted_and_everything_is_on_record(door: Door) -> None:
    order = propose(door)
    line = {"store_id": "S1", "item_id": "BREAD/BAKERY", "quantity": 10, "note": "party"}
    edited = operate(door, "PATCH", f"/v1/orders/{order}/lines", line).json()
    assert edited["edited"]
    assert [(one["quantity"], one["proposed_quantity"]) for one in edited["lines"]] == [(12, 12), (10, 7.5)]
    accepted = operate(door, "POST", f"/v1/orders/{order}/accept", {"note": "go"}).json()
    assert (accepted["status"], accepted["decided_by"], accepted["cost"]) == ("accepted", "operate-er", None)
    for answer in (
        operate(door, "POST", f"/v1/orders/{order}/reject"),
        operate(door, "PATCH", f"/v1/orders/{order}/lines", line),
    ):
        check_problem(door.client, answer, 409, "order_state")
    events = read(door, f"/v1/orders/{order}/events")["events"]
    assert [event["action"] for event in events] == ["proposed", "edited", "accepted"]
    assert (events[1]["who"], events[1]["note"], events[1]["after"]) == ("operate-er", "party", {"quantity": 10.0})
    assert read(door, "/v1/orders", status="proposed")["orders"] == []
    assert read(door, "/v1/orders", supplier_id="dairy, and more", order_date=str(TODAY))["next"] is None


def test_an_order_is_rejected_without_a_reason(door: Door) -> None:
    order = propose(door)
    assert operate(door, "POST", f"/v1/orders/{order}/reject").json()["status"] == "rejected"


def test_orders_that_are_not_there_and_quantities_that_are_none(door: Door) -> None:
    order = propose(door)
    line = {"store_id": "S1", "item_id": "BREAD/BAKERY", "quantity": 10}
    for method, path, body in (
        ("POST", "/v1/orders/none/accept", None),
        ("POST", "/v1/orders/none/reject", None),
        ("PATCH", "/v1/orders/none/lines", line),
        ("PATCH", f"/v1/orders/{order}/lines", line | {"item_id": "none"}),
    ):
        check_problem(door.client, operate(door, method, path, body), 404, "unknown_order")
    for path in ("/v1/orders/none", "/v1/orders/none/events"):
        answer = door.ask("GET", path, Scope.READ)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_order")
    for quantity in (-1, 1e10, "10", None, True):
        answer = operate(door, "PATCH", f"/v1/orders/{order}/lines", line | {"quantity": quantity})
        check_problem(door.client, answer, 422, "invalid_request")
    nan = json.dumps(line | {"quantity": float("nan")})
    headers = {"Content-Type": "application/json"}
    answer = door.ask("PATCH", f"/v1/orders/{order}/lines", Scope.OPERATE, content=nan, headers=headers)
    check_problem(door.client, answer, 422, "invalid_request")


def test_an_order_is_a_csv_for_the_supplier(door: Door) -> None:
    order = propose(door)
    operate(door, "PATCH", f"/v1/orders/{order}/lines", {"store_id": "S0", "item_id": "milk", "quantity": 0})
    answer = door.ask("GET", f"/v1/orders/{order}", Scope.READ, headers={"Accept": "text/csv"})
    assert answer.headers["etag"] == '"2.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="order-2025-08-01.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row == {
        "order_id": order,
        "supplier_id": "dairy, and more",
        "order_date": "2025-08-01",
        "store_id": "S1",
        "item_id": "BREAD/BAKERY",
        "quantity": "7.5",
        "unit_cost": "",
        "delivery_date": "2025-08-03",
        "reason": "below_reorder_point",
    }


def test_a_decision_may_say_what_it_is_about(door: Door) -> None:
    order = propose(door)
    seen = door.ask("GET", f"/v1/orders/{order}", Scope.READ)
    tag = seen.headers["etag"]
    assert door.ask("GET", f"/v1/orders/{order}", Scope.READ, headers={"If-None-Match": tag}).status_code == 304
    line = {"store_id": "S0", "item_id": "milk", "quantity": 6}
    edited = operate(door, "PATCH", f"/v1/orders/{order}/lines", line, headers={"If-Match": tag})
    assert (edited.status_code, edited.json()["revision"]) == (200, seen.json()["revision"] + 1)
    for stale in (tag, '"x"', "1"):
        for method, path, body in (("PATCH", "lines", line), ("POST", "accept", None), ("POST", "reject", None)):
            answer = operate(door, method, f"/v1/orders/{order}/{path}", body, headers={"If-Match": stale})
            check_problem(door.client, answer, 412, "order_changed")
    now = {"If-Match": f"W/{edited.headers['etag']}"}  # what compresses on the way makes a tag weak
    accepted = operate(door, "POST", f"/v1/orders/{order}/accept", headers=now)
    assert accepted.json()["status"] == "accepted"
    assert operate(door, "POST", f"/v1/orders/{order}/reject", headers=now).status_code == 409


def test_an_alert_says_that_its_item_is_ordered(door: Door) -> None:
    order = propose(door)
    raise_alerts(door, "milk", "eggs")
    operate(door, "POST", f"/v1/orders/{order}/accept")
    found = read(door, "/v1/alerts")["alerts"]
    assert {alert["item_id"]: alert["details"].get("ordered") for alert in found} == {"milk": 12, "eggs": None}


def test_an_order_is_accepted_though_its_alerts_cannot_be_told(door: Door) -> None:
    order = propose(door)
    raise_alerts(door, "milk")
    with door.engine.begin() as connection:
        connection.execute(text("ALTER TABLE stock_alerts RENAME COLUMN raised_release TO lost"))
    assert operate(door, "POST", f"/v1/orders/{order}/accept").json()["status"] == "accepted"


def test_flags_and_their_history_are_paged(door: Door) -> None:
    for item, store in (("eggs", ""), ("milk", ""), ("milk", "?store_id=S1")):
        operate(door, "PUT", f"/v1/item-flags/{item}{store}", {"discontinued": True, "note": "season over"})
    first = read(door, "/v1/item-flags", limit=2)
    assert (first["next_item"], first["next_store"]) == ("milk", None)
    (last,) = read(door, "/v1/item-flags", limit=2, after_item=first["next_item"])["flags"]
    assert (last["item_id"], last["store_id"]) == ("milk", "S1")
    events = read(door, "/v1/item-flags/events", limit=2)
    told = [(e["item_id"], e["store_id"], e["who"]) for e in events["events"]]
    assert told == [("milk", "S1", "operate-er"), ("milk", None, "operate-er")]
    (rest,) = read(door, "/v1/item-flags/events", limit=2, after=events["next"])["events"]
    assert (rest["item_id"], rest["after"]) == ("eggs", {"discontinued": True, "like_item": None})
    assert read(door, "/v1/item-flags/events", item_id="soap") == {"events": [], "next": None}
    for wrong in ("/events?after=x", "?after_store=S1"):
        check_problem(door.client, door.ask("GET", f"/v1/item-flags{wrong}", Scope.READ), 422, "invalid_request")


def test_flags_are_set_read_and_cleared(door: Door) -> None:
    path = "/v1/item-flags/BREAD/BAKERY"
    flag = operate(door, "PUT", path, {"discontinued": True, "note": "no oven"}).json()
    assert (flag["item_id"], flag["store_id"], flag["set_by"]) == ("BREAD/BAKERY", None, "operate-er")
    operate(door, "PUT", f"{path}?store_id=S1", {"discontinued": False, "like_item": "rolls"})
    found = read(door, "/v1/item-flags", item_id="BREAD/BAKERY")["flags"]
    assert [(f["store_id"], f["discontinued"], f["like_item"]) for f in found] == [
        (None, True, None),
        ("S1", False, "rolls"),
    ]
    assert operate(door, "DELETE", path).status_code == 204
    check_problem(door.client, operate(door, "DELETE", path), 404, "unknown_flag")
    for body in ({}, {"like_item": "BREAD/BAKERY"}):
        check_problem(door.client, operate(door, "PUT", path, body), 422, "flag_meaningless")
    for body in ({"discontinued": "yes"}, {"like_item": ""}, {"discontinued": True, "by": "me"}):
        check_problem(door.client, operate(door, "PUT", path, body), 422, "invalid_request")


def test_a_training_is_asked_for_once_per_key(door: Door) -> None:
    def ask(key: str) -> httpx.Response:
        return operate(door, "POST", "/v1/retrain", {"reason": "sale"}, headers={"Idempotency-Key": key})

    first, again, other = ask("monday"), ask("monday"), ask("tuesday")
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert first.json()["request_id"] != other.json()["request_id"]
    assert (first.json()["status"], first.json()["requested_by"]) == ("waiting", "operate-er")
    assert read(door, first.headers["location"]) == first.json()
    answer = operate(door, "POST", "/v1/retrain", {"reason": "another"}, headers={"Idempotency-Key": "monday"})
    check_problem(door.client, answer, 422, "idempotency_key_reused")
    for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "a b"}, {"Idempotency-Key": "a" * 201}):
        answer = operate(door, "POST", "/v1/retrain", None, headers=headers)
        check_problem(door.client, answer, 422, "invalid_request")
    check_problem(door.client, door.ask("GET", "/v1/retrain/none", Scope.READ), 404, "unknown_request")
    theirs, _ = add_request(door.engine, "another", "k", requested_by="x")
    assert door.ask("GET", f"/v1/retrain/{theirs.request_id}", Scope.READ).status_code == 404


def test_models_are_those_of_the_registry(door: Door) -> None:
    assert read(door, "/v1/models") == {"models": []}
    folder = door.settings.models
    folder.mkdir(parents=True)
    at = "2025-08-01T03:00:00Z"
    entry = {"version": "v1", "feature_tier": "production", "dataset": DATASET, "mae": 2.5, "created_at": at}
    change = {"status": "champion", "at": at, "by": "gate", "reason": "the first"}
    (folder / "registry.json").write_text(json.dumps([entry | {"status": "champion", "history": [change]}]))
    (model,) = read(door, "/v1/models")["models"]
    assert (model["version"], model["status"], model["history"]) == ("v1", "champion", [change])
    assert read(door, "/v1/models", status="archived") == {"models": []}
    (folder / "registry.json").write_text("[{]")
    check_problem(door.client, door.ask("GET", "/v1/models", Scope.READ), 503, "registry_damaged")


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_id_is_only_an_id(door: Door, strange: str) -> None:
    (alert,) = raise_alerts(door, "milk")
    for method, path in (
        ("POST", f"/v1/alerts/{strange}/resolve"),
        ("GET", f"/v1/orders/{strange}"),
        ("POST", f"/v1/orders/{strange}/accept"),
        ("GET", f"/v1/retrain/{strange}"),
        ("DELETE", f"/v1/item-flags/{strange}"),
        ("GET", f"/v1/alerts?after={strange}"),
    ):
        answer = door.ask(method, path, Scope.ADMIN)
        assert answer.status_code in (404, 405), (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    for path in ("/v1/alerts?item_id", "/v1/orders?supplier_id", "/v1/item-flags?item_id"):
        assert door.ask("GET", f"{path}={strange}", Scope.READ).status_code == 200
    assert [a["alert_id"] for a in read(door, "/v1/alerts")["alerts"]] == [alert]


def answers_and_requests() -> list[type[BaseModel]]:
    modules = (alerts, flags, models, order_models, reorder_plan, retrain, tokens)
    own = (kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass))
    return [kind for kind in own if issubclass(kind, BaseModel) and "routes" in kind.__module__]


@pytest.mark.parametrize("kind", answers_and_requests())
def test_every_model_has_an_example_that_holds(kind: type[BaseModel]) -> None:
    examples = kind.model_json_schema()["examples"]
    for example in examples:
        kind.model_validate(example, extra="forbid")
    assert examples


def test_no_route_is_documented_with_errors_that_it_never_gives(door: Door) -> None:
    known = door.client.get("/openapi.json").json()["components"]["schemas"]
    assert "Problem" in known
    assert not {"HTTPValidationError", "ValidationError"} & set(known)
