"""The planner's page in a real browser, on the real API: what a person does there, and what must never happen."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shelfops_api.alert_hub import MOST_SHOWN
from shelfops_pipeline.contracts.access import EVERY_SCOPE
from shelfops_pipeline.contracts.replenishment import AlertStatus, OrderStatus
from shelfops_pipeline.store.alerts import list_alerts
from shelfops_pipeline.store.api_keys import issue_key
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.orders import list_orders, read_order
from tests.api.planner import EGGS, HOSTILE, MILK, XSS, Planner, planner_of
from tests.api.support import CHAMPION, DATASET, Retailer, publish, until
from tests.browsers import chromium, needs_browser
from tests.redis_server import RedisServer

pytestmark = needs_browser
EXPECT_MS = 15_000


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = RedisServer(tmp_path_factory.mktemp("r"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def planner(retailer: Retailer, warehouse_url_of_test: str, redis_url: str) -> Iterator[Planner]:
    with planner_of(retailer, warehouse_url_of_test, redis_url) as planner:
        yield planner


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Any, planner: Planner) -> Iterator[Any]:
    """The page, loaded. Fails on an error of the console, a failed request, or a request off the machine."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(EXPECT_MS)
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda r: trouble.append(f"{r.url}: {r.failure}"))
    page.on("request", lambda r: None if r.url.startswith((planner.url, "blob:")) else trouble.append(r.url))
    page.goto(f"{planner.url}/")
    page.wait_for_selector("#live.up")
    page.wait_for_selector("[data-alert]")
    yield page
    page.close()
    assert trouble == []


def test_an_alert_appears_by_itself_and_ids_and_messages_are_shown_as_text(page: Any, planner: Planner) -> None:
    planner.raise_alerts(MILK, XSS)
    page.get_by_role("button", name=f"{HOSTILE} in S1", exact=True).wait_for()
    assert HOSTILE in page.locator(".alert.medium .message").inner_text()
    assert "New medium alert" in page.locator("#alerts-news").inner_text()
    planner.raise_alerts(XSS)  # milk's cause is gone
    page.locator(".alert.high").wait_for(state="detached")
    assert page.title() == "ShelfOps planner"
    assert page.locator("#alerts img").count() == 0


def test_the_keyboard_alone_acknowledges_an_alert_and_accepts_an_order(page: Any, planner: Planner) -> None:
    _tab_to(page, "Acknowledge: Stockout risk, milk in S0")
    page.keyboard.press("Enter")
    page.get_by_text("acknowledged by").wait_for()
    (alert,) = list_alerts(planner.engine, DATASET)
    assert alert.status == AlertStatus.ACKNOWLEDGED
    assert page.evaluate("document.activeElement.closest('[data-alert]') !== null")  # the focus was not lost

    dairy = next(o for o in list_orders(planner.engine, DATASET) if o.supplier_id == "Dairy & Co")
    _tab_to(page, "Dairy & Co", tag="SUMMARY")
    page.keyboard.press("Enter")
    _tab_to(page, "Quantity of milk in S0")
    page.keyboard.press("Control+a")
    page.keyboard.type("60")
    page.keyboard.press("Tab")
    page.get_by_text("milk in S0: 60 instead of 48 units.").wait_for()
    _tab_to(page, "Accept order")
    page.keyboard.press("Enter")
    page.locator("summary", has_text="accepted").wait_for()
    order = read_order(planner.engine, DATASET, dairy.order_id)
    assert order.status == OrderStatus.ACCEPTED
    assert {(line.store_id, line.quantity) for line in order.lines} == {("S0", 60.0), ("S1", 24.0)}
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").press("Enter")
    assert "S0,milk,60" in Path(saved.value.path()).read_text()


def test_a_series_is_found_explained_and_answers_what_if(page: Any) -> None:
    page.fill("#store", "S0")
    page.fill("#item", "milk")
    page.keyboard.press("Enter")
    page.locator(".chart path.mean").wait_for()
    page.get_by_text("because of the promotion").wait_for()
    assert page.locator(".chart path.sold").get_attribute("d").count("L") > 80
    page.locator(".chart svg").focus()
    page.keyboard.press("ArrowRight")
    assert "expected" in page.locator(".chart .note").inner_text()
    assert page.locator(".chart path.scenario").count() == 0
    page.get_by_label("Promotion").select_option("true")
    page.locator(".chart path.scenario").wait_for()
    first = page.locator(".chart path.scenario").get_attribute("d")
    assert "instead of" in page.locator(".result").inner_text()
    page.locator("input[type=range]").fill("70")
    page.wait_for_function("before => document.querySelector('path.scenario').getAttribute('d') !== before", arg=first)
    page.get_by_text("Show the numbers as a table").click()
    assert "What-if" in page.locator(".as-table thead").inner_text()


def test_a_key_is_asked_for_only_when_the_service_wants_one(
    browser: Any, retailer: Retailer, warehouse_url_of_test: str, redis_url: str
) -> None:
    engine = open_engine(warehouse_url_of_test)
    key = issue_key(engine, DATASET, "planner", EVERY_SCOPE, by="test")
    engine.dispose()
    with planner_of(retailer, warehouse_url_of_test, redis_url, api_auth="on") as planner:
        page = browser.new_page()
        page.goto(f"{planner.url}/")
        page.get_by_role("textbox", name="Key").fill(key.text)
        page.keyboard.press("Enter")
        page.wait_for_selector("#live.up")
        page.get_by_role("button", name="milk in S0").first.wait_for()
        assert page.evaluate("Object.keys(localStorage).length") == 0
        planner.raise_alerts(MILK, EGGS)
        page.get_by_role("button", name="eggs in S1", exact=True).wait_for()
        page.close()


