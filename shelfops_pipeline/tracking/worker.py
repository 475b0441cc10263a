"""The process that sends runs to MLflow: `python -m shelfops_pipeline.tracking.worker`, asked on stdin by `delivery`.

It is apart from the training because MLflow may answer never, or by the byte; because its client and dagster-mlflow
keep the server, the active run and time limits in global variables and the environment; and because only a process can
be ended in the middle of whatever it does. The kernel ends it (SIGALRM) when it takes longer than it may.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

from shelfops_pipeline.tracking.outbox import Aliases, Outbox, UnreadableRunError
from shelfops_pipeline.tracking.probe import PROBE_SECONDS, TrackingUnavailableError, probe


def main() -> None:
    """Do what the request on stdin asks for; one JSON object per line on stdout says what was done."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # MLflow prints links to its runs
    status = 0
    try:
        _work(json.load(sys.stdin), out)
    except TrackingUnavailableError as error:
        _say(out, away=str(error))
        status = 1
    sys.stderr.flush()
    out.flush()
    os._exit(status)  # at a normal exit, MLflow would call a run finished that was cut off


def _work(request: dict[str, Any], out: IO[str]) -> None:
    outbox, uri, seconds = Outbox(Path(request["root"])), request["uri"], request["seconds"]
    _limit(PROBE_SECONDS, out)
    probe(uri)
    _limit(0, out)  # importing MLflow takes seconds, and no network
    from shelfops_pipeline.tracking.mlflow_store import RunRefusedError, Store

    _limit(seconds, out)
    store = Store.open(uri, outbox.root)
    for path in outbox.waiting() if request["files"] is None else map(Path, request["files"]):
        if request["limit_each"]:
            _limit(seconds, out)
        with outbox.lock():
            if not path.is_file():
                continue  # another process was faster
            try:
                run_id, number = store.log_run(*outbox.read(path))
            except (RunRefusedError, UnreadableRunError) as error:
                outbox.refuse(path)
                _say(out, refused=path.name, why=str(error))
                continue
            outbox.done(path)
        _say(out, tracked=path.name, run_id=run_id, model_version=number)
    with outbox.lock():
        wanted: Aliases = request["aliases"]
        _say(out, aliases=store.set_aliases(wanted))
        outbox.set_mirrored(wanted)


def _limit(seconds: float, out: IO[str]) -> None:
    """The kernel ends this process if the next limit is not set within so many seconds; 0 for no limit."""
    _say(out, limit=seconds)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _say(out: IO[str], **what: Any) -> None:
    out.write(json.dumps(what) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
