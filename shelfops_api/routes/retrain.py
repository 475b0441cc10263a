"""Ask for a training. The request is written down; whoever trains takes it from there."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from shelfops_api.auth import Principal, Scope, require
from shelfops_api.deps import SettingsDep, WarehouseDep
from shelfops_api.errors import Code, Problem, documented
from shelfops_api.operations import Note, Told
from shelfops_api.schemas import SeriesId, example_of
from shelfops_pipeline.store.operational_tables import RequestStatus
from shelfops_pipeline.store.requests import add_request, retrain_request

router = APIRouter(prefix="/v1/retrain", tags=["models"])

_REQUEST: Final[dict[str, Any]] = {
    "request_id": "5b6c1d9e-4a53-4a51-9f0e-6f5a1a7f2c10",
    "status": "waiting",
    "reason": "new shelves in all stores",
    "requested_by": "planner",
    "requested_at": "2026-01-05T08:02:40Z",
    "started_at": None,
    "finished_at": None,
    "run_id": None,
    "error": None,
}
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Made up by the caller, once per wish: the same key and reason again are the same request",
        examples=["monday-after-the-sale"],
    ),
]


class RetrainWish(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "new shelves in all stores"}]})

    reason: Annotated[Note, StringConstraints(max_length=500)] = ""


class RetrainAnswer(Told):
    """A request for a training, and what became of it."""

    model_config = example_of(_REQUEST)

    request_id: str
    status: RequestStatus
    reason: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_id: str | None
    error: str | None


@router.post(
    "",
    status_code=202,
    responses=documented(Code.INVALID_REQUEST, Code.IDEMPOTENCY_KEY_REUSED, Code.WAREHOUSE_UNAVAILABLE),
)
def ask(
    key: IdempotencyKey,
    settings: SettingsDep,
    warehouse: WarehouseDep,
    who: Annotated[Principal, Depends(require(Scope.OPERATE))],
    response: Response,
    wish: RetrainWish | None = None,
) -> RetrainAnswer:
    """Ask for a training, once however often it is sent: `Location` says where to see what becomes of it."""
    reason = "" if wish is None else wish.reason
    found, _ = add_request(warehouse.engine(), settings.retailer, key, requested_by=who.name, reason=reason)
    response.headers["Location"] = f"/v1/retrain/{found.request_id}"
    return RetrainAnswer.model_validate(found)


@router.get(
    "/{request_id}",
    responses=documented(Code.INVALID_REQUEST, Code.UNKNOWN_REQUEST, Code.WAREHOUSE_UNAVAILABLE),
    dependencies=[Depends(require(Scope.READ))],
)
def status(
    request_id: Annotated[SeriesId, Path(examples=[_REQUEST["request_id"]])],
    settings: SettingsDep,
    warehouse: WarehouseDep,
) -> RetrainAnswer:
    """What became of a request: waiting, claimed, running, succeeded or failed."""
    found = retrain_request(warehouse.engine(), request_id)
    if found is None or found.dataset != settings.retailer:
        raise Problem(Code.UNKNOWN_REQUEST, f"There is no request {request_id!r}")
    return RetrainAnswer.model_validate(found)
