"""The sensors on a retailer that trades on: what arrives is ingested, what does not is noticed."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from shelfops_pipeline.defs.feed import feed_gap, feed_state
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.sensors import new_data
from shelfops_pipeline.services.pipeline import Pipeline, open_pipeline
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.ingested import period_records
from tests.conftest import make_databases

DAYS = 90
LAST = date(2024, 1, 1) + timedelta(days=DAYS - 1)


@pytest.fixture(scope="module")
def live(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A live simulated retailer; nothing is ingested yet."""
    values = {"simulated_stores": 5, "simulated_items": 12, "simulated_days": DAYS, "simulated_live": True}
    values |= {"home": tmp_path_factory.mktemp("live")} | make_databases(postgres_server, "live")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"SHELFOPS_{name.upper()}", str(value))
        with open_pipeline(Settings()) as pipeline:
            yield pipeline


def tick(pipeline: Pipeline, cursor: str | None = None) -> dg.RunRequest | dg.SkipReason:
    """One evaluation of `new_data`."""
    context = dg.build_sensor_context(pipeline.instance, cursor=cursor)
    found = new_data(context, retailer=Retailer(), warehouse=Warehouse())
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def run(pipeline: Pipeline, request: dg.RunRequest) -> tuple[date, date]:
    """Carry out what the sensor asks for."""
    first, last = (date.fromisoformat(request.tags[f"dagster/asset_partition_range_{end}"]) for end in ("start", "end"))
    pipeline.ingest(first, last, lambda *_: None)
    return first, last


def test_each_tick_is_a_day_of_trade_and_asks_for_what_changed(live: Pipeline) -> None:
    request = tick(live)
    assert isinstance(request, dg.RunRequest)
    assert run(live, request) == (date(2024, 1, 1), LAST + timedelta(days=1))
    keys, late = {request.run_key}, 0
    for n in range(2, 8):
        request = tick(live)
        assert isinstance(request, dg.RunRequest)
        assert run(live, request)[1] == LAST + timedelta(days=n)
        keys.add(request.run_key)
    with live.engine() as engine:
        records = period_records(engine, "simulated")
    late = sum(r.late + r.corrected for r in records)
    assert len(keys) == 7
    assert records[-1].period == LAST + timedelta(days=7)
    assert late > 0


def test_the_feed_is_complete_until_a_store_falls_silent(live: Pipeline) -> None:
    source = Retailer().source
    complete, facts, _ = feed_state(source, Warehouse())
    assert complete
    assert facts["stores"] == 5
    with live.engine() as engine, engine.begin() as connection:
        lost = "DELETE FROM transactions WHERE store_id = 'S002' AND period > :since"
        assert connection.execute(text(lost), {"since": LAST}).rowcount > 0
    complete, facts, _ = feed_state(source, Warehouse())
    assert not complete
    assert "S002" in facts["missing"].value


def test_the_sensor_reports_a_change_once(live: Pipeline) -> None:
    context = dg.build_sensor_context(live.instance)
    result = feed_gap(context, retailer=Retailer(), warehouse=Warehouse())
    assert isinstance(result, dg.SensorResult)
    [evaluation] = result.asset_events
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert not evaluation.passed
    assert evaluation.metadata["periods without any row"].value > 300  # it trades in 2024, and is asked today
    again = dg.build_sensor_context(live.instance, cursor=result.cursor)
    second = feed_gap(again, retailer=Retailer(), warehouse=Warehouse())
    assert isinstance(second, dg.SensorResult)
    assert not second.asset_events
    assert second.skip_reason is not None


def test_runs_are_logged_as_json_lines_with_run_partition_and_data_set(live: Pipeline) -> None:
    path = Path(live.settings.root) / "logs" / "pipeline.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = [line for line in lines if line.get("step") == "validate"]
    assert found
    assert {"time", "level", "message", "run", "job", "partition"} <= set(found[0])
    assert found[0]["dataset"] == "simulated"
    assert found[0]["partition"] == f"2024-01-01..{LAST + timedelta(days=1)}"
    assert found[0]["message"].startswith("accepted")
