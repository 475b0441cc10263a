"""A retailer that lives by its schedules and sensors: days pass, forecasts follow, demand shifts, runs fail.

Every schedule and sensor is asked through Dagster's API, and what it requests is run, in this process.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.bundle import CALIBRATION
from shelfops_pipeline.contracts.trigger import TRIGGER, Trigger
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.retraining import REQUEST
from shelfops_pipeline.defs.run_retention import REGISTERS, delete_old_runs
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.pipeline import Pipeline, open_pipeline
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.ingested import watermark
from shelfops_pipeline.store.operations import operational_alerts_of
from shelfops_pipeline.store.reads import latest_release
from shelfops_pipeline.store.requests import add_request, retrain_request
from shelfops_pipeline.store.runs import pipeline_state
from shelfops_pipeline.store.writes import publish_release
from tests.conftest import make_databases

SIZES = {"simulated_stores": 2, "simulated_items": 8, "simulated_days": 120, "horizon": 7, "folds": 2, "effort": 0.05}
LAST = date(2024, 1, 1) + timedelta(days=SIZES["simulated_days"] - 1)
RESOURCES = {"retailer": Retailer(), "warehouse": Warehouse()}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Shop:
    """A live retailer, and the automation at work on it."""

    pipeline: Pipeline
    engine: Engine
    environment: pytest.MonkeyPatch
    cursors: dict[str, str | None] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    """Run keys that were used: the daemon remembers them for ever."""

    @property
    def repository(self) -> dg.RepositoryDefinition:
        return self.pipeline.definitions.get_repository_def()

    def tick(self, name: str) -> list[dg.RunRequest]:
        """What a sensor or schedule asks for now; nothing that it has asked for before."""
        requests = self._sensor(name) if self.repository.has_sensor_def(name) else self._schedule(name)
        new = [r for r in requests if r.run_key is None or f"{name} {r.run_key}" not in self.keys]
        self.keys |= {f"{name} {r.run_key}" for r in new}
        return new

    def _sensor(self, name: str) -> Sequence[dg.RunRequest]:
        sensor = self.repository.get_sensor_def(name)
        context = dg.build_sensor_context(
            self.pipeline.instance, cursor=self.cursors.get(name), repository_def=self.repository, resources=RESOURCES
        )
        found = sensor.evaluate_tick(context)
        self.cursors[name] = found.cursor
        return [r.with_replaced_attrs(job_name=r.job_name or sensor.job_name) for r in found.run_requests or []]

    def _schedule(self, name: str) -> Sequence[dg.RunRequest]:
        schedule = self.repository.get_schedule_def(name)
        at = datetime(2026, 3, 2, 5, tzinfo=UTC)
        context = dg.build_schedule_context(self.pipeline.instance, at, RESOURCES, self.repository)
        found = schedule.evaluate_tick(context)
        return [r.with_replaced_attrs(job_name=schedule.job_name) for r in found.run_requests or []]

    def run(self, request: dg.RunRequest, only: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        """Carry out what was asked for, or `only` some assets of it."""
        job = self.repository.get_job(request.job_name)
        selection = [dg.AssetKey(name) for name in only] or request.asset_selection
        return job.execute_in_process(
            instance=self.pipeline.instance,
            tags=dict(request.tags),
            run_config=_QUIET,
            asset_selection=None if selection is None else list(selection),
            raise_on_error=False,
        )

    def carry_forward(self) -> set[str]:
        """One evaluation of the automation conditions, and the run that it asks for; the assets of it."""
        result = dg.evaluate_automation_conditions(
            self.pipeline.definitions, self.pipeline.instance, cursor=self.cursors.get("carry_forward")
        )
        self.cursors["carry_forward"] = result.cursor
        keys = {r.key for r in result.results if result.get_num_requested(r.key)}
        if keys:
            assert self.run(dg.RunRequest(job_name="refresh", asset_selection=sorted(keys))).success
        return {key.to_user_string() for key in keys}

    @property
    def registry(self) -> Registry:
        return Registry.of(self.pipeline.settings)

    @property
    def serving(self) -> Path:
        """The folder of the champion."""
        champion = self.registry.champion()
        assert champion is not None
        return self.registry.models / champion.version

    def publish(self) -> None:
        """The sensor sees that the champion is not the one that was announced, and asks once for its forecasts."""
        [request] = self.tick("champion_changed")
        assert request.job_name == "publish"
        assert self.tick("champion_changed") == []
        assert self.run(request).success
        assert self.tick("champion_changed") == []

    def forecast(self) -> tuple[str, date]:
        """The announced release, and the first day of its forecasts."""
        found = latest_release(self.engine, "simulated")
        assert found is not None
        first = text("SELECT min(date) FROM demand_forecasts WHERE release = :release")
        with self.engine.connect() as connection:
            return found.release, connection.scalar(first, {"release": found.release})


def latest(instance: dg.DagsterInstance, key: dg.AssetKey) -> tuple[str | None, Mapping[str, int]]:
    """The run that made the asset last, and the event that did so for each period."""
    made = instance.get_latest_materialization_event(key)
    materialized = dg.DagsterEventType.ASSET_MATERIALIZATION
    periods = instance.event_log_storage.get_latest_storage_id_by_partition(key, materialized)
    return None if made is None else made.run_id, periods


@pytest.fixture(scope="module")
def shop(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Nothing has happened yet."""
    databases = make_databases(postgres_server, "automation")
    values: dict[str, Any] = SIZES | databases | {"simulated_live": True}
    values |= {"home": tmp_path_factory.mktemp("automation"), "tier": "cold_start"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"SHELFOPS_{name.upper()}", str(value))
        with open_pipeline(Settings()) as pipeline:
            engine = open_engine(databases["database_url"])
            yield Shop(pipeline, engine, patch)
            engine.dispose()


