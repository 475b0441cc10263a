"""Limits on what a caller may send: bytes, and how deeply JSON is nested. Both are checked before parsing."""

import re
from typing import Final

import numpy as np
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfops_api.errors import Code, Problem, problem_response

MAX_DEPTH: Final = 16
"""The deepest request that the service knows has 7 levels."""
# One that is never closed ends with the text: trying again from each quote in it would take hours for 1 MB.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as int8: one deeper, one back
_OTHERS: Final = bytes(set(range(256)) - set(b"[{]}"))


class BodyLimit:
    """Answers 413 to a body above the limit, whether its length was declared or not, and 422 to one nested too deep."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        try:
            body = await self._read(headers, receive)
        except Problem as problem:
            await problem_response(Request(scope), problem)(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _replayed(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body; None when the caller has gone. Raises Problem."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            raise self._too_large()
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self.max_bytes:
                raise self._too_large()
            parts.append(part)
            more = message.get("more_body", False)
        body = b"".join(parts)
        if is_deeper_than(MAX_DEPTH, body):
            raise Problem(Code.BODY_TOO_DEEP, f"JSON may be nested {MAX_DEPTH} levels deep")
        return body

    def _too_large(self) -> Problem:
        return Problem(Code.BODY_TOO_LARGE, f"At most {self.max_bytes} bytes; send less per request")


def is_deeper_than(limit: int, text: bytes) -> bool:
    """Does JSON `text` nest arrays and objects more than `limit` deep? Text that is not JSON may answer either way."""
    if text.count(b"[") + text.count(b"{") <= limit:
        return False
    steps = np.frombuffer(_STRING.sub(b"", text).translate(_STEPS, _OTHERS), np.int8)
    return int(steps.cumsum(dtype=np.int64).max(initial=0)) > limit


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once, and then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
