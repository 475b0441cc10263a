"""A backfill through Dagster's API, as the UI's button starts it, on the real processes of `shelfops up`."""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from shelfops_pipeline.services.instance import dagster_environment
from shelfops_pipeline.services.pipeline import open_pipeline
from shelfops_pipeline.services.stack import HOST, LOCATION, Ports, Stack
from shelfops_pipeline.services.supervisor import Supervisor
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.embedded import embedded_postgres
from shelfops_pipeline.store.engine import for_database, open_engine
from shelfops_pipeline.store.migrate import migrate
from tests.conftest import admin
from tests.defs.conftest import files_under
from tests.stack.test_up import free_ports

FIRST, DAYS = date(2024, 1, 1), 60
SIZES: dict[str, Any] = {"simulated_stores": 3, "simulated_items": 10, "simulated_days": 90}
PERIODS = [(FIRST + timedelta(days=n)).isoformat() for n in range(DAYS)]
BY_PERIOD = ("raw_transactions", "raw_inventory", "validated_transactions", "transactions_table", "inventory_table")
TABLES = {  # without what differs from run to run: numbers, times, ids of runs
    "transactions": "*",
    "inventory": "*",
    "quarantined_transactions": "dataset, partition_key, source, line, reason, row::text, fingerprint",
    "ingested_periods": "dataset, period, rows, accepted, returns, quarantined, late, corrected, withdrawn, "
    "reasons::text, source_checksum, warehouse_checksum",
}

LAUNCH = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status error { message } } } }"""
RUNS = """query ($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
  ... on Runs { results { runId status assetSelection { path } } } } }"""
STORED = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized } assetPartitionStatuses {
    ... on TimePartitionStatuses { ranges { startKey endKey status } } } } } }"""


@dataclass(frozen=True)
class Running:
    """Dagster at work on a home."""

    settings: Settings
    url: str
    """Of the warehouse."""
    port: int

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The first field of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{HOST}:{self.port}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        [found] = answer["data"].values()
        return dict(found)

    def backfill(self, params: dict[str, Any], seconds: float = 240) -> list[dict[str, Any]]:
        """Launch a backfill and wait until it is complete; its runs."""
        launched = self.ask(LAUNCH, params={"partitionNames": PERIODS, **params})
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        deadline = time.monotonic() + seconds
        while (found := self.ask(STATUS, id=launched["backfillId"]))["status"] == "REQUESTED":
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        runs = self.ask(RUNS, id=launched["backfillId"])["results"]
        assert found["status"] == "COMPLETED_SUCCESS", (found, runs)
        return list(runs)

    def stored(self, asset: str) -> list[tuple[str, str]]:
        """Ranges of materialized partitions."""
        found = self.ask(STORED, key={"path": [asset]})
        assert found["partitionStats"]["numMaterialized"] == DAYS
        ranges = found["assetPartitionStatuses"]["ranges"]
        return [(each["startKey"], each["endKey"]) for each in ranges if each["status"] == "MATERIALIZED"]

    def snapshot(self) -> dict[str, Any]:
        return snapshot(self.settings, self.url)


def snapshot(settings: Settings, url: str) -> dict[str, Any]:
    """The bytes of all Parquet files, and the rows of all tables."""
    files = {path: data for path, data in files_under(settings.root / "artifacts").items() if ".parquet" in path}
    # The folder of reference tables gets a new name each time.
    found: dict[str, Any] = {"files": {re.sub(r"/[0-9a-f]{32}/", "/", path): data for path, data in files.items()}}
    engine = open_engine(url)
    with engine.connect() as connection:
        for table, columns in TABLES.items():
            rows = connection.execute(text(f"SELECT {columns} FROM {table}"))  # noqa: S608
            found[table] = sorted(map(tuple, rows), key=repr)
    engine.dispose()
    return found


