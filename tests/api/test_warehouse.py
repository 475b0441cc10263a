"""A warehouse that is away: said, survived, and never started by the API."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from shelfops_api.main import create_app
from shelfops_api.warehouse import Warehouse, WarehouseState, WarehouseUnavailable
from shelfops_pipeline.contracts.access import ApiKey
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.embedded import embedded_postgres, is_running
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import downgrade, migrate, newest_revision
from tests.api.support import CHAMPION, Retailer, api_settings, check_problem, publish, served

NOBODY = "postgresql://shelfops@127.0.0.1:1/shelfops"
MILK = {"series": [{"store_id": "S1", "item_id": "milk"}]}


def check_away(api: httpx.Client) -> None:
    for answer in (api.get("/v1/forecasts/S1/milk"), api.post("/v1/predict", json=MILK)):
        check_problem(api, answer, 503, "warehouse_unavailable")
        assert answer.headers["retry-after"] == "5"
    assert api.get("/v1/champion").json()["release"] == "v2+v1"
    assert api.get("/readyz").json()["warehouse"] == "unreachable"


@pytest.mark.parametrize("url", [NOBODY, None])
def test_a_warehouse_that_does_not_answer(retailer: Retailer, url: str | None) -> None:
    with served(api_settings(retailer.models.parent, url)) as api:
        check_away(api)
    assert not is_running(retailer.models.parent)


def test_a_url_that_is_none_is_refused_at_the_start(retailer: Retailer) -> None:
    with pytest.raises(ShelfOpsError, match="is PostgreSQL"):
        create_app(api_settings(retailer.models.parent, "mysql://root:secret@db/shop"))


@pytest.mark.parametrize("auth", ["off", "on"])
def test_a_database_that_was_never_migrated(retailer: Retailer, postgres_url: str, auth: str) -> None:
    key = {"Authorization": f"Bearer {ApiKey.new().text}"}
    with served(api_settings(retailer.models.parent, postgres_url, api_auth=auth)) as api:
        body = check_problem(api, api.get("/v1/forecasts/S1/milk", headers=key), 503, "warehouse_outdated")
        assert "no tables yet" in body["detail"]
        assert "run `shelfops migrate`" in body["detail"]
        assert api.get("/readyz").json()["warehouse"] == "outdated"
        assert api.get("/healthz").status_code == 200


def test_tables_older_than_the_service_are_named_and_migrating_them_is_enough(
    retailer: Retailer, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    publish(warehouse, retailer, CHAMPION)
    downgrade(warehouse, "0007")
    with served(api_settings(retailer.models.parent, warehouse_url_of_test)) as api:
        body = check_problem(api, api.get("/v1/totals"), 503, "warehouse_outdated")
        assert f"are of 0007, this service needs {newest_revision()}" in body["detail"]
        assert api.get("/readyz").json()["warehouse"] == "outdated"
        assert api.get("/v1/forecasts/S1/milk").status_code == 200  # its tables are there
        migrate(warehouse)
        assert api.get("/v1/totals").status_code == 200
        assert api.get("/readyz").json()["warehouse"] == "published"


def test_tables_of_another_shape_are_a_defect_and_not_an_outage(
    retailer: Retailer, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("ALTER TABLE demand_forecasts DROP COLUMN q95"))
    with served(api_settings(retailer.models.parent, warehouse_url_of_test)) as api:
        answer = api.get("/v1/forecasts/S1/milk", headers={"Connection": "close"})
        body = check_problem(api, answer, 500, "internal_error")
        assert "q95" not in str(body)


def test_the_embedded_server_is_used_while_it_runs_and_never_started(embedded_home: Callable[[str], Path]) -> None:
    home = embedded_home("shop")
    warehouse = Warehouse(api_settings(home, None))
    with pytest.raises(WarehouseUnavailable, match="SHELFOPS_DATABASE_URL"):
        warehouse.engine()
    with embedded_postgres(home) as url:
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        assert warehouse.state("v1") is WarehouseState.UNPUBLISHED
        assert warehouse.engine() is warehouse.engine()
        warehouse.close()
    assert warehouse.state("v1") is WarehouseState.UNREACHABLE
    assert not is_running(home)
