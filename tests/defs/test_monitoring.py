"""What is watched after a first run, and when drift asks for a training."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from shelfops_pipeline.contracts.bundle import REFERENCE
from shelfops_pipeline.definitions import defs
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.defs.monitoring import REPORT, drift
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import verify
from shelfops_pipeline.monitoring.archive import Archive
from shelfops_pipeline.monitoring.history import History
from shelfops_pipeline.monitoring.issued import Role
from shelfops_pipeline.monitoring.report import NO_SCORES
from shelfops_pipeline.monitoring.shadow import find_challengers
from tests.defs.conftest import HORIZON, Graph

WATCHED = {"shadow_forecasts", "forecast_scores", "drift_report", "drift_over_time"}


def facts_of(graph: Graph, asset: str) -> dict[str, Any]:
    event = graph.pipeline.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_what_was_published_is_kept_as_it_was_issued(graph: Graph) -> None:
    archive = Archive(artifact_root(graph.settings), graph.settings.issued_origins)
    panel, pointer = graph.panel, Registry(graph.settings.models).champion()
    assert archive.origins() == [panel.last_observed]
    issued = archive.read(panel.last_observed, Role.CHAMPION)
    assert issued is not None
    assert pointer is not None
    assert set(issued.versions) <= set(pointer.versions)
    assert issued.known_until == dict.fromkeys(set(issued.versions), panel.last_observed)
    served = pd.read_parquet(graph.artifacts / "demand_forecasts" / "all.parquet")
    assert issued.mean.shape == (panel.n_series, HORIZON)
    assert issued.mean.ravel() == pytest.approx(served["mean"].to_numpy())


def test_a_refused_candidate_forecasts_in_the_shadow(graph: Graph) -> None:
    found = find_challengers(Registry(graph.settings.models)).versions
    kept = artifact_root(graph.settings).names("issued_forecasts")
    assert any(".challenger." in name for name in kept) == bool(found)


def test_each_version_keeps_its_reference_under_a_checksum(graph: Graph) -> None:
    for entry in Registry(graph.settings.models).entries():
        assert REFERENCE in verify(graph.settings.models / entry.version).sha256


def test_the_first_run_reports_that_nothing_has_been_scored(graph: Graph) -> None:
    facts = facts_of(graph, "drift_report")
    assert facts["drifted"] is False
    assert facts["undefined"] == {"errors": NO_SCORES, "coverage": NO_SCORES}
    assert facts_of(graph, "forecast_scores")["dagster/row_count"] == 0
    (report,) = History(artifact_root(graph.settings)).read()
    assert report["origin"] == str(graph.panel.last_observed)
    assert (graph.settings.reports / "drift_over_time.html").stat().st_size > 10_000
    key = dg.AssetCheckKey(REPORT, "drift")
    record = graph.pipeline.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.evaluation is not None
    assert record.evaluation.passed


def test_a_refresh_and_a_training_both_look_for_drift() -> None:
    loaded: Any = defs()
    for job in ("refresh", "train"):
        assert {node.name for node in loaded.resolve_job_def(job).nodes} >= WATCHED, job


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def report(instance: dg.DagsterInstance, drifted: bool) -> None:
    facts = {"drifted": drifted, "origin": "2025-03-01"}
    instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, metadata=facts))


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    result = drift(dg.build_sensor_context(instance, resources={"retailer": Retailer()}))
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result if isinstance(result, dg.RunRequest) else str(result.skip_message)


def training(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> None:
    loaded: Any = defs()
    job = loaded.resolve_job_def("train")
    instance.create_run_for_job(job, status=status, tags=tags)


def test_drift_asks_for_one_training_per_report(instance: dg.DagsterInstance) -> None:
    assert tick(instance) == "no drift report yet"
    report(instance, drifted=False)
    assert tick(instance) == "no drift at 2025-03-01"
    report(instance, drifted=True)
    first, again = tick(instance), tick(instance)
    report(instance, drifted=True)
    other = tick(instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert isinstance(other, dg.RunRequest)
    assert first.tags["trigger"] == "drift"
    assert first.run_key == again.run_key != other.run_key


def test_drift_asks_for_nothing_while_a_training_is_under_way(instance: dg.DagsterInstance) -> None:
    training(instance, dg.DagsterRunStatus.STARTED)
    report(instance, drifted=True)
    assert tick(instance) == "a training is under way"


def test_after_a_training_for_drift_a_week_has_to_pass(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    training(instance, dg.DagsterRunStatus.SUCCESS, trigger="weekly")
    report(instance, drifted=True)
    assert isinstance(tick(instance), dg.RunRequest)
    training(instance, dg.DagsterRunStatus.SUCCESS, trigger="drift")
    report(instance, drifted=True)
    assert tick(instance) == f"the last training for drift was on {datetime.now(UTC):%Y-%m-%d}; a week has to pass"
    monkeypatch.setattr("shelfops_pipeline.defs.monitoring.COOL_DOWN", timedelta(0))
    assert isinstance(tick(instance), dg.RunRequest)
