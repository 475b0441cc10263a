"""Where a page of series ended, for the next one to go on from: opaque to clients, bound to the rows it was made of."""

import base64
import binascii
import json
from typing import NamedTuple

from shelfops_api.errors import Code, Fault, Problem


class Cursor(NamedTuple):
    """The last series that was answered, and the edition of the rows it came from."""

    edition: str
    store_id: str
    item_id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(self).encode()).rstrip(b"=").decode()

    def of(self, release: str) -> bool:
        """Is it of some edition of `release`?"""
        return self.edition.rpartition("@")[0] == release

    @classmethod
    def read(cls, given: str) -> "Cursor":
        """Raises Problem for what no answer of ours ever had."""
        try:
            parts = json.loads(base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, RecursionError):
            raise _unreadable() from None
        if not isinstance(parts, list) or len(parts) != len(cls._fields) or not all(map(_storable, parts)):
            raise _unreadable()
        return cls(*parts)


def _storable(part: object) -> bool:
    """A text that PostgreSQL can compare with: without NUL and lone surrogates."""
    return isinstance(part, str) and "\x00" not in part and not any("\ud800" <= c <= "\udfff" for c in part)


def expired() -> Problem:
    return Problem(Code.CURSOR_EXPIRED, "The page that `after` is from was of forecasts that are served no more")


def _unreadable() -> Problem:
    detail = "`after` is not the `next` of any page"
    fault = Fault(location="query", pointer="/after", detail=detail, code=Code.INVALID_REQUEST)
    return Problem(Code.INVALID_REQUEST, detail, [fault])