def start(stack: Stack, supervisor: Supervisor) -> None:
    """Prepare the storage, and start Dagster's processes as `shelfops up` does; MLflow and the API are not needed."""
    environment = {**os.environ, **stack.environment()}
    subprocess.run(stack.prepare(fail_dead_runs=True), env=environment, check=True, capture_output=True)
    supervisor.start(stack.code_server())
    wait(supervisor, "code-server")
    supervisor.start(stack.webserver())
    supervisor.start(stack.daemon())
    wait(supervisor, "webserver", "daemon")


def wait(supervisor: Supervisor, *names: str) -> None:
    for name in names:
        while not supervisor.is_ready(name):
            time.sleep(0.1)


@contextmanager
def running_stack(settings: Settings) -> Iterator[Running]:
    """The processes, until the block ends."""
    with embedded_postgres(settings.root) as url, TemporaryDirectory(prefix="shelfops-") as run:
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        [port] = free_ports(1)
        stack = Stack(settings, url, Path(run), Ports(webserver=port), dagster_environment(settings, url))
        supervisor = Supervisor(settings.root / "logs", settings.root / "services.json")
        try:
            start(stack, supervisor)
            yield Running(settings, url, port)
        finally:
            supervisor.stop_all()


def run_of(backfill: Sequence[dict[str, Any]]) -> str:
    """The only run of a backfill."""
    [run] = backfill
    assert run["status"] == "SUCCESS"
    return str(run["runId"])


@pytest.mark.soak
@pytest.mark.timeout(600)  # Dagster's daemon looks for backfills, and for their ends, twice a minute
def test_a_backfill_of_sixty_days_is_one_run_and_a_second_changes_nothing(embedded_home: Callable[[], Path]) -> None:
    repository = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
    of_the_job = {"selector": {"partitionSetName": "ingest_partition_set", "repositorySelector": repository}}
    of_assets = {"assetSelection": [{"path": [name]} for name in (*BY_PERIOD, "quarantined_transactions")]}
    with running_stack(Settings(home=embedded_home(), **SIZES)) as running:
        runs = {run_of(running.backfill(of_the_job))}
        assert all(running.stored(name) == [(PERIODS[0], PERIODS[-1])] for name in BY_PERIOD)
        first = running.snapshot()
        check_whole(first)
        for again in (of_the_job, of_assets):
            runs.add(run_of(running.backfill(again)))
            assert running.snapshot() == first
    assert len(runs) == 3


def check_whole(found: dict[str, Any]) -> None:
    """Every period is there, with rows."""
    assert sorted(str(record[1]) for record in found["ingested_periods"]) == PERIODS
    for name in ("raw_transactions", "raw_inventory", "validated_transactions"):
        files = {path for path in found["files"] if path.startswith(name)}
        assert files == {f"{name}/{key}.parquet" for key in PERIODS}
    of_records = [sum(record[at] for record in found["ingested_periods"]) for at in (2, 3, 5)]
    stored = [len(found[name]) for name in ("transactions", "quarantined_transactions")]
    assert of_records == [sum(stored), *stored]  # rows, accepted, quarantined
    assert min(stored) > 0


def test_a_range_of_sixty_days_is_one_run_in_this_process_too_and_a_second_one_changes_nothing(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("backfill", "backfill_dagster")
    for name in names:
        admin(postgres_server, "CREATE DATABASE {}", name)
    url, storage = (for_database(postgres_server, name) for name in names)
    for name, value in {**SIZES, "home": tmp_path, "database_url": url, "dagster_database_url": storage}.items():
        monkeypatch.setenv(f"SHELFOPS_{name.upper()}", str(value))
    settings = Settings()
    with open_pipeline(settings) as pipeline:
        snapshots = []
        for _ in range(2):
            assert pipeline.ingest(FIRST, date.fromisoformat(PERIODS[-1]), lambda *_: None).success
            snapshots.append(snapshot(settings, url))
        assert pipeline.instance.get_runs_count() == 2
        stored = [pipeline.instance.get_materialized_partitions(dg.AssetKey(name)) for name in BY_PERIOD]
    assert stored == [set(PERIODS)] * len(BY_PERIOD)
    check_whole(snapshots[0])
    assert snapshots[0] == snapshots[1]
