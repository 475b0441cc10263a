"""Routes that name a series in their path."""

from typing import Final
from urllib.parse import unquote

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

SERIES: Final = "{store_id}/{item_id:path}"


class SeriesRoute(APIRoute):
    """A route that may end in `SERIES`. An id may have any character: a slash, sent as %2F, stays in its id.

    Servers decode a path before it is matched, so that the slashes of an id look like those between ids; `raw_path` has
    the path as it was sent. Those of an item, which is last, need not be escaped.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        prefix = f"{scope.get('root_path', '')}{self.path.removesuffix(SERIES)}"
        series = _sent(scope, prefix) if self.path.endswith(SERIES) else None
        if series is None:
            return super().matches(scope)
        path = f"{prefix}-/-"
        match, child_scope = super().matches({**scope, "path": path})
        if match is not Match.NONE:
            child_scope["path_params"] |= series
        return match, child_scope


def _sent(scope: Scope, prefix: str) -> dict[str, str] | None:
    """The two ids behind `prefix`; None where there are none, or the server does not tell what was sent."""
    sent, start = scope.get("raw_path") or b"", prefix.encode()
    store, _, item = sent.removeprefix(start).partition(b"/")
    known = sent.startswith(start) and store and item
    return {"store_id": unquote(store), "item_id": unquote(item)} if known else None
