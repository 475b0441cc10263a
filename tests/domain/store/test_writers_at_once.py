"""Transactions written by several at once, or by one that dies: the rows of one of them, whole."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.store.transactions import replace_periods
from tests.domain.store.support import SHOP, days, partitions, sales, stored

HERE = str(Path(__file__).parent)
WEEK = days(date(2024, 12, 30), 7)


def slow(release: threading.Event, table: pa.Table) -> Iterator[pa.Table]:
    yield table.slice(0, 1)
    assert release.wait(20)
    yield table.slice(1)


def test_two_writers_at_once_leave_the_rows_of_one_of_them(warehouse: Engine) -> None:
    release = threading.Event()
    later = days(date(2025, 2, 1), 3)
    writes = [
        (SHOP, WEEK, slow(release, sales(WEEK, level=100))),
        (SHOP, WEEK, sales(WEEK, level=500)),
        ("other", later, sales(later)),
    ]
    threads = [threading.Thread(target=replace_periods, args=(warehouse, *write)) for write in writes]
    threads[0].start()
    time.sleep(0.3)  # the first has the lock, and waits in the middle of its COPY
    threads[2].start()
    threads[2].join(20)
    assert not threads[2].is_alive(), "another data set must not wait, not even for its partitions"
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    quantities = [row[5] for row in stored(warehouse) if row[0] == SHOP]
    assert len(quantities) == 42
    assert all(100 <= q < 200 for q in quantities) or all(q >= 500 for q in quantities)


def test_processes_that_write_new_months_at_once_all_succeed(warehouse_url_of_test: str, warehouse: Engine) -> None:
    code = (
        "import sys; from datetime import date; from shelfops_pipeline.store.engine import open_engine\n"
        "from shelfops_pipeline.store.transactions import replace_periods\n"
        "sys.path.insert(0, sys.argv[-1]); from support import sales\n"
        "months = [date(2023, m, 1) for m in range(1, 13)]\n"
        "replace_periods(open_engine(sys.argv[1]), sys.argv[2], months, sales(months))"
    )
    commands = [[sys.executable, "-c", code, warehouse_url_of_test, name, HERE] for name in ("a", "b")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(partitions(warehouse)) == 12
    assert len(stored(warehouse)) == 2 * 12 * 6


def test_a_writer_killed_in_the_middle_of_its_copy_leaves_the_old_rows(
    warehouse_url_of_test: str, warehouse: Engine
) -> None:
    replace_periods(warehouse, SHOP, WEEK, sales(WEEK))
    before = stored(warehouse)
    code = (
        "import sys, time; from datetime import date; from shelfops_pipeline.store.engine import open_engine\n"
        "from shelfops_pipeline.store.transactions import replace_periods\n"
        "sys.path.insert(0, sys.argv[-1]); from support import days, sales\n"
        "week = days(date(2024, 12, 30), 7)\n"
        "def rows():\n"
        "    yield sales(week, level=900, stores=50, items=200)\n"
        "    print('copying', flush=True)\n"
        "    time.sleep(60)\n"
        "replace_periods(open_engine(sys.argv[1]), 'shop', week, rows())"
    )
    command = [sys.executable, "-c", code, warehouse_url_of_test, HERE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "copying\n"
        os.kill(child.pid, signal.SIGKILL)
    assert stored(warehouse) == before
    assert replace_periods(warehouse, SHOP, WEEK, sales(WEEK, level=3)) == 42  # nothing is locked either
    assert len(stored(warehouse)) == 42
