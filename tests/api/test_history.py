"""What a series sold, over HTTP."""

from datetime import date, timedelta

import httpx
import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import text

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, STORE_ID, TS, UNIT_PRICE
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.tables import PERIOD
from shelfops_pipeline.store.transactions import replace_periods
from tests.api.support import DATASET, Retailer, check_problem

ITEM = "BREAD/BAKERY"


@pytest.fixture(scope="module", autouse=True)
def sold(retailer: Retailer, published_url: str) -> date:
    """Two receipts and a return on the last day, one ten days before; another item sold too. Returns the last day."""
    last = retailer.panel.last_observed
    days = [last, last, last, last - timedelta(days=10), last]
    period = np.array(days, "datetime64[D]")
    table = pa.table(
        {
            PERIOD: period,
            TS: period.astype("datetime64[ns]"),
            STORE_ID: pa.array(["S0"] * 5).dictionary_encode(),
            ITEM_ID: pa.array([ITEM] * 4 + ["milk"]).dictionary_encode(),
            QUANTITY: [4.0, 2.5, -1.0, 3.0, 99.0],
            UNIT_PRICE: [2.0, np.nan, 2.0, 1.5, 7.0],
        }
    )
    engine = open_engine(published_url)
    replace_periods(engine, DATASET, sorted(set(days)), [table])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM transactions")) == 5
    engine.dispose()
    return last


def test_every_period_from_the_first_sale_to_the_last_is_there(api: httpx.Client, sold: date) -> None:
    body = api.get(f"/v1/history/S0/{ITEM}").json()
    assert (body["store_id"], body["item_id"]) == ("S0", ITEM)
    quantities = {p["date"]: p["quantity"] for p in body["history"]}
    assert len(quantities) == 11
    assert (quantities[str(sold)], quantities[str(sold - timedelta(days=10))]) == (5.5, 3.0)
    assert sum(quantities.values()) == 8.5
    recent = api.get(f"/v1/history/S0/{ITEM}", params={"periods": 5}).json()["history"]
    assert recent == [{"date": str(sold), "quantity": 5.5, "price": 2.0}]


def test_a_series_that_sold_nothing_has_no_history(api: httpx.Client) -> None:
    assert api.get("/v1/history/S1/milk").json()["history"] == []


def test_an_unknown_series_is_named_and_a_window_is_bounded(api: httpx.Client) -> None:
    check_problem(api, api.get("/v1/history/S0/chocolate"), 404, "unknown_series")
    check_problem(api, api.get("/v1/history/S0/milk", params={"periods": 9999}), 422, "invalid_request")
