"""`shelfops up`, for real, on a tiny asset graph: everything comes up, answers, and is gone after SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from shelfops_pipeline.services.twin import free_ports, marked

Homes = Callable[..., Path]

DEFINITIONS = """
import dagster as dg

@dg.asset
def shelf() -> int:
    return 1

defs = dg.Definitions(assets=[shelf])
"""
APPLICATION = """
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def root() -> str:
    return "here"
"""
UP = """
import sys
from pathlib import Path
from shelfops_pipeline.services.up import Ports, run_up
from shelfops_pipeline.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
sys.exit(run_up(settings, Ports(*map(int, sys.argv[2:])), definitions="up_definitions", api="up_api:app"))
"""


@pytest.mark.soak
def test_the_whole_stack_comes_up_and_goes_down(embedded_home: Homes, tmp_path: Path) -> None:
    home = embedded_home()
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "up_definitions.py").write_text(DEFINITIONS)
    (modules / "up_api.py").write_text(APPLICATION)
    webserver, api, mlflow = map(str, free_ports(3))
    output = tmp_path / "up.out"
    # Dagster takes the first entry of sys.path for the script's directory, and removes it.
    environment = {**os.environ, "PYTHONPATH": str(modules)}
    with output.open("w") as file:
        command = [sys.executable, "-c", UP, str(home), webserver, api, mlflow]
        up = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=tmp_path)
    deadline = time.monotonic() + 150
    while "Ctrl-C" not in output.read_text() and up.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    assert up.poll() is None, output.read_text()
    mark = next(iter(json.loads((home / "services.json").read_text()).values()))["mark"]
    assert len(marked(mark)) >= 6
    body = json.dumps({"query": "{assetsOrError{... on AssetConnection{nodes{key{path}}}}}"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{webserver}/graphql", body, headers)
    with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
        assert json.load(response)["data"]["assetsOrError"]["nodes"] == [{"key": {"path": ["shelf"]}}]
    for port in (api, mlflow):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as response:
            assert response.status == 200
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0, output.read_text()
    assert marked(mark) == []
    assert not (home / "services.json").exists()
    stopping = [line.split(":")[0] for line in output.read_text().splitlines() if line.endswith("stopping")]
    assert stopping == ["api", "daemon", "webserver", "code-server", "mlflow", "redis", "postgres"]
