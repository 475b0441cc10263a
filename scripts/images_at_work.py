"""What scripts/check_images.py does with the images: train, work for Celery and back up in the worker's, serve from the
API's.

PostgreSQL and Redis come from the packages of [ml], run with the files of deploy/, and are reached under the addresses
that docker-compose.yml gives, but for host and port.
"""

import json
import os
import re
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import yaml
from images_services import BUCKET, HOST, ROOT, CheckError, databases, free_port, object_store, redis, stop_tree

USER: Final = 10001
"""The images' user."""
SMALL: Final = {
    **{"SHELFOPS_SIMULATED_STORES": "3", "SHELFOPS_SIMULATED_ITEMS": "16", "SHELFOPS_SIMULATED_DAYS": "150"},
    **{"SHELFOPS_EFFORT": "0.05", "SHELFOPS_FOLDS": "2", "SHELFOPS_HORIZON": "14", "SHELFOPS_TIER": "cold_start"},
}
"""As small as a training can be: this is about the images."""
SECONDS: Final = 1800.0
WORD_SECONDS: Final = 30.0
"""How often something long says that it goes on."""
HOME: Final = "/var/lib/shelfops"
PREPARE: Final = ["python", "-m", "shelfops_pipeline.services.prepare", "--deployment"]


def run_images(buildah: Any, folder: Path) -> bool:
    """Run both images on databases of their own; False, after the log that says why, if something does not work."""
    try:
        with ExitStack() as stack:
            work = Work(buildah, folder, stack)
            work.prepare_and_train()
            work.ask_worker()
            work.back_up_and_restore()
            work.ask_mlflow()
            work.ask_api()
    except (CheckError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}", flush=True)
        return False
    return True


