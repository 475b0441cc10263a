"""Around every request: an id and one log line; and a limit on the body."""

import re
import time
import uuid
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfops_api.errors import REQUEST_ID_HEADER, Code, Problem, problem_response

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROBES: Final = ("/healthz", "/readyz")  # asked every few seconds: logged as debug only

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives every request an id (the caller's X-Request-ID if it is sane), in the answer and in all log lines."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, began = 500, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            milliseconds = round(1000 * (time.perf_counter() - began), 1)
            write = log.debug if scope["path"] in _PROBES else log.info
            write("request", method=scope["method"], path=scope["path"], status=status, milliseconds=milliseconds)


class BodyLimit:
    """Answers 413 to a body above the limit, whether its length was declared or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = Problem(Code.BODY_TOO_LARGE, f"At most {self.max_bytes} bytes; send fewer series per request")
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            await problem_response(Request(scope), problem)(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise problem
            return message

        await self.app(scope, receive_within_limit, send)
