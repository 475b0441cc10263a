"""The API on loopback: one uvicorn worker, authenticated, beside `mlflow models serve` and a bare FastAPI + ONNX route.

`shelfops bench api --home .shelfops/simulated`. The champion is that of the home, or of a small simulated retailer that
is trained first. Nothing is written to the home's warehouse: its release is copied to a database of its own, where its
series are repeated until there are as many as M5 has. The load generator shares the machine's cores with the server.
`--only` takes some of the three parts; without the bulk stream no series are repeated, without what-ifs no peers run.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import psutil
from api_peers import floor, mlflow_server
from api_warehouse import Retailer, copied_release, redis_server
from load import Load, apply_load, request_bytes
from measure import Check, finish, machine, say

from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.errors import ShelfOpsError

PARTS: Final = ("stored", "what-if", "bulk")
SERIES: Final = 30_490
DAYS: Final = 16
CONNECTIONS: Final = 8
_SECONDS: Final = 8.0
_LEAST: Final = {"mlflow": 8.0, "floor": 0.5}
_PEERS: Final = {"mlflow": "mlflow models serve", "floor": "FastAPI + ONNX"}
_SHELFOPS: Final = (sys.executable, "-c", "from shelfops_pipeline.cli import main; main()")


@contextmanager
def serving(command: list[str], environment: Mapping[str, str], port: int, probe: str, log: Path) -> Iterator[float]:
    """A server as a process of its own; gives the seconds until it answered `probe` with 200."""
    began = time.perf_counter()
    with log.open("wb") as output:  # a group of its own, so that its workers end with it
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while not _answers(f"http://127.0.0.1:{port}{probe}"):
            if process.poll() is not None or time.perf_counter() - began > 180:
                raise ShelfOpsError(f"{command[2]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield time.perf_counter() - began
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_mb(port: int) -> float:
    """Memory of the process that listens on `port`."""
    found = [c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
    return float(psutil.Process(found[0]).memory_info().rss / 1e6)


def stored(port: int, retailer: Retailer, key: str) -> Load:
    headers = {"Authorization": f"Bearer {key}"}
    requests = [request_bytes("GET", f"/v1/forecasts/{quote(s)}/{quote(i)}", headers) for s, i in retailer.series[:200]]
    return apply_load(port, requests, CONNECTIONS, _SECONDS)


def what_if(port: int, retailer: Retailer, key: str) -> Load:
    days = retailer.dates[:DAYS]
    requests = []
    for store_id, item_id in retailer.series[:200]:
        series = {"store_id": store_id, "item_id": item_id, "dates": days}
        overrides = [{"date": days[0], "on_promotion": True}]
        body = {"series": [series | {"overrides": overrides}]}
        requests.append(request_bytes("POST", "/v1/predict", {"Authorization": f"Bearer {key}"}, body))
    return apply_load(port, requests, CONNECTIONS, _SECONDS)


def bulk(port: int, key: str) -> dict[str, float]:
    """All series as NDJSON, read and thrown away."""
    began, periods, size = time.perf_counter(), 0, 0
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/x-ndjson"}
    url = f"http://127.0.0.1:{port}/v1/forecasts"
    with httpx.stream("GET", url, headers=headers, timeout=120) as answer:
        for chunk in answer.iter_bytes():
            periods += chunk.count(b'"date":')
            size += len(chunk)
    seconds = time.perf_counter() - began
    return {"series_days": periods, "seconds": seconds, "per_second": periods / seconds, "megabytes": size / 1e6}


def measure(home: Path, folder: Path, parts: Collection[str]) -> dict[str, Any]:
    pointer = ChampionPointer.model_validate_json((home / "models" / "champion.json").read_bytes())
    with ExitStack() as stack:
        series = SERIES if "bulk" in parts else 0
        url, retailer, key = stack.enter_context(copied_release(home, pointer, series))
        redis = stack.enter_context(redis_server(folder))
        port = free_port()
        environment = {
            "SHELFOPS_HOME": str(home),
            "SHELFOPS_DATASET": pointer.dataset,
            "SHELFOPS_DATABASE_URL": url,
            "SHELFOPS_REDIS_URL": redis,
            "SHELFOPS_API_AUTH": "on",
            "SHELFOPS_API_RATE_PER_MINUTE": "1000000",
            "SHELFOPS_API_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "uvicorn", "shelfops_api.main:app", "--port", str(port), "--no-access-log"]
        say("the API")
        with serving(command, environment, port, "/readyz", folder / "api.log") as ready_seconds:
            out: dict[str, Any] = {"ready_seconds": ready_seconds, "ready_mb": resident_mb(port)}
            if "stored" in parts:
                out["stored"] = stored(port, retailer, key)
            if "what-if" in parts:
                out["what_if"] = what_if(port, retailer, key)
            if "bulk" in parts:
                out["bulk"] = max((bulk(port, key) for _ in range(2)), key=lambda run: run["per_second"])
            out["resident_mb"] = resident_mb(port)
        return out | (peers(home / "models" / pointer.version, retailer, folder) if "what-if" in parts else {})


def peers(version: Path, retailer: Retailer, folder: Path) -> dict[str, Load]:
    """What else would serve the models of `version`, under the same load."""
    out = {}
    say("a bare FastAPI + ONNX route")
    port = free_port()
    with serving(*floor(version, port), port, "/docs", folder / "floor.log"):
        out["floor"] = apply_load(port, [retailer.rows_request("/predict")], CONNECTIONS, _SECONDS)
    say("mlflow models serve")
    port = free_port()
    with serving(*mlflow_server(version, folder, port), port, "/ping", folder / "mlflow.log"):
        out["mlflow"] = apply_load(port, [retailer.rows_request("/invocations")], CONNECTIONS, _SECONDS)
    return out


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """The rate of what-ifs in terms of each peer's."""
    return {peer: found["what_if"].per_second / found[peer].per_second for peer in _LEAST if peer in found}