def test_before_there_is_a_champion_the_daily_schedule_only_ingests(shop: Shop) -> None:
    [request] = shop.tick("daily_sync")
    assert request.job_name == "sync"
    assert {key.to_user_string() for key in request.asset_selection or ()} >= {"raw_transactions", "reference_tables"}
    assert not {key.to_user_string() for key in request.asset_selection or ()} & {"panel", "demand_forecasts"}
    assert shop.run(request).success
    assert watermark(shop.engine, "simulated") == LAST + timedelta(days=1)
    assert shop.carry_forward() == set()
    assert shop.tick("champion_changed") == []


def test_before_there_is_a_champion_what_arrives_becomes_the_panel_and_no_more(shop: Shop) -> None:
    [request] = shop.tick("new_data")
    assert (request.job_name, request.tags[TRIGGER]) == ("ingest", Trigger.NEW_DATA)
    assert shop.run(request).success
    assert shop.carry_forward() == {"training_data", "panel"}
    assert shop.carry_forward() == set()


def test_the_weekly_schedule_trains_a_candidate_and_its_champion_is_published(shop: Shop) -> None:
    [request] = shop.tick("weekly_retrain")
    assert (request.job_name, request.tags[TRIGGER]) == ("train", Trigger.WEEKLY)
    trained = shop.run(request)
    assert shop.registry.entry("v1").feature_tier == "cold_start"
    if shop.registry.champion() is None:  # of so little data the baselines may know as much: a person decides
        assert not trained.success
        shop.registry.promote("v1", "by hand")
        shop.publish()
    assert shop.forecast() == ("v1", LAST + timedelta(days=3))
    assert shop.carry_forward() == set()


def test_old_runs_are_deleted_and_what_they_made_is_still_known(shop: Shop) -> None:
    instance = shop.pipeline.instance
    registered = {event.run_id for event in instance.fetch_materializations(REGISTERS, limit=10).records}
    made = {key: latest(instance, key) for key in instance.get_asset_keys()}
    runs = set(instance.get_run_ids())
    assert delete_old_runs(instance, datetime.now(UTC) - timedelta(days=1)) == (0, 0)
    deleted, kept = delete_old_runs(instance, datetime.now(UTC))
    left = set(instance.get_run_ids())
    assert registered <= left < runs
    assert (deleted, kept) == (len(runs - left), len(left))
    assert all(instance.all_logs(run_id) == [] for run_id in runs - left)
    assert {key: latest(instance, key) for key in made} == made
    assert shop.carry_forward() == set()


def test_a_day_passes_and_what_arrives_is_carried_forward_to_forecasts_and_orders(shop: Shop) -> None:
    [request] = shop.tick("new_data")
    assert shop.run(request).success
    carried = shop.carry_forward()
    assert carried >= {"training_data", "panel", "online_features", "demand_forecasts", "stock_alerts"}
    assert not any(name.endswith(("_xgboost", "_lstm")) or name in ("backtest", "champion") for name in carried)
    assert shop.forecast() == ("v1", LAST + timedelta(days=4))
    assert shop.carry_forward() == set()


def test_the_daily_schedule_ingests_a_day_and_forecasts_from_it(shop: Shop) -> None:
    [request] = shop.tick("daily_sync")
    assert request.asset_selection is None
    assert shop.run(request).success
    assert shop.forecast() == ("v1", LAST + timedelta(days=5))
    assert shop.carry_forward() == set()


