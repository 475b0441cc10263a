"""What goes wrong, as problem+json (RFC 9457) with a stable `code` that clients may switch on."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Literal

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg.errors import UndefinedColumn, UndefinedTable
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketState

from shelfops_api.headers import security_headers
from shelfops_api.warehouse import WarehouseUnavailable
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.alerts import AlertStateError, UnknownAlertError
from shelfops_pipeline.store.engine import reason_of
from shelfops_pipeline.store.item_flags import FlagError, UnknownFlagError
from shelfops_pipeline.store.orders import OrderChangedError, OrderStateError, UnknownOrderError
from shelfops_pipeline.store.requests import KeyReusedError

REQUEST_ID_HEADER: Final = "X-Request-ID"
MEDIA_TYPE: Final = "application/problem+json"
_RETRY_SECONDS: Final = "5"
MOST_FAULTS: Final = 100
"""Named in one answer: a body of 1 MB can have a hundred thousand."""

log = structlog.get_logger(__name__)


class Code(StrEnum):
    """The stable name of a problem."""

    BAD_REQUEST = "bad_request"
    INVALID_REQUEST = "invalid_request"
    BATCH_TOO_LARGE = "batch_too_large"
    DATE_OUTSIDE_HORIZON = "date_outside_horizon"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_SERIES = "unknown_series"
    UNKNOWN_ALERT = "unknown_alert"
    ALERT_STATE = "alert_state"
    UNKNOWN_ORDER = "unknown_order"
    ORDER_STATE = "order_state"
    ORDER_CHANGED = "order_changed"
    UNKNOWN_FLAG = "unknown_flag"
    FLAG_MEANINGLESS = "flag_meaningless"
    UNKNOWN_REQUEST = "unknown_request"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    NOT_EXPLAINED = "not_explained"
    NOT_ACCEPTABLE = "not_acceptable"
    CURSOR_EXPIRED = "cursor_expired"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_DEEP = "body_too_deep"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_CREDENTIALS = "invalid_credentials"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
    MISSING_SCOPE = "missing_scope"
    SCOPE_NOT_HELD = "scope_not_held"
    KEY_REQUIRED = "key_required"
    ORIGIN_REFUSED = "origin_refused"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_SOCKETS = "too_many_sockets"
    NO_CHAMPION = "no_champion"
    RELEASE_UNPUBLISHED = "release_unpublished"
    TOO_MANY_STREAMS = "too_many_streams"
    WAREHOUSE_UNAVAILABLE = "warehouse_unavailable"
    WAREHOUSE_OUTDATED = "warehouse_outdated"
    REGISTRY_DAMAGED = "registry_damaged"
    INTERNAL_ERROR = "internal_error"


_MEANING: Final[dict[Code, tuple[int, str]]] = {
    Code.BAD_REQUEST: (400, "The body cannot be read"),
    Code.INVALID_REQUEST: (422, "The request does not have the documented form"),
    Code.BATCH_TOO_LARGE: (422, "Too many series in one request"),
    Code.DATE_OUTSIDE_HORIZON: (422, "The date is outside the forecast horizon"),
    Code.UNKNOWN_CHANNEL: (422, "The model has no such known-future input"),
    Code.UNKNOWN_SERIES: (404, "There is no such series"),
    Code.UNKNOWN_ALERT: (404, "There is no such alert"),
    Code.ALERT_STATE: (409, "The alert has moved on"),
    Code.UNKNOWN_ORDER: (404, "There is no such order, or no such line in it"),
    Code.ORDER_STATE: (409, "The order is decided already"),
    Code.ORDER_CHANGED: (412, "The order is not any more what the caller saw"),
    Code.UNKNOWN_FLAG: (404, "Nothing was said of the item there"),
    Code.FLAG_MEANINGLESS: (422, "The flag says nothing, or contradicts itself"),
    Code.UNKNOWN_REQUEST: (404, "There is no such request"),
    Code.IDEMPOTENCY_KEY_REUSED: (422, "The idempotency key was used for another request"),
    Code.NOT_EXPLAINED: (404, "The forecast has not been explained yet"),
    Code.NOT_ACCEPTABLE: (406, "The answer has no such form"),
    Code.CURSOR_EXPIRED: (410, "Other forecasts are served now; start again from the first page"),
    Code.BODY_TOO_LARGE: (413, "The request body is too large"),
    Code.BODY_TOO_DEEP: (422, "The request body is nested too deeply"),
    Code.UNAUTHENTICATED: (401, "Credentials are needed"),
    Code.INVALID_CREDENTIALS: (401, "The credentials are not valid"),
    Code.TOKEN_EXPIRED: (401, "The token has expired"),
    Code.MISSING_SCOPE: (403, "The credentials do not allow this"),
    Code.SCOPE_NOT_HELD: (403, "A token cannot have more scopes than its key"),
    Code.KEY_REQUIRED: (403, "Only an API key can be exchanged"),
    Code.ORIGIN_REFUSED: (403, "Pages of this origin may not ask"),
    Code.RATE_LIMITED: (429, "Too many requests"),
    Code.TOO_MANY_SOCKETS: (429, "Too many alert streams at a time"),
    Code.NO_CHAMPION: (503, "No model has been promoted yet"),
    Code.RELEASE_UNPUBLISHED: (503, "The release has not been published yet"),
    Code.TOO_MANY_STREAMS: (503, "Too many bulk streams at a time"),
    Code.WAREHOUSE_UNAVAILABLE: (503, "The warehouse cannot be reached"),
    Code.WAREHOUSE_OUTDATED: (503, "The warehouse has not been migrated to this version"),
    Code.REGISTRY_DAMAGED: (503, "The model registry cannot be read"),
    Code.INTERNAL_ERROR: (500, "Something went wrong here"),
}


REFUSALS: Final[dict[type[ShelfOpsError], Code]] = {
    UnknownAlertError: Code.UNKNOWN_ALERT,
    AlertStateError: Code.ALERT_STATE,
    UnknownOrderError: Code.UNKNOWN_ORDER,
    OrderStateError: Code.ORDER_STATE,
    OrderChangedError: Code.ORDER_CHANGED,
    UnknownFlagError: Code.UNKNOWN_FLAG,
    FlagError: Code.FLAG_MEANINGLESS,
    KeyReusedError: Code.IDEMPOTENCY_KEY_REUSED,
}
"""What the warehouse's functions refuse with, by the problem that it is."""


