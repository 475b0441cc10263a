"""SIGKILL in the middle of `shelfops ingest`: after the next one the tables are as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from shelfops_pipeline.store.embedded import embedded_postgres, remove_embedded, running_url
from shelfops_pipeline.store.engine import warehouse_url
from tests.defs.conftest import files_under

Homes = Callable[..., Path]
Process = subprocess.Popen[str]

DAYS = 120
COMMAND = [sys.executable, "-c", "from shelfops_pipeline.cli import main; main()", "ingest", "--dataset", "simulated"]
SIZES = {"SHELFOPS_SIMULATED_STORES": "3", "SHELFOPS_SIMULATED_ITEMS": "10", "SHELFOPS_SIMULATED_DAYS": str(DAYS)}
STEPS = ("raw_transactions", "raw_inventory", "validated_transactions")
TABLES = {  # without what differs from run to run: numbers, times, ids of runs
    "transactions": "*",
    "inventory": "*",
    "stores": "*",
    "items": "*",
    "calendar": "*",
    "quarantined_transactions": "dataset, partition_key, source, line, reason, row::text, fingerprint",
    "ingested_periods": "dataset, period, rows, accepted, returns, quarantined, late, corrected, withdrawn, "
    "reasons::text, source_checksum, warehouse_checksum",
}


@contextmanager
def ingest(home: Path, *arguments: str) -> Iterator[Process]:
    """The real command at work; SIGKILL when the block ends, if it has not ended itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHELFOPS_")}
    environment |= SIZES | {"SHELFOPS_HOME": str(home)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([*COMMAND, *arguments], env=environment, stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def finish(home: Path) -> str:
    """Ingest to the end; what it said last."""
    with ingest(home) as process:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out.splitlines()[-1]


def wait_until(what: Callable[[], Any], process: Process, seconds: float = 60) -> Any:
    """The first true answer while the command runs."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


def written(home: Path, step: str) -> int:
    """How many periods of a step have their file."""
    folder = home / "artifacts" / step
    return sum(file.suffix == ".parquet" for file in folder.iterdir()) if folder.exists() else 0


def kill_when_written(home: Path, step: str) -> None:
    """Kill an ingest when a step has stored a third of its periods."""
    with ingest(home) as process:
        wait_until(lambda: written(home, step) >= DAYS // 3, process)
    assert process.returncode == -signal.SIGKILL
    assert DAYS // 3 <= written(home, step) < DAYS, step


@contextmanager
def connection(home: Path, process: Process) -> "Iterator[psycopg.Connection[Any]]":
    """A connection to the server that the command has started; it does not keep the server alive."""

    def connect() -> "psycopg.Connection[Any] | None":
        with suppress(psycopg.OperationalError):  # it is recovering from the last kill
            if (url := running_url(home)) is not None:
                return psycopg.connect(host=str(warehouse_url(url).query["host"]), user="shelfops", dbname="shelfops")
        return None

    opened = wait_until(connect, process)
    try:
        yield opened
    finally:
        opened.close()


def waiting(opened: "psycopg.Connection[Any]", table: str) -> int:
    """How many sessions wait for a lock on a table."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    [found] = opened.execute(query, [table]).fetchone() or (0,)
    return int(found)


def count(opened: "psycopg.Connection[Any]", table: str) -> int:
    [found] = opened.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone() or (0,)
    return int(found)


def kill_between_rows_and_record(home: Path) -> None:
    """Kill an ingest when it has committed its transactions, and not yet the record of their periods."""
    with ingest(home) as process, connection(home, process) as gate, connection(home, process) as second:
        gate.execute("LOCK TABLE transactions IN SHARE MODE")
        wait_until(lambda: waiting(second, "transactions"), process)
        second.execute("LOCK TABLE ingested_periods IN SHARE MODE")
        gate.rollback()
        wait_until(lambda: waiting(gate, "ingested_periods"), process)
        rows, records = (count(gate, table) for table in ("transactions", "ingested_periods"))
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert rows > DAYS
    assert records == 0


def state(home: Path) -> dict[str, Any]:
    """All rows of all tables, and the bytes of every file that an ingest makes."""
    found: dict[str, Any] = {step: files_under(home / "artifacts" / step) for step in STEPS}
    with embedded_postgres(home) as url:
        host = str(warehouse_url(url).query["host"])
        with psycopg.connect(host=host, user="shelfops", dbname="shelfops") as opened:
            for table, columns in TABLES.items():
                rows = opened.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
                found[table] = sorted(rows, key=repr)
        with psycopg.connect(host=host, user="shelfops", dbname="dagster") as opened:
            runs = opened.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    # A run that was killed when it had just been made waits for the next `up`; it holds nothing.
    found["unfinished runs"] = [status for status, _ in runs if status not in ("SUCCESS", "FAILURE", "NOT_STARTED")]
    return found


def assert_equal(got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Name by name, for a message that can be read."""
    for name in (*STEPS, *TABLES, "unfinished runs"):
        assert got[name] == expected[name], name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The state that one whole ingest leaves."""
    home = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    told = finish(home)
    seconds = time.monotonic() - began
    assert told.startswith(f"ingested {DAYS} periods")
    found = state(home)
    assert len(found["ingested_periods"]) == DAYS
    assert found["unfinished runs"] == []
    assert all(found[name] for name in (*STEPS, *TABLES))
    yield found | {"seconds": seconds}
    remove_embedded(home)


def test_killed_at_every_step_and_run_again_the_tables_are_those_of_an_undisturbed_run(
    undisturbed: dict[str, Any], embedded_home: Homes
) -> None:
    home = embedded_home()
    kill_when_written(home, "raw_transactions")
    kill_when_written(home, "validated_transactions")
    kill_between_rows_and_record(home)
    assert finish(home).startswith(f"ingested {DAYS} periods")
    assert_equal(state(home), undisturbed)


@pytest.mark.soak
@pytest.mark.parametrize("moment", range(1, 10))
def test_killed_at_any_time_and_run_again_the_tables_are_the_same(
    undisturbed: dict[str, Any], embedded_home: Homes, moment: int
) -> None:
    seconds, home = undisturbed["seconds"], embedded_home()
    with ingest(home) as process, suppress(subprocess.TimeoutExpired):
        process.wait(seconds * moment / 10)
    finish(home)
    assert_equal(state(home), undisturbed)


@pytest.mark.soak
def test_what_a_killed_second_ingest_had_begun_is_ingested_again(
    undisturbed: dict[str, Any], embedded_home: Homes
) -> None:
    home = embedded_home()
    finish(home)
    stamp = time.time_ns()
    with ingest(home, "--full") as process:
        wait_until(lambda: rewritten(home, stamp) >= DAYS // 3, process)
    assert process.returncode == -signal.SIGKILL
    assert rewritten(home, stamp) < DAYS
    assert finish(home).startswith(f"ingested {DAYS} periods")
    assert_equal(state(home), undisturbed)


def rewritten(home: Path, since: int) -> int:
    """How many validated periods were written after `since` (nanoseconds)."""
    files = (home / "artifacts" / "validated_transactions").glob("*.parquet")
    return sum(file.stat().st_mtime_ns > since for file in files)
