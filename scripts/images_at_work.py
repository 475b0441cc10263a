"""What scripts/check_images.py does with the images: train in the worker's, serve from the API's, ask a Celery worker.

PostgreSQL and Redis come from the packages of [ml], run with the files of deploy/, and are reached under the addresses
that docker-compose.yml gives, but for host and port.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from shelfops_pipeline.services.stack import redis_binary
from shelfops_pipeline.store.place import place_for

ROOT: Final = Path(__file__).parents[1]
HOST: Final = "127.0.0.1"
USER: Final = 10001
"""The images' user."""
RETAILER: Final = ("--stores", "2", "--items", "5", "--days", "240")
SECONDS: Final = 1800.0
HOME: Final = "/var/lib/shelfops"


def run_images(buildah: Any, folder: Path) -> bool:
    """Run both images on databases of their own; False, after the log that says why, if something does not work."""
    try:
        with ExitStack() as stack:
            work = Work(buildah, folder, stack)
            work.prepare_and_train()
            work.ask_worker()
            work.ask_mlflow()
            work.ask_api()
    except (CheckError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}", flush=True)
        return False
    return True


PASSWORD_OF: Final = {
    "shelfops": "WAREHOUSE_PASSWORD",
    "shelfops_api": "API_DB_PASSWORD",
    "dagster": "DAGSTER_DB_PASSWORD",
    "mlflow": "MLFLOW_DB_PASSWORD",
}
NEIGHBOURS: Final = {"shelfops": "dagster", "shelfops_api": "mlflow", "dagster": "shelfops", "mlflow": "dagster"}
"""Roles, and a database of another's."""


class CheckError(Exception):
    """Something did not do what it should; the text has the end of its log."""


class Work:
    """The images at work; everything that was started ends with `stack`."""

    def __init__(self, buildah: Any, folder: Path, stack: ExitStack) -> None:
        self._buildah, self._folder, self._stack = buildah, folder, stack
        self._containers: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        names = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
        self._secrets = {name: secrets.token_hex(24) for name in sorted(names)}
        self._ports = {"timescaledb:5432": free_port(), "redis:6379": free_port()}
        stack.enter_context(databases(folder, self._ports["timescaledb:5432"], self._secrets))
        stack.enter_context(redis(folder, self._ports["redis:6379"], self._secrets["REDIS_PASSWORD"]))
        self._pipeline = self._environment(compose["x-pipeline-environment"]) | {"SHELFOPS_FOLDS": "1"}
        self._api = self._environment(compose["services"]["api"]["environment"])
        self._mlflow = self._environment(compose["services"]["mlflow"]["environment"])
        self._home = folder / "home"
        self._home.mkdir()
        os.chown(self._home, USER, USER)

    def prepare_and_train(self) -> None:
        """What compose runs first, and then the whole graph on a small retailer."""
        self._run("prepare", ["python", "-m", "shelfops_pipeline.services.prepare", "--deployment"])
        began = time.monotonic()
        self._run("demo", ["shelfops", "demo", *RETAILER])
        images = len(list(self._home.glob("reports/**/*.png")))
        if not images or not (self._home / "models" / "champion.json").exists():
            raise CheckError(f"the training left {images} pictures, and no champion or no browser worked")
        print(f"worker's image: trained a champion, {images} pictures, {time.monotonic() - began:.0f} s", flush=True)

    def ask_worker(self) -> None:
        """Start what the image starts by itself, until its own health check finds it."""
        self._start("shelfops-ml", "worker", self._buildah.command_of("shelfops-ml"), self._pipeline)
        check = self._buildah.health_check_of("shelfops-ml")
        deadline = time.monotonic() + SECONDS
        while self._start("shelfops-ml", "ping", check, self._pipeline, wait=True):
            self._alive("worker", deadline)
        print("worker's image: a Celery worker answers the health check", flush=True)

    def ask_mlflow(self) -> None:
        """MLflow's own image may be out of reach: the worker's has the same release; compose says its environment."""
        port = free_port()
        words = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
        self._start("shelfops-ml", "mlflow", words, self._mlflow)
        url, deadline = (
            f"http://{HOST}:{port}/api/2.0/mlflow/experiments/get?experiment_id=0",
            time.monotonic() + SECONDS,
        )
        while (found := answer(url, Host="mlflow:5000")) is None:
            self._alive("mlflow", deadline)
        print(f"MLflow on its own database: experiment {found['experiment']['name']}", flush=True)

    def ask_api(self) -> None:
        """The API as its image starts it, but on loopback, as the role of the API, with a home it cannot write."""
        key = self._run("keys", ["shelfops", "keys", "issue", "image-check", "--scope", "read", "--scope", "predict"])
        [key] = re.findall(r"so_\w+", key)[:1]
        port = free_port()
        changed = {"0.0.0.0": HOST, "8000": str(port)}  # noqa: S104
        command = [changed.get(word, word) for word in self._buildah.command_of("shelfops-api")]
        self._start("shelfops-api", "api", command, self._api)
        url, deadline = f"http://{HOST}:{port}", time.monotonic() + SECONDS
        while answer(f"{url}/healthz") is None:
            self._alive("api", deadline)
        ready = answer(f"{url}/readyz")
        forecast = answer(f"{url}/v1/forecasts?limit=1", **{"X-API-Key": key})
        refused = answer(f"{url}/v1/forecasts?limit=1")
        if ready is None or not forecast or refused is not None:
            raise CheckError(f"/readyz: {ready}; a forecast: {forecast}; without a key: {refused}. {self._tail('api')}")
        print(f"API's image: {json.dumps(ready)}; serves {json.dumps(forecast)[:160]}", flush=True)

    def _environment(self, values: dict[str, str]) -> dict[str, str]:
        """As compose gives it, with these secrets and ports; without MLflow, which then keeps to the home."""
        found = {}
        for name, value in values.items():
            text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: self._secrets[match[1]], value)
            text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
            for host, port in self._ports.items():
                text = text.replace(host, f"{HOST}:{port}")
            found[name] = text
        return {name: text for name, text in found.items() if name != "SHELFOPS_MLFLOW_TRACKING_URI"}

    def _run(self, name: str, words: list[str]) -> str:
        """Run words in the worker's image to their end; what they said. Raises CheckError unless that was success."""
        status = self._start("shelfops-ml", name, words, self._pipeline, wait=True)
        if status:
            raise CheckError(f"{name} ended with status {status}. {self._tail(name)}")
        return self._log(name).read_text(errors="replace")

    def _start(self, image: str, name: str, words: list[str], environment: dict[str, str], wait: bool = False) -> int:
        """Start words in a container of the image, which has the home; the exit status, if waited for, else 0."""
        if image not in self._containers:  # one for all: each is a copy of its image
            self._containers.add(image)
            self._buildah("from", "--name", f"{image}-check", f"localhost/{image}")
            self._stack.callback(self._buildah, "rm", f"{image}-check")
        volumes = {self._home: f"{HOME}:ro" if image == "shelfops-api" else HOME}
        process = self._buildah.start(f"{image}-check", environment, volumes, words, self._log(name))
        self._processes[name] = process
        if wait:
            return int(process.wait(SECONDS))
        self._stack.callback(stop_tree, process.pid)
        return 0

    def _alive(self, name: str, deadline: float) -> None:
        if self._processes[name].poll() is not None or time.monotonic() > deadline:
            raise CheckError(f"{name} ended, or is not ready in time. {self._tail(name)}")
        time.sleep(1)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        return "Its log ends:\n" + self._log(name).read_text(errors="replace")[-3000:]


