"""Requests made from the OpenAPI document, right ones and wrong ones: whatever comes, no answer blames us."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from sqlalchemy import Engine

from tests.api.support import CHAMPION, Retailer, api_settings, publish, served

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_FEW, _MANY = 3, 150


@pytest.fixture
def own_api(retailer: Retailer, warehouse: Engine, warehouse_url_of_test: str) -> Iterator[httpx.Client]:
    """An API on a warehouse of its own: these requests change what is in it."""
    publish(warehouse, retailer, CHAMPION)
    with served(api_settings(retailer.models.parent, warehouse_url_of_test)) as client:
        yield client


def statuses(api: httpx.Client, examples: int) -> Counter[int]:
    """How often each status came back, over every operation of the document; fails at the first 5xx."""
    found: Counter[int] = Counter()
    for result in schemathesis.openapi.from_dict(_open(api.get("/openapi.json").json())).get_all_operations():
        for mode in MODES:
            with suppress(Unsatisfiable):  # a route that takes nothing cannot be asked wrongly
                _ask(api, result.ok().as_strategy(generation_mode=mode), examples, found)
    return found


def _open(spec: dict[str, Any]) -> dict[str, Any]:
    """The document without its door, where nearly everything made up would end."""
    del spec["components"]["securitySchemes"]
    for operations in spec["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return spec


def _ask(api: httpx.Client, strategy: Any, examples: int, found: Counter[int]) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def ask(case: Case) -> None:
        answer = case.call(base_url=str(api.base_url).rstrip("/"))
        assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.text}"
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0] == "application/problem+json", answer.text
        found[answer.status_code] += 1

    ask()


def test_no_request_of_a_few_is_answered_with_a_fault_of_ours(own_api: httpx.Client) -> None:
    assert statuses(own_api, _FEW)[200] > 10


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_request_of_thousands_is_answered_with_a_fault_of_ours(own_api: httpx.Client, record_property: Any) -> None:
    found = statuses(own_api, _MANY)
    record_property("requests", found.total())
    record_property("by_status", dict(sorted(found.items())))
    assert found.total() >= 5000