def test_where_there_are_more_totals_than_fit_the_page_says_so(page: Any) -> None:
    note = page.get_by_text("are shown; the API has all of them")
    assert note.count() == 0

    def fewer(route: Any) -> None:
        route.continue_(url=route.request.url.replace("limit=200", "limit=1"))

    page.route("**/v1/totals?*limit=200*", fewer)
    page.locator("#totals select").select_option("category")
    note.wait_for()
    assert page.locator("#totals tbody tr").count() == 1


def test_forecasts_of_another_day_are_shown_though_the_release_is_the_same(
    browser: Any, planner: Planner, retailer: Retailer
) -> None:
    page = browser.new_page()
    page.set_default_timeout(EXPECT_MS)
    page.clock.install()
    page.goto(f"{planner.url}/")
    page.locator("#totals table").wait_for()
    page.fill("#store", "S0")
    page.fill("#item", "milk")
    page.keyboard.press("Enter")
    page.locator(".chart path.mean").wait_for()
    before = planner.client.get("/v1/champion").json()
    publish(planner.engine, retailer, CHAMPION)  # without totals and reasons, so that the page can be told from before
    until(lambda: planner.client.get("/v1/champion").json()["published_at"] != before["published_at"])
    assert planner.client.get("/v1/champion").json()["release"] == before["release"]
    page.clock.fast_forward(31_000)
    page.get_by_text("Totals are not published for this release yet.").wait_for()
    page.get_by_text("The reasons of this forecast are not written yet.").wait_for()
    page.close()


def test_more_alerts_that_cannot_be_had_say_why(browser: Any, planner: Planner) -> None:
    planner.raise_alerts(*(replace(MILK, item_id=f"item {n}") for n in range(MOST_SHOWN)))
    page = browser.new_page()
    page.set_default_timeout(EXPECT_MS)
    page.goto(f"{planner.url}/")
    page.wait_for_selector("#live.up")
    page.get_by_role("button", name="Show more").wait_for()
    with planner.engine.begin() as connection:
        connection.execute(text("ALTER TABLE stock_alerts RENAME TO lost"))
    page.get_by_role("button", name="Show more").press("Enter")
    page.locator("#alerts .trouble", has_text="The error was logged under this request id.").wait_for()
    page.close()


def test_an_answer_that_is_late_undoes_nothing_that_the_stream_has_told(browser: Any, planner: Planner) -> None:
    planner.raise_alerts(MILK, EGGS)
    page, held = browser.new_page(), list[tuple[Any, Any]]()
    page.set_default_timeout(EXPECT_MS)
    page.route("**/v1/alerts?*", lambda route: held.append((route, route.fetch())))
    page.goto(f"{planner.url}/")
    page.get_by_role("button", name="milk in S0").first.wait_for()  # the stream was faster
    until(lambda: page.wait_for_timeout(50) is None and bool(held))
    planner.raise_alerts(EGGS)  # milk's cause is gone
    (eggs,) = planner.client.get("/v1/alerts").json()["alerts"]
    assert planner.client.post(f"/v1/alerts/{eggs['alert_id']}/acknowledge").status_code == 200
    told = page.locator("[data-alert]", has_text="eggs in S1")
    told.filter(has_text="acknowledged by local").wait_for()
    page.locator("[data-alert]", has_text="milk in S0").wait_for(state="detached")
    ((route, answer),) = held
    with page.expect_response("**/v1/alerts?*"):
        route.fulfill(response=answer)
    page.wait_for_timeout(200)
    assert "milk" in answer.text()
    assert "acknowledged by local" in told.inner_text()
    assert page.locator("[data-alert]").count() == 1
    page.close()


def test_an_order_that_a_plan_changes_meanwhile_is_shown_anew_and_not_accepted(browser: Any, planner: Planner) -> None:
    page = browser.new_page()  # the browser itself reports the refusal as an error
    page.set_default_timeout(EXPECT_MS)
    page.goto(f"{planner.url}/")
    page.locator("summary", has_text="Dairy & Co").click()
    page.get_by_label("Quantity of milk in S0").wait_for()
    planner.propose(factor=2)
    page.get_by_role("button", name="Accept order").click()
    page.get_by_text("This order has changed since you looked at it").wait_for()
    assert page.get_by_label("Quantity of milk in S0").input_value() == "96"
    assert {order.status for order in list_orders(planner.engine, DATASET)} == {OrderStatus.PROPOSED}
    page.get_by_role("button", name="Accept order").click()
    page.locator("summary", has_text="accepted").wait_for()
    page.locator(".alert.high", has_text="96 ordered").wait_for()
    page.close()


def _tab_to(page: Any, name: str, tag: str = "") -> None:
    """Press Tab until the element of that name (or text) has the focus."""
    at = """() => { const e = document.activeElement;
        return [e.tagName, e.getAttribute('aria-label') ?? e.textContent ?? '']; }"""
    for _ in range(60):
        found_tag, found = page.evaluate(at)
        if name in found and found_tag != "BODY" and (not tag or found_tag == tag):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reached {name!r}")
