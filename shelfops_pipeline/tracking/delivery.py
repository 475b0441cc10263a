"""Have a worker process send runs to MLflow, and hear what became of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.aliases import registry_aliases
from shelfops_pipeline.tracking.outbox import Outbox
from shelfops_pipeline.tracking.probe import is_remote, tracking_uri, without_password

_START_SECONDS: Final = 120
"""To start Python and import MLflow, on a machine that is busy; no network is waited for meanwhile."""
_EMBEDDED_SECONDS: Final = 120
"""For a database file: no network either, but making its tables takes seconds."""
_REPLAY_SECONDS: Final = 600
"""For each run that is replayed: nobody waits for it."""
_REQUEST_SECONDS: Final = 60


@dataclass
class Delivery:
    """What a worker said."""

    tracked: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """File name → MLflow run id and model version."""
    refused: dict[str, str] = field(default_factory=dict)
    """File name → why MLflow would not have it, or why it could not be read."""
    aliases: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """Registered model → alias → key of the run it points to now."""
    away: str = ""
    """Why the rest was not done; empty when all was."""


def deliver(settings: Settings, files: Sequence[Path], uri: str | None = None) -> Delivery:
    """Send the runs in `files`, and move the aliases, within SHELFOPS_TRACKING_SECONDS where a network is between."""
    uri = uri or tracking_uri(settings)
    seconds = settings.tracking_seconds if is_remote(uri) else _EMBEDDED_SECONDS
    return _ask(settings, uri, seconds, {"files": [str(f.absolute()) for f in files], "limit_each": False})


def deliver_all(settings: Settings, uri: str | None = None) -> Delivery:
    """Send everything that waits, the oldest first, and move the aliases; takes its time. Stops when MLflow is away."""
    return _ask(settings, uri or tracking_uri(settings), _REPLAY_SECONDS, {"files": None, "limit_each": True})


def _ask(settings: Settings, uri: str, seconds: float, request: dict[str, Any]) -> Delivery:
    whole = {
        **request,
        "uri": uri,  # on stdin: it may hold a password, and command lines are everybody's to read
        "root": str(settings.root),
        "seconds": seconds,
        "aliases": registry_aliases(Registry.of(settings)),
    }
    waiting = len(Outbox.of(settings).waiting()) if request["files"] is None else 0
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "shelfops_pipeline.tracking.worker"],
        env=os.environ | _patience(seconds),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said, complained = process.communicate(json.dumps(whole), timeout=_START_SECONDS + seconds * (waiting + 2))
    except subprocess.TimeoutExpired:
        process.kill()
        said, complained = process.communicate()
    return _understand(said, process.returncode, complained)


def _patience(seconds: float) -> dict[str, str]:
    """MLflow's own limits: by default one call to a dead server took 247 s."""
    return {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(int(min(seconds, _REQUEST_SECONDS)), 1)),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _understand(said: str, status: int, complained: str) -> Delivery:
    found, limit = Delivery(), 0.0
    for line in _lines(said):
        match line:
            case {"tracked": str(name), "run_id": str(run_id), "model_version": number}:
                found.tracked[name] = (run_id, number)
            case {"refused": str(name), "why": str(why)}:
                found.refused[name] = why
            case {"aliases": dict(aliases)}:
                found.aliases = aliases
            case {"away": str(why)}:
                found.away = why
            case {"limit": float(seconds) | int(seconds)}:
                limit = seconds
    if status == -signal.SIGALRM:
        found.away = f"MLflow was not done within {limit:g} s"
    elif status and not found.away:
        last = (complained.strip().splitlines() or ["it said nothing"])[-1]
        found.away = f"the process that logs ended with status {status}: {without_password(last)}"
    return found


def _lines(said: str) -> Iterator[dict[str, Any]]:
    """The whole lines: the last one may have been cut off."""
    yield from (json.loads(line) for line in said.splitlines(keepends=True) if line.endswith("\n"))