@contextmanager
def databases(folder: Path, port: int, passwords: dict[str, str]) -> Iterator[None]:
    """A PostgreSQL server by TCP with passwords, on which deploy/timescaledb/databases.sql was run."""
    place = place_for(folder / "server")
    as_owner: dict[str, Any] = {"user": place.uid, "group": place.gid, "cwd": "/", "env": {"PATH": os.defpath}}
    data, secret = place.base / "data", place.base / "password"
    secret.write_text(passwords["POSTGRES_PASSWORD"])
    os.chown(secret, place.uid, place.gid)
    command = [str(place.binaries / "initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **as_owner)
    command = [str(place.binaries / "postgres"), "-D", str(data), "-p", str(port), "-c", f"listen_addresses={HOST}"]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen([*command, "-k", ""], stdout=log, stderr=log, **as_owner)
    try:
        wait_for(lambda: accepts(port), server, "PostgreSQL")
        environment = os.environ | passwords | {"PGPASSWORD": passwords["POSTGRES_PASSWORD"]}
        client = [str(place.binaries / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--host", HOST]
        client += ["--port", str(port), "--username", "postgres", "--dbname", "postgres"]
        script = ROOT / "deploy" / "timescaledb" / "databases.sql"
        subprocess.run([*client, "--file", str(script)], env=environment, check=True)
        for role, other in NEIGHBOURS.items():
            words = [*client[:-3], role, "--dbname", other, "--command", "SELECT 1"]
            secret = passwords[PASSWORD_OF[role]]
            done = subprocess.run(words, env=os.environ | {"PGPASSWORD": secret}, capture_output=True, check=False)
            if b"permission denied for database" not in done.stderr:
                raise CheckError(f"the role {role} was not refused by the database {other}: {done.stderr!r}")
        print("databases made, each with a role of its own, which no other database lets in", flush=True)
        yield
    finally:
        stop_tree(server.pid)
        shutil.rmtree(place.base)


@contextmanager
def redis(folder: Path, port: int, password: str) -> Iterator[None]:
    """Redis with deploy/redis/redis.conf."""
    secret = folder / "redis-secret.conf"
    secret.write_text(f"requirepass {password}\n")
    command = [redis_binary(), str(ROOT / "deploy" / "redis" / "redis.conf"), "--include", str(secret)]
    command += ["--dir", str(folder), "--bind", HOST, "--port", str(port)]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: accepts(port), server, "Redis")
        yield
    finally:
        stop_tree(server.pid)


def wait_for(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", name: str) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise CheckError(f"{name} did not start")
        time.sleep(0.2)


def answer(url: str, **headers: str) -> Any:
    """The JSON of a GET; None if it is refused or nothing answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:
            return json.load(response)
    except (urllib.error.URLError, OSError):
        return None


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def stop_tree(pid: int) -> None:
    """SIGTERM, then SIGKILL, for a process of ours and what it started."""
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        if process.is_running():
            process.terminate()
    _, alive = psutil.wait_procs(family, timeout=20)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=10)
