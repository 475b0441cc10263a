"""The notebook templates, run from top to bottom on what a real run left behind."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import psutil
import pytest

from tests.defs.conftest import Graph

TEMPLATES = Path(__file__).parents[2] / "notebooks" / "templates"
PICTURES = {"explore_dataset": 4, "compare_versions": 1, "diagnose_series": 2}
"""How many charts each shows."""
# In a process of its own: nbclient leaves sockets to the garbage collector, which pytest takes for errors. The kernel
# is reached by sockets in a directory, and so opens no port.
RUN = """
import sys
import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

source, target, folder, sockets = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=f"{sockets}/kernel.json")
NotebookClient(notebook, km=kernel, timeout=120, resources={"metadata": {"path": folder}}).execute()
nbformat.write(notebook, target)
"""


def test_every_template_is_run_here() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.ipynb")} == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_a_template_is_kept_without_outputs(name: str) -> None:
    code = code_cells(TEMPLATES / f"{name}.ipynb")
    assert code
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize("name", PICTURES)
def test_a_template_runs_on_a_retailers_home(name: str, graph: Graph, tmp_path: Path) -> None:
    source, target = TEMPLATES / f"{name}.ipynb", tmp_path / "run.ipynb"
    with TemporaryDirectory() as sockets:  # the path of a socket may not be long
        words = [sys.executable, "-c", RUN, source, target, TEMPLATES, sockets]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        left = [p.pid for p in psutil.process_iter(["cmdline"]) if sockets in " ".join(p.info["cmdline"] or [])]
        assert left == []
    outputs = [output for cell in code_cells(target) for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") + kinds.count("application/vnd.plotly.v1+json") == PICTURES[name]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
