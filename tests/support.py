"""What more than one room's tests need."""

import multiprocessing
import os
import runpy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

_TOLD_BY_ENVIRONMENT: Final = ("SHELFOPS_", "MLFLOW_")
_COMMAND: Final = Path(__file__).with_name("command.py")
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["alembic", "dagster", "pandas", "pandera", "psycopg", "pyarrow", "rich", "typer"])


def shelfops(settings: Mapping[str, object], *arguments: str | Path) -> tuple[int, str, str]:
    """A `shelfops` command in a process of its own, with these settings and no others: (exit code, stdout, stderr).

    The process is a fork of one that has imported the libraries and nothing of ours, which spares seconds a command.
    The definitions of Dagster are one retailer's per process, so several commands in this one would disturb each other.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_TOLD_BY_ENVIRONMENT)}
    environment |= {"COLUMNS": "120"} | {f"SHELFOPS_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        told = {
            "environment": environment,
            "directory": str(Path.cwd()),
            "streams": (str(out), str(err)),
            "arguments": [str(argument) for argument in arguments],
        }
        process = _PROCESSES.Process(target=runpy.run_path, args=(str(_COMMAND), {"told": told}))
        process.start()
        try:
            process.join()
        finally:
            process.kill()  # a test that was given up waits for nobody, and neither shall the end of all tests
        code = process.exitcode
        assert code is not None
        return code, out.read_text(), err.read_text()


def real_data(dataset: str) -> Path:
    """The directory of a real data set; skips the test with a reason where it is not at hand."""
    root = os.environ.get("SHELFOPS_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data"
    folder = Path(root) / dataset
    if not folder.is_dir():
        pytest.skip(
            f"{dataset} is not at hand: set SHELFOPS_REAL_DATA to a folder that holds {dataset}/ (docs/data.md)"
        )
    return folder
