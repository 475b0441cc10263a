"""The stack as processes of this machine: `shelfops up --workers` as a child, and what a person does in the UI."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.stack import HOST, LOCATION, Ports
from shelfops_pipeline.services.supervisor import MARK, clear_leftovers, stop_group

FINISHED: Final = ("SUCCESS", "FAILURE", "CANCELED")
_LAUNCH: Final = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_RUN: Final = """query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run {
  status stepStats { stepKey status startTime endTime } } } }"""
_EVENTS: Final = """query ($id: ID!, $after: String) { logsForRun(runId: $id, afterCursor: $after) {
  __typename ... on EventConnection { cursor hasMore events { __typename ... on MessageEvent { message stepKey }
  ... on ErrorEvent { error { message errorChain { error { message } } } }
  ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text } } } } } } }"""
_RUNS: Final = "{ runsOrError { __typename ... on Runs { results { runId jobName status tags { key value } } } } }"
_PATIENCE_SECONDS: Final = 120
_MAIN: Final = "from shelfops_pipeline.cli import main; main()"

Report = Callable[[str, str], None]
"""Told (step, status) whenever a step's status changes."""


@dataclass
class Twin:
    """A running stack. `output` is what `up` prints."""

    home: Path
    ports: Ports
    process: "subprocess.Popen[bytes]"
    output: Path

    @property
    def api(self) -> str:
        return f"http://{HOST}:{self.ports.api}"

    @property
    def mark(self) -> str:
        """What every process of this stack carries in its environment."""
        return str(next(iter(self._services().values()))["mark"])

    def pid(self, service: str) -> int:
        """The process, and the process group, of a service at this moment."""
        return int(self._services()[service]["pid"])

    def ask(self, query: str, **variables: Any) -> Any:
        """The first field of the answer to a query, which is asked again while the webserver, or its database, is away.

        Raises ShelfOpsError after two minutes.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._answer(query, variables)
            except (ShelfOpsError, OSError, http.client.HTTPException) as error:
                if time.monotonic() > deadline:
                    raise ShelfOpsError(f"Dagster's webserver does not answer: {error}; see {self.home}") from error
            time.sleep(0.5)

    def launch(self, job: str, tags: Mapping[str, str], assets: Sequence[str] = ()) -> str:
        """Put a run into the queue, from which the daemon takes it; its id. `assets`: these of the job, unchecked."""
        where = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
        selector: dict[str, Any] = {"jobName": job, **where}
        if assets:
            selector |= {"assetSelection": [{"path": [name]} for name in assets], "assetCheckSelection": []}
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        found = self._answer(_LAUNCH, {"params": {"selector": selector, "executionMetadata": {"tags": pairs}}})
        if found["__typename"] != "LaunchRunSuccess":
            raise ShelfOpsError(f"{job} was not launched: {found}")
        return str(found["run"]["runId"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Its status, and its steps with theirs."""
        found: dict[str, Any] = self.ask(_RUN, id=run_id)
        return found

    def runs(self) -> list[dict[str, Any]]:
        """Every run, the latest first."""
        found: list[dict[str, Any]] = self.ask(_RUNS)["results"]
        return found

    def wait(self, run_id: str, report: Report = lambda step, status: None, seconds: float = 1800) -> dict[str, Any]:
        """The run when it is finished, however it ended. Raises ShelfOpsError after `seconds`."""
        deadline, told = time.monotonic() + seconds, dict[str, str]()
        while True:
            run = self.run(run_id)
            for step in run["stepStats"]:
                if step["status"] is not None and told.get(step["stepKey"]) != step["status"]:
                    told[step["stepKey"]] = step["status"]
                    report(step["stepKey"], step["status"].lower())
            if run["status"] in FINISHED:
                return run
            if time.monotonic() > deadline:
                raise ShelfOpsError(f"run {run_id[:8]} is still {run['status']} after {seconds:.0f} s; see {self.home}")
            time.sleep(1)

    def messages(self, run_id: str) -> list[str]:
        """What the run's log says, with its errors and their causes."""
        said: list[str] = []
        for event in self._events(run_id):
            said.append(event.get("message", ""))
            if (error := event.get("error")) is not None:
                said += [error["message"], *(link["error"]["message"] for link in error["errorChain"])]
        return said

    def workers(self, run_id: str) -> list[tuple[str, str]]:
        """(step, worker) for each time that a worker took a step, in that order."""
        taken = []
        for event in self._events(run_id):
            for entry in event.get("metadataEntries", ()):
                if entry["label"] == "Celery worker":
                    taken.append((str(event["stepKey"]), str(entry["text"])))
        return taken

    def stop(self, seconds: float = 90) -> int:
        """As Ctrl-C does; the exit status. After `seconds` it is killed, and what it started with it."""
        if self.process.poll() is None:
            stop_group(self.process.pid, seconds, self.process)
        clear_leftovers(self.home / "services.json", min(seconds, 10))
        return self.process.wait()

    def _answer(self, query: str, variables: Mapping[str, Any]) -> Any:
        """Raises ShelfOpsError with Dagster's words."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url, headers = f"http://{HOST}:{self.ports.webserver}/graphql", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as response:
            answer = json.load(response)
        if "errors" in answer:
            raise ShelfOpsError(f"Dagster's webserver refused: {answer['errors'][0]['message']}")
        [found] = answer["data"].values()
        if found["__typename"] == "PythonError":
            raise ShelfOpsError(f"Dagster's webserver could not answer: {found}")
        return found

    def _events(self, run_id: str) -> list[dict[str, Any]]:
        events, page = [], {"cursor": None, "hasMore": True}
        while page["hasMore"]:
            page = self.ask(_EVENTS, id=run_id, after=page["cursor"])
            events += page["events"]
        return events

    def _services(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads((self.home / "services.json").read_text())
        return found


@contextmanager
def twin(home: Path, settings: Mapping[str, str], seconds: float = 300) -> Iterator[Twin]:
    """A stack on free ports, ready; stopped when the block is left. `settings`: SHELFOPS_* variables without SHELFOPS_.

    Raises ShelfOpsError, with what it printed, when it does not get ready.
    """
    ports, output = Ports(*free_ports(3)), home / "up.out"
    environment = os.environ | {f"SHELFOPS_{name}": value for name, value in settings.items()}
    flags = [
        f"--{name}-port={port}" for name, port in zip(("dagster", "api", "mlflow"), vars(ports).values(), strict=True)
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _MAIN, "up", "--workers", *flags],
            env=environment | {"SHELFOPS_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    stack = Twin(home, ports, process, output)
    try:
        deadline = time.monotonic() + seconds
        while b"Ctrl-C" not in output.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ShelfOpsError(f"the stack is not ready after {seconds:.0f} s:\n{output.read_text()}")
            time.sleep(0.2)
        yield stack
    finally:
        stack.stop()


def marked(mark: str) -> list[psutil.Process]:
    """Living processes that carry a stack's mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]
