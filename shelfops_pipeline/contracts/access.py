"""Who may do what: scopes, and the form of an API key, `so_<id>_<secret>`. Only the secret's SHA-256 is ever stored.

A plain hash is enough, and fast: the secret has 256 random bits, so there is nothing to guess.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"so_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a caller may do."""

    READ = "read"
    PREDICT = "predict"
    OPERATE = "operate"
    ADMIN = "admin"


EVERY_SCOPE: Final = frozenset(Scope)


def granted(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """What `scopes` allow in all: admin implies every other."""
    given = frozenset(scopes)
    return EVERY_SCOPE if Scope.ADMIN in given else given


class ApiKey(NamedTuple):
    """A key as its holder has it: the id may be shown and logged, the secret never."""

    key_id: str
    secret: str

    @classmethod
    def new(cls) -> "ApiKey":
        return cls(secrets.token_hex(6), secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> "ApiKey | None":
        """None for what is not an API key."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(*found.groups())

    @property
    def text(self) -> str:
        return f"so_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.secret.encode()).digest()

    def matches(self, digest: bytes) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.digest, digest)

    def __repr__(self) -> str:
        return f"ApiKey({self.key_id})"
