"""What /metrics tells of the pipeline and of the champion's quality."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sqlalchemy import Engine

from shelfops_pipeline.store.operational_tables import RunStatus, pipeline_runs
from shelfops_pipeline.store.operations import raise_alert
from shelfops_pipeline.store.requests import add_request
from shelfops_pipeline.store.runs import EndedRun, note_run, pipeline_state, prune_runs
from tests.api.support import DATASET, Retailer, api_settings, served

BEGAN, ENDED = datetime(2025, 3, 1, 3, 0, tzinfo=UTC), datetime(2025, 3, 1, 3, 20, tzinfo=UTC)


def ran(engine: Engine) -> None:
    for run_id, status, at in (("a", "succeeded", BEGAN), ("b", "succeeded", ENDED), ("c", "failed", ENDED)):
        for _ in range(2):  # told of twice
            note_run(engine, DATASET, EndedRun(run_id, "train", RunStatus(status), "weekly", BEGAN, at))
    note_run(engine, "another shop", EndedRun("d", "ingest", RunStatus.FAILED, "manual", BEGAN, ENDED))


def told(text: str) -> dict[str, str]:
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")


def test_metrics_tell_of_runs_and_quality_and_go_on_without_the_tables(
    retailer: Retailer, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    ran(warehouse)
    raise_alert(warehouse, DATASET, "train", "lstm: MemoryError", message="", run_id="c", at=ENDED)
    add_request(warehouse, DATASET, "key", requested_by="ann")
    with served(api_settings(retailer.models.parent, warehouse_url_of_test)) as api:
        lines = told(api.get("/metrics").text)
        assert lines['shelfops_run_last_duration_seconds{job="train",status="succeeded"}'] == "1200.0"
        last = 'shelfops_run_last_end_timestamp_seconds{job="train",status="failed"}'
        assert float(lines[last]) == ENDED.timestamp()
        assert lines['shelfops_operational_alerts{job="train"}'] == "1.0"
        assert lines['shelfops_retrain_requests{status="waiting"}'] == "1.0"
        assert not any("ingest" in name for name in lines), "of another retailer"
        assert lines['shelfops_champion_metric{metric="mae",tier="production",version="v2"}'] == "2.5"
        assert not any('metric="mape"' in name for name in lines), "what is undefined has no value"
        cutoff = lines['shelfops_champion_training_cutoff_timestamp_seconds{tier="cold_start",version="v1"}']
        assert datetime.fromtimestamp(float(cutoff), UTC).date() == retailer.panel.last_observed
        with ThreadPoolExecutor(8) as monitors:
            texts = list(monitors.map(lambda _: api.get("/metrics").text, range(40)))
        assert all(last in told(text) for text in texts), "no monitor is told what another's question has cleared"
        with warehouse.begin() as connection:
            pipeline_runs.drop(connection)
        answer = api.get("/metrics")
        assert answer.status_code == 200
        assert last not in told(answer.text)
        assert 'shelfops_champion_metric{metric="mae",tier="production",version="v2"}' in told(answer.text)


def test_old_runs_are_forgotten(warehouse: Engine) -> None:
    ran(warehouse)
    assert prune_runs(warehouse, DATASET, ENDED) == 1
    assert {run.run_id for run in pipeline_state(warehouse, DATASET).latest} == {"b", "c"}