def test_the_monthly_schedule_scores_and_registers_nothing(shop: Shop) -> None:
    before = shop.registry.entries(), shop.registry.champion()
    [request] = shop.tick("monthly_backtest")
    assert shop.run(request).success
    assert (shop.registry.entries(), shop.registry.champion()) == before
    [folder] = (shop.pipeline.settings.reports / "backtests").iterdir()
    assert folder.name == str(LAST + timedelta(days=4))
    assert {"forecasts.parquet", "metrics.parquet", "accuracy_by_horizon.html"} <= {f.name for f in folder.iterdir()}


def test_what_only_looks_after_things_starts_no_training(shop: Shop) -> None:
    [request] = shop.tick("nightly_maintenance")
    assert request.job_name == "maintenance"
    assert shop.run(request).success
    assert shop.tick("feed_gap") == []


def test_a_request_becomes_one_training_and_hears_how_it_went(shop: Shop) -> None:
    asked, _ = add_request(shop.engine, "simulated", "key", requested_by="planner", reason="a new range")
    [request] = shop.tick("retrain_requests")
    assert (request.job_name, request.tags[TRIGGER]) == ("train", Trigger.API)
    assert request.tags[REQUEST] == asked.request_id
    add_request(shop.engine, "simulated", "key", requested_by="planner", reason="a new range")
    assert shop.tick("retrain_requests") == []
    result = shop.run(request, only=("training_data", "panel"))  # the weekly one was run to its end
    assert result.success
    assert shop.tick("retrain_requests") == []
    ended = retrain_request(shop.engine, asked.request_id)
    assert ended is not None
    assert (ended.status, ended.run_id) == ("succeeded", result.run_id)


def test_another_champion_is_published_once(shop: Shop) -> None:
    assert shop.tick("champion_changed") == []
    publish_release(  # what a rollback finds: another version was announced last
        shop.engine, "v0", champion_version="v0", cold_start_version=None, dataset="simulated", manifest={}
    )
    shop.publish()
    assert shop.forecast()[0] == "v1"


def test_a_failure_becomes_an_alert_until_the_job_succeeds(shop: Shop) -> None:
    watching = ("run_failures", "run_recoveries")
    for name in watching:
        shop.tick(name)
    publish, part = dg.RunRequest(job_name="publish"), shop.serving / CALIBRATION
    content = part.read_text()
    part.write_text(content.replace("0", "1", 1))
    failed = [shop.run(publish) for _ in range(2)]
    assert not any(result.success for result in failed)
    for name in watching:
        shop.tick(name)
    [alert] = operational_alerts_of(shop.engine, "simulated")
    told = {run.status: run for run in pipeline_state(shop.engine, "simulated").latest if run.job == "publish"}
    assert told["failed"].run_id == failed[-1].run_id
    assert told["failed"].started_at <= told["failed"].ended_at
    assert (alert.job, alert.cause, alert.occurrences) == ("publish", "online_features: BundleError", 2)
    assert "calibration.json" in alert.message
    assert alert.run_id == failed[-1].run_id
    part.write_text(content)
    repaired = shop.run(publish)
    assert repaired.success
    for name in watching:
        shop.tick(name)
    assert operational_alerts_of(shop.engine, "simulated") == []
    [resolved] = operational_alerts_of(shop.engine, "simulated", resolved=True)
    assert resolved.resolved_by == repaired.run_id
    told = {run.status: run for run in pipeline_state(shop.engine, "simulated").latest if run.job == "publish"}
    assert told["succeeded"].run_id == repaired.run_id


def test_demand_that_shifts_is_found_and_asks_for_a_training(shop: Shop) -> None:
    shop.carry_forward()  # what was run by hand in the tests before; a tick that saw both would take it for the answer
    assert shop.tick("drift") == []
    today = watermark(shop.engine, "simulated")
    assert today is not None
    shop.environment.setenv("SHELFOPS_SIMULATED_SHIFT_FROM", str(today + timedelta(days=1)))
    shop.environment.setenv("SHELFOPS_SIMULATED_SHIFT", "3")
    for _ in range(10):
        [request] = shop.tick("new_data")
        assert shop.run(request).success
    assert shop.carry_forward() >= {"demand_forecasts", "drift_report"}
    [request] = shop.tick("drift")
    assert (request.job_name, request.tags[TRIGGER]) == ("train", Trigger.DRIFT)
    assert shop.tick("drift") == []
