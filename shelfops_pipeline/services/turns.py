"""One training at a time, also from the command line: a run of this process waits for its turn.

The queue of `shelfops up` and of a server keeps its own runs apart, and counts this one once it has begun. What it
cannot do is hold this one back.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from shelfops_pipeline.services.instance import is_embedded
from shelfops_pipeline.store.engine import open_engine, try_advisory_lock

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shelfops_pipeline.services.pipeline import Pipeline, Report

_POLL_SECONDS: Final = 1.0


@contextmanager
def our_turn(pipeline: "Pipeline", report: "Report") -> Iterator[None]:
    """Hold while a run of this process writes the panel or trains on it; waits, and says for what.

    Two commands exclude each other by a lock of the warehouse, which goes with its holder. Ctrl-C ends the waiting.
    """
    with ExitStack() as stack:
        engine = open_engine(pipeline.url)
        stack.callback(engine.dispose)
        said: str | None = None
        while (obstacle := _obstacle(pipeline, engine, stack)) is not None:
            if obstacle != said:
                _say(report, said, obstacle)
                said = obstacle
            time.sleep(_POLL_SECONDS)
        _say(report, said, None)
        yield


def _say(report: "Report", over: str | None, begun: str | None) -> None:
    for obstacle, what in ((over, "done"), (begun, "started")):
        if obstacle is not None:
            report(f"waiting for {obstacle}", what)


def _obstacle(pipeline: "Pipeline", engine: "Engine", stack: ExitStack) -> str | None:
    """What is in the way, in words; None: nothing, and from now on nothing of the command line will be."""
    from shelfops_pipeline.defs.dead_runs import fail_dead_runs
    from shelfops_pipeline.defs.partitions import PANEL_POOL
    from shelfops_pipeline.defs.turns import run_in_progress

    with ExitStack() as attempt:
        if not attempt.enter_context(try_advisory_lock(engine, PANEL_POOL)):
            return f"another command that trains {pipeline.settings.dataset}"
        if is_embedded(pipeline.settings):
            fail_dead_runs(pipeline.instance)
        run = run_in_progress(pipeline.instance, PANEL_POOL)
        if run is not None:
            return f"run {run.run_id[:8]} ({run.job_name})"
        stack.push(attempt.pop_all())
    return None
