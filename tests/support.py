"""What more than one room's tests need."""

import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from shelfops_pipeline import cli

_TOLD_BY_ENVIRONMENT = ("SHELFOPS_", "MLFLOW_")


def shelfops(settings: Mapping[str, object], *arguments: str | Path) -> tuple[int, str, str]:
    """A `shelfops` command in this process, with these settings and no others: (exit code, stdout, stderr).

    What the command tells the environment is taken back.
    """
    before, typed = dict(os.environ), sys.argv
    for name in [name for name in os.environ if name.startswith(_TOLD_BY_ENVIRONMENT)]:
        del os.environ[name]
    os.environ |= {"COLUMNS": "120"} | {f"SHELFOPS_{name.upper()}": str(value) for name, value in settings.items()}
    code: int | str | None = 0
    out, err = StringIO(), StringIO()
    try:
        sys.argv = ["shelfops", *map(str, arguments)]
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv = typed
        os.environ.clear()
        os.environ |= before
    return int(code or 0), out.getvalue(), err.getvalue()


def real_data(dataset: str) -> Path:
    """The directory of a real data set; skips the test with a reason where it is not at hand."""
    root = os.environ.get("SHELFOPS_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data"
    folder = Path(root) / dataset
    if not folder.is_dir():
        pytest.skip(
            f"{dataset} is not at hand: set SHELFOPS_REAL_DATA to a folder that holds {dataset}/ (docs/data.md)"
        )
    return folder
