"""A running server to make faults on, and somebody who asks its API all the while."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from shelfops_pipeline.services.stack import answers
from shelfops_pipeline.services.twin import FINISHED, Twin
from shelfops_pipeline.store.embedded import running_url
from shelfops_pipeline.store.engine import for_database, open_engine

BEGUN = """SELECT status, EXISTS (SELECT FROM event_logs e WHERE e.run_id = r.run_id AND e.step_key = :step
  AND e.dagster_event_type = 'STEP_START') AS begun FROM runs r WHERE r.run_id = :run"""
ROOT_RUN, WILL_RETRY = "dagster/root_run_id", "dagster/will_retry"


@dataclass
class Asked:
    """Answers of one of the API's probes, one after the other."""

    url: str
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        while not self.stop.wait(0.5):
            try:
                with urllib.request.urlopen(self.url, timeout=60):  # noqa: S310  # of a starved machine, not of the API
                    self.answers += 1
            except (urllib.error.URLError, OSError) as error:
                self.failures.append(f"{self.url}: {error}")


@dataclass
class Faulty:
    """A stack, its API's answers, and a small disk that holds its artifacts; None where one cannot be mounted."""

    twin: Twin
    asked: Asked
    disk: Path | None

    def rows(self, statement: str, database: str = "shelfops", **parameters: str) -> list[Any]:
        """Nothing, while PostgreSQL is just starting."""
        url = running_url(self.twin.home)
        if url is None:
            return []
        engine = open_engine(for_database(url, database))
        with engine.connect() as connection:
            found = list(connection.execute(text(statement), parameters))
        engine.dispose()
        return found

    def versions(self) -> list[tuple[str, str]]:
        entries = json.loads((self.twin.home / "models" / "registry.json").read_text())
        return [(entry["version"], entry["status"]) for entry in entries]

    def begun(self, run_id: str, step: str) -> None:
        """Wait until the run has begun a step; soon enough to find it at work."""

        def at_work() -> bool:
            found = self.rows(BEGUN, "dagster", run=run_id, step=step)
            assert not found or found[0].status != "FAILURE", self.twin.messages(run_id)[-30:]
            return bool(found) and bool(found[0].begun)

        until(at_work, f"{step} begun", poll=0.1)

    def served(self) -> None:
        """Wait until the API has a champion, and ask for that from now on."""
        ready = f"{self.twin.api}/readyz"
        until(lambda: answers(ready), "the API has a champion")
        self.asked.url = ready

    def chain(self, run_id: str) -> list[dict[str, Any]]:
        """A run and that by which the daemon repeated it, when the last one is finished."""

        def related() -> list[dict[str, Any]]:
            of = [
                r for r in self.twin.runs() if r["runId"] == run_id or {"key": ROOT_RUN, "value": run_id} in r["tags"]
            ]
            return of[::-1]

        def settled() -> bool:
            last = related()[-1]
            for_good = {"key": WILL_RETRY, "value": "false"} in last["tags"]
            return last["status"] in FINISHED and (last["status"] != "FAILURE" or for_good)

        until(settled, f"run {run_id} or its repetition finished", poll=1)
        return related()

    def succeed(self, run_id: str) -> list[dict[str, Any]]:
        """The same, and it was done in the end."""
        runs = self.chain(run_id)
        assert runs[-1]["status"] == "SUCCESS", self.twin.messages(runs[-1]["runId"])[-30:]
        return runs

    def kill(self, service: str) -> None:
        """As the kernel does when memory is short; returns when it is gone."""
        process = psutil.Process(self._postmaster() if service == "postgres" else self.twin.pid(service))
        process.kill()
        psutil.wait_procs([process], 20)

    def restarted(self) -> set[str]:
        lines = self.twin.output.read_text().splitlines()
        return {line.partition(": restarted at ")[0] for line in lines if ": restarted at " in line}

    def _postmaster(self) -> int:
        """The embedded PostgreSQL's first process."""
        url = running_url(self.twin.home)
        assert url is not None
        sockets = url.rpartition("host=")[2].replace("%2F", "/")
        return int((Path(sockets) / ".s.PGSQL.5432.lock").read_text().splitlines()[0])


def until(holds: Callable[[], bool], what: str, seconds: float = 600, poll: float = 0.2) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(poll)
