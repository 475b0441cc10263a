"""`make stack`: what docker-compose.yml runs, as processes of this machine on free loopback ports: PostgreSQL, Redis,
MLflow, Dagster's webserver, daemon and code server, two Celery workers, the API. A small simulated retailer is
ingested, the weekly retrain goes through the daemon to the workers, and all is stopped. Exits 1 when anything failed
or was left.
"""

import sys
import tempfile
import time
import urllib.request
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from shelfops_pipeline.contracts.trigger import Trigger
from shelfops_pipeline.defs.jobs import partition_range
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.twin import Twin, marked, twin
from shelfops_pipeline.store.embedded import remove_embedded

DAYS: Final = 150
SETTINGS: Final = {
    **{"SIMULATED_STORES": "3", "SIMULATED_ITEMS": "16", "SIMULATED_DAYS": str(DAYS)},
    **{"EFFORT": "0.05", "FOLDS": "2", "HORIZON": "14", "TIER": "cold_start"},
}
"""As small as a training can be."""
FIRST: Final = date(2024, 1, 1)
PERIODS: Final = partition_range(FIRST, FIRST + timedelta(days=DAYS - 1))
WEEKLY: Final = {"dagster/schedule_name": "weekly_retrain", **Trigger.WEEKLY.tags}


def main() -> int:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shelfops-stack-") as folder:
        home = Path(folder)
        try:
            with twin(home, SETTINGS) as stack:
                say(f"ready after {time.monotonic() - begun:.0f} s")
                mark = stack.mark
                for job, tags in (("ingest", PERIODS), ("train", WEEKLY)):
                    do(stack, job, tags)
                with urllib.request.urlopen(f"{stack.api}/readyz", timeout=10) as response:  # noqa: S310
                    say(f"the API: {response.read().decode()}")
                say("stopping")
                status = stack.stop()
            left = marked(mark)
        finally:
            remove_embedded(home)
    if status or left:
        raise ShelfOpsError(f"`shelfops up` ended with status {status}; left running: {left or 'nothing'}")
    say(f"stopped; no process is left; {time.monotonic() - begun:.0f} s in all")
    return 0


def do(stack: Twin, job: str, tags: dict[str, str]) -> None:
    """Raises ShelfOpsError when the run does not succeed."""
    began, run_id = time.monotonic(), stack.launch(job, tags)
    say(f"{job}: run {run_id[:8]} is in the queue")
    run = stack.wait(run_id, lambda step, status: say(f"  {step}: {status}"))
    by = Counter(worker for _, worker in stack.workers(run_id))
    done = ", ".join(f"{worker} {steps}" for worker, steps in sorted(by.items()))
    say(f"{job}: {run['status'].lower()} after {time.monotonic() - began:.0f} s; steps by worker: {done}")
    if run["status"] != "SUCCESS":
        raise ShelfOpsError("\n".join([f"{job} failed:", *stack.messages(run_id)[-20:]]))


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ShelfOpsError as error:
        sys.exit(f"{error}")
