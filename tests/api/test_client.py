"""The typed client, and one that a public generator makes from the OpenAPI document, against the running API."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from shelfops_api.client import Client, ProblemError
from shelfops_api.schemas import Override, SeriesRequest
from tests.api.support import Retailer


@pytest.fixture
def client(api: httpx.Client) -> Iterator[Client]:
    with Client(str(api.base_url), retries=0) as client:
        yield client


def test_every_answer_is_typed(api: httpx.Client, client: Client, retailer: Retailer) -> None:
    assert client.champion().release == "v2+v1"
    forecast = client.forecast("S0", "BREAD/BAKERY")
    assert forecast.model_dump(mode="json") == api.get("/v1/forecasts/S0/BREAD/BAKERY").json()
    first = forecast.forecast[0].date
    assert len(client.forecast("S0", "milk", start=first, end=first + timedelta(days=2)).forecast) == 3


def test_many_series_come_page_by_page_or_as_a_stream(client: Client, retailer: Retailer) -> None:
    by_page = list(client.forecasts(page_size=5))
    assert [(one.store_id, one.item_id) for one in by_page] == sorted(retailer.keys)
    assert list(client.stream_forecasts()) == by_page
    assert list(client.stream_forecasts(store_id="S1", item_id=["milk", "eggs"])) == [
        one for one in by_page if one.store_id == "S1" and one.item_id in ("milk", "eggs")
    ]


def test_a_what_if(client: Client, retailer: Retailer) -> None:
    day = retailer.panel.last_observed + timedelta(days=1)
    asked = SeriesRequest(store_id="S1", item_id="milk", overrides=[Override(date=day, on_promotion=True)])
    answer = client.predict([asked])
    assert (answer.release, answer.series[0].item_id) == ("v2+v1", "milk")


def test_a_problem_is_raised_with_its_code(client: Client) -> None:
    with pytest.raises(ProblemError, match="chocolate") as raised:
        client.forecast("S0", "chocolate")
    assert (raised.value.status, raised.value.code) == (404, "unknown_series")
    with pytest.raises(ProblemError) as raised:
        list(client.stream_forecasts(after="nonsense"))
    assert raised.value.code == "invalid_request"


def test_what_changes_nothing_is_asked_again_where_nobody_answers() -> None:
    asked = []

    def nobody(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        raise httpx.ConnectError("nobody is there")

    with Client("http://test", retries=2, transport=httpx.MockTransport(nobody)) as client:
        with pytest.raises(httpx.ConnectError):
            client.predict([SeriesRequest(store_id="S1", item_id="milk")])
        with pytest.raises(httpx.ConnectError):
            client.champion()
    assert asked == ["POST", *["GET"] * 3]


def test_an_id_may_hold_what_ends_lines_elsewhere(client: Client, retailer: Retailer) -> None:
    known = client.forecast("S0", "milk").model_copy(update={"item_id": "a\u2028b\x85c"})
    lines = (known.model_dump_json() + '\n{"complete":true}\n').encode()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=lines))
    with Client("http://test", transport=transport) as reader:
        assert list(reader.stream_forecasts()) == [known]


@pytest.fixture
def generated(api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    document, package = tmp_path / "openapi.json", tmp_path / "generated_shelfops"
    document.write_text(json.dumps(api.get("/openapi.json").json()))
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"]
    paths = ["--path", str(document), "--output-path", str(package), "--config", str(tmp_path / "config.yaml")]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=True)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert complaints == ["WARNING parsing GET /metrics within health."]  # which is text, for Prometheus
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(package.name)
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_a_client_generated_from_the_openapi_document_works(api: httpx.Client, generated: ModuleType) -> None:
    def operation(name: str) -> ModuleType:
        return importlib.import_module(f"{generated.__name__}.api.{name}")

    models = importlib.import_module(f"{generated.__name__}.models")
    with generated.Client(base_url=str(api.base_url)) as client:
        assert operation("champion.champion").sync(client=client).release == "v2+v1"
        forecast = operation("forecasts.get_forecast").sync("S0", "milk", client=client)
        assert forecast.to_dict() == api.get("/v1/forecasts/S0/milk").json()
        page = operation("forecasts.list_forecasts").sync(client=client, store_id=["S1"], limit=3)
        assert (len(page.series), page.series[0].store_id) == (3, "S1")
        request = models.PredictRequest(series=[models.SeriesRequest(store_id="S1", item_id="milk")])
        assert operation("predict.predict").sync(client=client, body=request).series[0].item_id == "milk"
        problem = operation("forecasts.get_forecast").sync("S0", "chocolate", client=client)
        assert problem.code == "unknown_series"
