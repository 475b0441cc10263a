"""Who is at work? One run at a time writes a retailer's panel and trains on it.

Queued runs wait for that by themselves: the pool of these assets has room for one run (dagster.yaml). Runs of the
command line do not pass through the queue, so they look here first; the queue counts them when they have begun.
"""

from typing import Final

import dagster as dg

AT_WORK: Final = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)

UNDER_WAY: Final = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, *AT_WORK)
"""Asked for, and not ended."""


def run_in_progress(instance: dg.DagsterInstance, pool: str) -> dg.DagsterRun | None:
    """A run that is at work on something of this pool; None when there is none."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(AT_WORK)))
    return next((run for run in runs if _is_in(run, pool)), None)


def _is_in(run: dg.DagsterRun, pool: str) -> bool:
    held = run.run_op_concurrency
    return held is not None and pool in (held.all_pools or ())
