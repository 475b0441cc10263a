"""A command that is stopped in the middle of a step says so, as of any other command: it did not fail."""

import os
import signal
import time
from datetime import date
from io import StringIO
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from shelfops_pipeline.services import console
from shelfops_pipeline.services.console import step_progress
from shelfops_pipeline.services.pipeline import Pipeline
from shelfops_pipeline.settings import Settings


@dg.op
def read_it_all() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)  # the signal comes first


@dg.job
def ingest() -> None:
    read_it_all()


def test_ctrl_c_in_the_middle_of_a_step_is_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    monkeypatch.setattr(console, "errors", Console(file=shown))
    with dg.DagsterInstance.ephemeral() as instance, step_progress("ingest") as board:
        pipeline = Pipeline(Settings(home=tmp_path), "", instance, dg.Definitions(jobs=[ingest]))
        with pytest.raises(KeyboardInterrupt):
            pipeline.ingest(date(2025, 1, 1), date(2025, 1, 2), board.report)
    assert "read_it_all: failed" in shown.getvalue()
