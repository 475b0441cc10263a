"""Where a page ended, for the next one to go on from: opaque to clients, bound to the rows it was made of."""

import base64
import binascii
import json
from typing import Final, NamedTuple

from shelfops_api.errors import Code, Fault, Problem

LONGEST: Final = 4000
"""Two ids of 200 characters, of up to four bytes or escaped, fit in."""


class Cursor(NamedTuple):
    """What was answered last, a series or a group of them, and the edition of the rows it came from."""

    edition: str
    store_id: str
    rest: str
    """The item, or the category."""

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(self, ensure_ascii=False).encode()).rstrip(b"=").decode()

    @classmethod
    def read(cls, given: str | None, release: str) -> "Cursor | None":
        """None for None. Raises Problem for what no answer of ours ever had, and for a page of another release."""
        if given is None:
            return None
        try:
            parts = json.loads(base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, RecursionError):
            raise _unreadable() from None
        if not isinstance(parts, list) or len(parts) != len(cls._fields) or not all(map(_storable, parts)):
            raise _unreadable()
        cursor = cls(*parts)
        if cursor.edition.rpartition("@")[0] != release:
            raise expired()
        return cursor

    def check(self, edition: str) -> None:
        """Raises Problem unless the rows are still those that it is of."""
        if self.edition != edition:
            raise expired()


def _storable(part: object) -> bool:
    """A text that PostgreSQL can compare with: without NUL and lone surrogates."""
    return isinstance(part, str) and "\x00" not in part and not any("\ud800" <= c <= "\udfff" for c in part)


def expired() -> Problem:
    return Problem(Code.CURSOR_EXPIRED, "The page that `after` is from was of forecasts that are served no more")


def _unreadable() -> Problem:
    detail = "`after` is not the `next` of any page"
    fault = Fault(location="query", pointer="/after", detail=detail, code=Code.INVALID_REQUEST)
    return Problem(Code.INVALID_REQUEST, detail, [fault])
