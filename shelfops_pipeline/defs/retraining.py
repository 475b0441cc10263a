"""What became of requests for retraining: their runs say so, whoever started them and whenever they are asked."""

from typing import Final

import dagster as dg
from sqlalchemy import Engine

from shelfops_pipeline.store.requests import mark_failed, mark_finished, mark_started, unfinished_requests

REQUEST: Final = "shelfops/retrain_request"
"""The tag of a run that names the request."""


def settle(instance: dg.DagsterInstance, engine: Engine, dataset: str) -> None:
    """Bring every unfinished request to where its run is.

    The latest counts where a run was started again; a failed one that the daemon is about to repeat says nothing yet.
    """
    for request in unfinished_requests(engine, dataset):
        runs = instance.get_runs(dg.RunsFilter(tags={REQUEST: request.request_id}), limit=1)
        if runs:
            _settle(engine, request.request_id, runs[0])


def _settle(engine: Engine, request_id: str, run: dg.DagsterRun) -> None:
    if run.is_success:
        mark_finished(engine, request_id, run.run_id)
    elif run.is_finished and not run.is_complete_and_waiting_to_retry:
        mark_failed(engine, request_id, run.run_id, f"run {run.run_id[:8]}: {run.status.value.lower()}")
    elif run.status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED):
        mark_started(engine, request_id, run.run_id)
