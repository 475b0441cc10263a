"""`make stack`, as a person runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_make_stack_retrains_on_two_workers_and_leaves_nothing_running() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "stack.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [trained] = [line for line in done.stdout.splitlines() if line.startswith("train: success")]
    assert "dagster@" in trained
    assert "ml@" in trained
    assert "no process is left" in done.stdout
