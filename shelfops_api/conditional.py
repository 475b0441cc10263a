"""ETags: an answer has changed when other rows are served, or it is asked for in another form."""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "What `If-None-Match` names is still right"}}
"""The `responses` of a route whose answers have an ETag."""
_SUFFIX: Final = {JSON: "json", NDJSON: "ndjson", CSV: "csv"}
_TAG: Final = re.compile(r'"[^"]*"')


def caching_headers(edition: str, media_type: str = JSON) -> dict[str, str]:
    """What lets a client keep an answer, as long as it asks each time whether it still holds (RFC 9111).

    The tag is strong, and need not tell the query: it belongs to one URL (RFC 9110, 8.8.3).
    """
    return {
        "ETag": etag(edition, media_type),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization, X-API-Key",
    }


def etag(edition: str, media_type: str = JSON) -> str:
    return f'"{edition}.{_SUFFIX[media_type]}"'


def tags(header: str) -> list[str]:
    """The tags of an If-Match or If-None-Match. Weak ones too: what compresses answers on the way makes them weak."""
    return _TAG.findall(header)


def not_modified(request: Request, edition: str | None, media_type: str = JSON) -> Response | None:
    """304 if the caller already has what this edition would answer; None if there is something to send."""
    given = request.headers.get("if-none-match")
    if given is None or edition is None or etag(edition, media_type) not in tags(given):
        return None
    return Response(status_code=304, headers=caching_headers(edition, media_type))


def json_answer(body: bytes, edition: str, headers: Mapping[str, str] | None = None) -> Response:
    """A body that is JSON already."""
    return Response(body, media_type=JSON, headers={**caching_headers(edition), **(headers or {})})