def checks(found: Mapping[str, Any]) -> list[Check]:
    """The limits of the service, as far as they were measured."""
    failed = sum(part.failed for part in found.values() if isinstance(part, Load))
    rows = [
        Check("cold start to ready, seconds", found["ready_seconds"], "at most", 3),
        Check("resident memory, MB", found["resident_mb"], "at most", 400),
        Check("failed requests", failed, "at most", 0),
    ]
    if "stored" in found:
        rows.append(Check("stored forecast, requests per second", found["stored"].per_second, "at least", 800))
        rows.append(Check("stored forecast, p99 ms", found["stored"].p99_ms, "at most", 25))
    for peer, ratio in ratios(found).items():
        rows.append(Check(f"what-if of 16 series-days / {peer}", ratio, "at least", _LEAST[peer]))
    if "bulk" in found:
        rows.append(Check("bulk, series-days per second", found["bulk"]["per_second"], "at least", 100_000))
    return rows


def small_home(folder: Path) -> Path:
    """A champion of a small simulated retailer, trained here."""
    home = folder / "simulated"
    say("training a champion of 4 stores x 10 items x 400 days")
    small = {"SHELFOPS_HOME": str(home), "SHELFOPS_EFFORT": "0.3"}
    command = [*_SHELFOPS, "demo", "--stores", "4", "--items", "10", "--days", "400"]
    done = subprocess.run(command, env={**os.environ, **small}, stdout=sys.stderr, check=False)
    if done.returncode or not (home / "models" / "champion.json").exists():
        raise ShelfOpsError("no champion came out of the training; give a home that has one with --home")
    return home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="home whose champion serves; without, a small one is trained")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    args, where = parser.parse_args(), machine()
    try:
        with tempfile.TemporaryDirectory(prefix="sob-") as folder:
            home = args.home.absolute() if args.home else small_home(Path(folder))
            found = measure(home, Path(folder), args.only)
    except ShelfOpsError as error:
        sys.exit(f"bench api: {error}")
    runs = {name: asdict(part) if isinstance(part, Load) else part for name, part in found.items()}
    beside = {_PEERS[name]: runs.pop(name) for name in _PEERS if name in runs}
    rates = {f"what-if / {_PEERS[name]}": ratio for name, ratio in ratios(found).items()}
    totals = {"seconds": found["ready_seconds"], "peak_mb": found["resident_mb"]}
    task = {"benchmark": "api", "parts": args.only, "connections": CONNECTIONS, "workers": 1, "machine": where}
    finish(task | totals | {"runs": runs, "peers": beside, "ratios": rates}, checks(found))


if __name__ == "__main__":
    main()
