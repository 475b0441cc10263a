"""Requests for a retraining: written by whoever asks, turned into a run by whoever trains, each once.

A request waits, is claimed, runs, and has succeeded or failed. Asking again with the same key is the same request.
"""

import uuid
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.operational_tables import RequestStatus, retrain_requests
from shelfops_pipeline.store.records import RetrainRequest

CLAIM_HELD: Final = timedelta(minutes=10)
"""A claim from which no run came within this time may be claimed again: its holder died."""
_ENDED: Final = (RequestStatus.SUCCEEDED, RequestStatus.FAILED)

table = retrain_requests.c


class KeyReusedError(ShelfOpsError):
    """The idempotency key was used before, for something else."""


def add_request(
    engine: Engine, dataset: str, idempotency_key: str, *, requested_by: str, reason: str = ""
) -> tuple[RetrainRequest, bool]:
    """Ask for a training of `dataset`; returns the request, and whether it is new.

    A key that was used before gives the request of then, whatever became of it. Needs the right to insert and to read.
    Raises KeyReusedError where that request gave another reason.
    """
    values = {
        "request_id": str(uuid.uuid4()),
        "dataset": dataset,
        "idempotency_key": idempotency_key,
        "requested_by": requested_by,
        "reason": reason,
    }
    statement = insert(retrain_requests).values(values)
    statement = statement.on_conflict_do_nothing(index_elements=["dataset", "idempotency_key"])
    this = (table.dataset == dataset, table.idempotency_key == idempotency_key)
    with engine.begin() as connection:
        connection.execute(statement)
        row = connection.execute(select(retrain_requests).where(*this)).mappings().one()
    if row["reason"] != reason:
        raise KeyReusedError(
            f"the key {idempotency_key!r} was used for a request with another reason, {row['reason']!r}: "
            "make up a new key for a new wish"
        )
    return RetrainRequest(**row), row["request_id"] == values["request_id"]


def claim_requests(engine: Engine, dataset: str) -> list[RetrainRequest]:
    """Take the waiting requests, oldest first; two that claim at once share them out."""
    expired = (table.status == RequestStatus.CLAIMED) & (table.claimed_at < func.now() - CLAIM_HELD)
    due = or_(table.status == RequestStatus.WAITING, expired)
    ids = select(table.request_id).where(table.dataset == dataset, due).with_for_update(skip_locked=True)
    claimed = {"status": RequestStatus.CLAIMED.value, "claimed_at": func.now()}
    statement = update(retrain_requests).where(table.request_id.in_(ids)).values(claimed).returning(retrain_requests)
    with engine.begin() as connection:
        found = [RetrainRequest(**row) for row in connection.execute(statement).mappings()]
    return sorted(found, key=lambda request: (request.requested_at, request.request_id))


def mark_started(engine: Engine, request_id: str, run_id: str) -> None:
    """A run works on it."""
    values = {"status": RequestStatus.RUNNING, "run_id": run_id, "started_at": func.now()}
    _mark(engine, request_id, table.status.not_in((RequestStatus.RUNNING, *_ENDED)), values)


def mark_finished(engine: Engine, request_id: str, run_id: str) -> None:
    """Its run succeeded."""
    values = {"status": RequestStatus.SUCCEEDED, "run_id": run_id, "finished_at": func.now()}
    _mark(engine, request_id, table.status.not_in(_ENDED), values)


def mark_failed(engine: Engine, request_id: str, run_id: str, error: str) -> None:
    """Its run failed or was stopped; `error` says which, in a line."""
    values = {"status": RequestStatus.FAILED, "run_id": run_id, "error": error, "finished_at": func.now()}
    _mark(engine, request_id, table.status.not_in(_ENDED), values)


def retrain_request(engine: Engine, request_id: str) -> RetrainRequest | None:
    """One request; None where there is none of that id."""
    with engine.connect() as connection:
        found = connection.execute(select(retrain_requests).where(table.request_id == request_id)).mappings().first()
    return None if found is None else RetrainRequest(**found)


def unfinished_requests(engine: Engine, dataset: str) -> list[RetrainRequest]:
    """Those that were claimed and have not ended, oldest first."""
    open_ones = (RequestStatus.CLAIMED, RequestStatus.RUNNING)
    statement = select(retrain_requests).where(table.dataset == dataset, table.status.in_(open_ones))
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(table.requested_at, table.request_id)).mappings()
        return [RetrainRequest(**row) for row in rows]


def _mark(engine: Engine, request_id: str, allowed: ColumnElement[bool], values: dict[str, Any]) -> None:
    """Saying the same again, or something earlier too late, changes nothing."""
    with engine.begin() as connection:
        connection.execute(update(retrain_requests).where(table.request_id == request_id, allowed).values(values))