class Fault(BaseModel):
    """One thing that is wrong with the request, and where."""

    location: Literal["body", "path", "query", "header", "cookie"]
    pointer: str = Field(description="JSON pointer within the location (RFC 6901); empty: all of it")
    detail: str
    code: str


class ProblemBody(BaseModel):
    """A problem (RFC 9457). `code` never changes its meaning; `title` and `detail` are for people."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str | None
    errors: list[Fault] = []


class Problem(HTTPException):
    """Raised anywhere below a route to answer with a problem."""

    def __init__(
        self, code: Code, detail: str, errors: Sequence[Fault] = (), *, headers: dict[str, str] | None = None
    ) -> None:
        status, self.title = _MEANING[code]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers = {"Retry-After": _RETRY_SECONDS, **(headers or {})}
        super().__init__(status, detail, headers)
        self.code, self.errors = code, list(errors[:MOST_FAULTS])


def problem_response(request: HTTPConnection, error: HTTPException) -> JSONResponse:
    """Any HTTP error as problem+json; one that is not ours is named by its status."""
    if isinstance(error, Problem):
        kind, title, code, faults = f"urn:shelfops:problem:{error.code}", error.title, error.code.value, error.errors
    else:
        title = HTTPStatus(error.status_code).phrase
        kind, code, faults = "about:blank", title.lower().replace(" ", "_").replace("-", "_"), []
    request_id: str | None = getattr(request.state, "request_id", None)
    body = ProblemBody(
        type=kind,
        title=title,
        status=error.status_code,
        detail=error.detail,
        instance=request.scope["path"],  # not `url`, which cannot be made of every query
        code=code,
        request_id=request_id,
        errors=faults,
    )
    headers = dict(error.headers or {})
    if request_id is not None:
        headers[REQUEST_ID_HEADER] = request_id
    return JSONResponse(body.model_dump(), error.status_code, headers, MEDIA_TYPE)


def pointer(parts: Iterable[object]) -> str:
    """JSON pointer (RFC 6901) of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _invalid(error: RequestValidationError) -> Problem:
    faults = []
    for e in error.errors()[:MOST_FAULTS]:
        where, *path = e["loc"]
        unreadable = e["type"] == "json_invalid"
        detail = f"{e['msg']}: {e['ctx']['error']} at character {path[0]}" if unreadable else e["msg"]
        at = "" if unreadable else pointer(path)
        faults.append(Fault(location=where, pointer=at, detail=detail, code=e["type"]))
    first = faults[0]
    return Problem(Code.INVALID_REQUEST, f"{first.location}{first.pointer}: {first.detail}", faults)


