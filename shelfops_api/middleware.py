"""Around every request: an id, one log line, one count, and the headers that every answer has."""

import re
import time
import uuid
from collections.abc import Iterable
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfops_api.errors import REQUEST_ID_HEADER
from shelfops_api.headers import security_headers
from shelfops_api.metrics import UNMATCHED, Metrics

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROBES: Final = ("/healthz", "/readyz", "/metrics")  # asked every few seconds: logged as debug only
_ID_HEADER: Final = REQUEST_ID_HEADER.lower().encode()

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives every request an id (the caller's X-Request-ID if it is sane), in the answer and in all log lines."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, began = 500, time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                allowance = state.get("allowance")
                limits = [] if allowance is None else allowance.headers()
                ours = [(_ID_HEADER, request_id.encode()), *security_headers(scope["path"]), *limits]
                message = {**message, "headers": _with(ours, message.get("headers", ()))}
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """A WebSocket is counted and logged when it ends, without a time to answer."""
        method, path = scope.get("method", "GET"), scope["path"]
        write = log.debug if path in _PROBES else log.info
        write("request", method=method, path=path, status=status, milliseconds=round(1000 * seconds, 1))
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self.metrics.answered(route, method, status, seconds if scope["type"] == "http" else None)


def _with(ours: list[tuple[bytes, bytes]], given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that the route gave, and those of ours that it did not."""
    headers = list(given)
    names = {name.lower() for name, _ in headers}
    return headers + [pair for pair in ours if pair[0] not in names]
