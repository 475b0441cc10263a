"""Short-lived bearer tokens (JWT, RFC 7519), signed with one fixed algorithm."""

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import jwt

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.contracts.access import EVERY_SCOPE, Scope
from shelfops_pipeline.errors import ShelfOpsError

ALGORITHM: Final = "HS256"
ISSUER: Final = "shelfops"
LEAST_SECRET_BYTES: Final = 32
_REQUIRED_CLAIMS: Final = ["exp", "iat", "iss", "aud", "sub", "jti"]
_FAMILIAR: Final = ("secret", "password", "changeme", "change-me", "change_me", "example", "default", "shelfops")
_LEAST_DISTINCT: Final = 10
_REMEMBERED: Final = 1024
_HOW_TO: Final = "make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`"


class SettingsRefusedError(ShelfOpsError):
    """The service must not start like this."""


class InvalidTokenError(ShelfOpsError):
    """Not one of our tokens; `expired` if it once was."""

    def __init__(self, reason: str, *, expired: bool = False) -> None:
        super().__init__(reason)
        self.expired = expired


@dataclass(frozen=True)
class Claims:
    """What a token says: made for which key, by its id and name, with which scopes, until when (UNIX time)."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    expires: float


class Tokens:
    """Issues and reads the tokens of one retailer."""

    def __init__(self, settings: ApiSettings) -> None:
        self._secret = signing_secret(settings)
        self._audience = f"shelfops:{settings.retailer}"
        self.seconds: Final = settings.api_token_seconds
        self._seen: dict[bytes, Claims] = {}

    def issue(self, key_id: str, name: str, scopes: Iterable[Scope]) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": key_id,
            "name": name,
            "scope": " ".join(sorted(scopes)),
            "iat": now,
            "exp": now + self.seconds,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def read(self, token: str) -> Claims:
        """What a valid token says. Raises InvalidTokenError for every other."""
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._seen.get(digest)
        if claims is None:
            claims = self._verify(token)
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[digest] = claims
        if claims.expires <= time.time():
            raise InvalidTokenError("The token has expired", expired=True)
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            raw = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=ISSUER,
                options={"require": _REQUIRED_CLAIMS},
            )
            scopes = frozenset(map(Scope, raw["scope"].split()))
            return Claims(raw["sub"], str(raw["name"]), scopes & EVERY_SCOPE, float(raw["exp"]))
        except jwt.ExpiredSignatureError:
            raise InvalidTokenError("The token has expired", expired=True) from None
        except (jwt.InvalidTokenError, KeyError, AttributeError, ValueError):
            raise InvalidTokenError("The token is not valid here") from None


def signing_secret(settings: ApiSettings) -> bytes:
    """The secret that signs tokens. Raises SettingsRefusedError for one that could be guessed.

    In development one is made up where none is set: tokens end with the process then.
    """
    if settings.api_jwt_secret is None:
        if settings.api_mode == "production":
            raise SettingsRefusedError(f"SHELFOPS_API_MODE=production needs SHELFOPS_API_JWT_SECRET; {_HOW_TO}")
        return secrets.token_bytes(LEAST_SECRET_BYTES)
    secret = settings.api_jwt_secret.get_secret_value().encode()
    if len(secret) < LEAST_SECRET_BYTES:
        raise SettingsRefusedError(f"SHELFOPS_API_JWT_SECRET has fewer than {LEAST_SECRET_BYTES} bytes; {_HOW_TO}")
    familiar = any(word in secret.lower().decode() for word in _FAMILIAR) or len(set(secret)) < _LEAST_DISTINCT
    if familiar and settings.api_mode == "production":
        raise SettingsRefusedError(f"SHELFOPS_API_JWT_SECRET can be guessed; {_HOW_TO}")
    return secret