async def _answer(connection: Request | WebSocket, error: HTTPException) -> JSONResponse:
    """A WebSocket that is not open yet is refused as a request would be."""
    response = problem_response(connection, error)
    if isinstance(connection, WebSocket) and connection.application_state is WebSocketState.CONNECTING:
        await connection.send_denial_response(response)
    return response


async def _on_http(request: Request, error: HTTPException) -> JSONResponse:
    return await _answer(request, error)


async def _on_refusal(request: Request, error: Exception) -> JSONResponse:
    code = next(code for kind, code in REFUSALS.items() if isinstance(error, kind))
    return await _answer(request, Problem(code, str(error)))


async def _on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    return problem_response(request, _invalid(error))


async def _on_warehouse(request: Request, error: Exception) -> JSONResponse:
    """The database is away, or older than this service; any other database error is a defect of ours."""
    cause = error.__cause__ if isinstance(error, WarehouseUnavailable) and error.__cause__ is not None else error
    reason = reason_of(cause)
    if isinstance(cause, ProgrammingError):
        missing = isinstance(cause.orig, UndefinedTable | UndefinedColumn)
        remedy = await run_in_threadpool(request.app.state.services.warehouse.outdated) if missing else None
        if remedy is not None:
            log.error("warehouse_outdated", reason=reason)
            return await _answer(request, Problem(Code.WAREHOUSE_OUTDATED, remedy))
    if isinstance(error, ProgrammingError):
        raise error
    log.warning("warehouse_unavailable", reason=reason)
    return await _answer(request, Problem(Code.WAREHOUSE_UNAVAILABLE, "The warehouse did not answer; try again"))


async def _on_defect(request: Request, error: Exception) -> JSONResponse:
    """A defect of ours. The server logs the traceback, since it is raised again after this answer."""
    response = problem_response(request, Problem(Code.INTERNAL_ERROR, "The error was logged under this request id"))
    response.raw_headers += security_headers(request.scope["path"])  # this answer is given outside of our middleware
    return response


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem."""
    app.exception_handler(HTTPException)(_on_http)
    app.exception_handler(RequestValidationError)(_on_invalid)
    away: tuple[type[Exception], ...] = (WarehouseUnavailable, OperationalError, InterfaceError, PoolTimeoutError)
    for kind in (*away, ProgrammingError):
        app.add_exception_handler(kind, _on_warehouse)
    for refusal in REFUSALS:
        app.add_exception_handler(refusal, _on_refusal)
    app.add_exception_handler(Exception, _on_defect)


def documented(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems, an example for each."""
    out: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title = _MEANING[code]
        examples = {code.value: {"summary": title, "value": _example(code)}}
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
        entry = out.setdefault(status, {"description": title, "content": {MEDIA_TYPE: content}})
        entry["content"][MEDIA_TYPE]["examples"] |= examples
    return out


def problem_schemas() -> dict[str, Any]:
    """The schemas that `documented` refers to, by their name in OpenAPI."""
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def _example(code: Code) -> dict[str, Any]:
    status, title = _MEANING[code]
    return {
        "type": f"urn:shelfops:problem:{code}",
        "title": title,
        "status": status,
        "detail": "What exactly, and what to do about it",
        "instance": "/v1/...",
        "code": code.value,
        "request_id": "3f0c2a9b6f1e4d0c8a57",
        "errors": [],
    }
