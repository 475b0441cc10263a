"""The README's requests, as a reader types them, against the demo's retailer."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from shelfops_pipeline.store.embedded import is_running

ROOT = Path(__file__).parents[2]
SHELFOPS = (sys.executable, "-c", "from shelfops_pipeline.cli import main; main()")
Homes = Callable[..., Path]


def requests_of_the_readme() -> list[str]:
    """Every curl command of the section that asks the API."""
    section = (ROOT / "README.md").read_text().split("## Ask the API")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [f"curl{rest}".strip() for block in blocks for rest in re.split(r"^curl", block, flags=re.MULTILINE)[1:]]


@pytest.fixture
def service(embedded_home: Homes, tmp_path: Path) -> Iterator[str]:
    """The API on what a small demo of the default length has left; its address."""
    home = embedded_home()
    environment = os.environ | {"SHELFOPS_HOME": str(home), "SHELFOPS_EFFORT": "0.05"}
    subprocess.run([*SHELFOPS, "demo", "--stores", "2", "--items", "12"], check=True, env=environment, cwd=tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "import sys, uvicorn; from pathlib import Path\n"
        "from shelfops_pipeline.store.embedded import embedded_postgres\n"
        "with embedded_postgres(Path(sys.argv[1])): uvicorn.run('shelfops_api.main:app', port=int(sys.argv[2]))"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(home), str(port)], env=environment, cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not _ready(f"http://127.0.0.1:{port}/readyz"):
            assert time.monotonic() < deadline, "the API did not become ready"
            time.sleep(0.2)
        yield f"localhost:{port}"
    finally:
        server.terminate()
        server.wait(30)
        while is_running(home):  # uvicorn ends by the signal: the server's keeper notices by itself
            time.sleep(0.1)


def _ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_requests_of_the_readme_are_answered(service: str, tmp_path: Path) -> None:
    commands = requests_of_the_readme()
    assert len(commands) >= 8
    for command in commands:
        asked = command.replace("localhost:8000", service).replace("curl ", "curl --silent --show-error --fail ", 1)
        done = subprocess.run(asked, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False)  # noqa: S602
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if "--output" not in command and " -o " not in command:
            assert json.loads(done.stdout), command
    header, *rows = (tmp_path / "forecasts.csv").read_text().splitlines()
    assert header.startswith("store_id,item_id,date")
    assert len(rows) > 100