class Work:
    """The images at work; everything that was started ends with `stack`."""

    def __init__(self, buildah: Any, folder: Path, stack: ExitStack) -> None:
        self._buildah, self._folder, self._stack = buildah, folder, stack
        self._containers: set[str] = set()
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        names = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
        self._secrets = {name: secrets.token_hex(24) for name in sorted(names)}
        self._ports = {"timescaledb:5432": free_port(), "redis:6379": free_port()}
        stack.enter_context(databases(folder, self._ports["timescaledb:5432"], self._secrets))
        stack.enter_context(redis(folder, self._ports["redis:6379"], self._secrets["REDIS_PASSWORD"]))
        lines = (ROOT / "deploy" / "settings.env").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        self._pipeline = settings | self._environment(compose["x-pipeline-environment"]) | SMALL
        self._api = settings | self._environment(compose["services"]["api"]["environment"])
        self._mlflow = self._environment(compose["services"]["mlflow"]["environment"])
        self._databases = f"{HOST}:{self._ports['timescaledb:5432']}"
        self._home = self._new_home("home")

    def prepare_and_train(self) -> None:
        """What compose runs first, and then the whole graph on a small retailer."""
        self._run("prepare", PREPARE)
        began = time.monotonic()
        self._run("ingest", ["shelfops", "ingest"])
        self._run("train", ["shelfops", "train", "--horizon", "14", "--tier", "cold_start"])
        images = len(list(self._home.glob("reports/**/*.png")))
        if not images or not (self._home / "models" / "champion.json").exists():
            raise CheckError(f"the training left {images} pictures, and no champion or no browser worked")
        print(f"worker's image: trained a champion, {images} pictures, {time.monotonic() - began:.0f} s", flush=True)

    def ask_worker(self) -> None:
        """Start what the image starts by itself, until its own health check finds it; it then does a heavy step."""
        worker = self._start("shelfops-ml", "worker", self._buildah.command_of("shelfops-ml"), self._pipeline)
        check = self._buildah.health_check_of("shelfops-ml")
        deadline = time.monotonic() + SECONDS
        while self._start("shelfops-ml", "ping", check, self._pipeline).wait(SECONDS):
            self._alive("worker", worker, deadline)
        step = ["--select", "forecast_explanations", "--module-name", "shelfops_pipeline.definitions"]
        self._run("step", ["dagster", "asset", "materialize", *step])
        counted = 'CELERY_BROKER_URL="$SHELFOPS_CELERY_BROKER_URL" celery inspect stats --json'
        if '"execute_plan": 1' not in self._run("stats", ["sh", "-c", counted]):
            raise CheckError(f"the worker did not do the step. {self._tail('stats')}\n{self._tail('worker')}")
        print("worker's image: a Celery worker answers the health check, and did a step of the queue ml", flush=True)

    def back_up_and_restore(self) -> None:
        """Everything to an object store, as `.env` names one, and from there into another deployment's volumes."""
        port, target = free_port(), f"s3://{BUCKET}/backup"
        other, home = self._folder / "other", self._new_home("other/home")
        moved = {name: text.replace(self._databases, f"{HOST}:{port}") for name, text in self._pipeline.items()}
        with object_store() as (keys, client), databases(other, port, self._secrets):
            self._run("backup", ["shelfops", "backup", target], keys)
            self._run("restore", ["shelfops", "restore", target], moved | keys, home)
            self._run("prepare-restored", PREPARE, moved, home)
            if not (home / "models" / "champion.json").exists():
                raise CheckError(f"there is no champion in what was restored. {self._tail('restore')}")
            objects = len(client.find(BUCKET))
        print(f"worker's image: a backup of {objects} objects on an S3 server, restored elsewhere", flush=True)

    def ask_mlflow(self) -> None:
        """MLflow's own image may be out of reach: the worker's has the same release; compose says its environment."""
        port = free_port()
        words = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
        server = self._start("shelfops-ml", "mlflow", words, self._mlflow)
        url = f"http://{HOST}:{port}/api/2.0/mlflow/experiments/get?experiment_id=0"
        deadline = time.monotonic() + SECONDS
        while (found := answer(url, Host="mlflow:5000")) is None:
            self._alive("mlflow", server, deadline)
        print(f"MLflow on its own database: experiment {found['experiment']['name']}", flush=True)

    def ask_api(self) -> None:
        """The API as its image starts it, but on loopback, as the role of the API, with a home it cannot write."""
        key = self._run("keys", ["shelfops", "keys", "issue", "image-check", "--scope", "read", "--scope", "predict"])
        [key] = re.findall(r"so_[\w-]+", key)[:1]
        port = free_port()
        changed = {"0.0.0.0": HOST, "8000": str(port)}  # noqa: S104
        command = [changed.get(word, word) for word in self._buildah.command_of("shelfops-api")]
        service = self._start("shelfops-api", "api", command, self._api)
        url, deadline = f"http://{HOST}:{port}", time.monotonic() + SECONDS
        while answer(f"{url}/healthz") is None:
            self._alive("api", service, deadline)
        ready = answer(f"{url}/readyz")
        forecast = answer(f"{url}/v1/forecasts?limit=1", **{"X-API-Key": key})
        refused = answer(f"{url}/v1/forecasts?limit=1")
        if ready is None or not forecast or refused is not None:
            raise CheckError(f"/readyz: {ready}; a forecast: {forecast}; without a key: {refused}. {self._tail('api')}")
        print(f"API's image: {json.dumps(ready)}; serves {json.dumps(forecast)[:160]}", flush=True)

    def _environment(self, values: dict[str, str | None]) -> dict[str, str]:
        """As compose gives it, with these secrets and ports; without MLflow, which then keeps to the home."""
        found = {}
        for name, value in values.items():
            if value is None or name == "SHELFOPS_MLFLOW_TRACKING_URI":
                continue
            text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: self._secrets[match[1]], value)
            text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
            for host, port in self._ports.items():
                text = text.replace(host, f"{HOST}:{port}")
            found[name] = text
        return found

    def _new_home(self, name: str) -> Path:
        home = self._folder / name
        home.mkdir(parents=True)
        os.chown(home, USER, USER)
        return home

    def _run(self, name: str, words: list[str], more: dict[str, str] | None = None, home: Path | None = None) -> str:
        """Run words in the worker's image to their end; what they said. Raises CheckError unless that was success."""
        began = time.monotonic()
        print(f"  {' '.join(words[:3])} ...", flush=True)
        process = self._start("shelfops-ml", name, words, self._pipeline | (more or {}), home)
        while True:
            try:
                status = process.wait(WORD_SECONDS)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - began
                print(f"  {seconds:.0f} s: {self._latest(name)[-160:]}", flush=True)
                if seconds > SECONDS:
                    raise CheckError(f"{name} is not done in time. {self._tail(name)}") from None
        if status:
            raise CheckError(f"{name} ended with status {status}. {self._tail(name)}")
        return self._said(name)

    def _start(
        self, image: str, name: str, words: list[str], environment: dict[str, str], home: Path | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start words in a container of the image, which has a home: that of all, unless another is given."""
        if image not in self._containers:  # one for all: each is a copy of its image
            self._containers.add(image)
            self._buildah("from", "--name", f"{image}-check", f"localhost/{image}")
            self._stack.callback(self._buildah, "rm", f"{image}-check")
        volumes = {home or self._home: f"{HOME}:ro" if image == "shelfops-api" else HOME}
        process: subprocess.Popen[bytes] = self._buildah.start(
            f"{image}-check", environment, volumes, words, self._log(name)
        )
        self._stack.callback(lambda: stop_tree(process.pid) if process.poll() is None else None)
        return process

    def _alive(self, name: str, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise CheckError(f"{name} ended, or is not ready in time. {self._tail(name)}")
        time.sleep(1)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _said(self, name: str) -> str:
        return self._log(name).read_text(errors="replace").rstrip()

    def _latest(self, name: str) -> str:
        """The last line of its log, or what the pipeline logged last: commands say nothing of their steps where nobody
        looks on."""
        if said := self._said(name):
            return said.rpartition("\n")[2]
        pipeline = self._home / "logs" / "pipeline.jsonl"
        written = pipeline.read_text(errors="replace").split("\n")[:-1] if pipeline.exists() else []
        if not written:
            return "..."
        last = json.loads(written[-1])
        return f"{last.get('step', last['logger'])}: {last['message']}"

    def _tail(self, name: str) -> str:
        return f"The log of {name} ends:\n" + self._said(name)[-3000:]


def answer(url: str, **headers: str) -> Any:
    """The JSON of a GET; None if it is refused or nothing answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:
            return json.load(response)
    except (urllib.error.URLError, OSError):
        return None
