"""Who is calling, and may they? One set of checks for HTTP and WebSocket."""

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import structlog
from starlette.requests import HTTPConnection

from shelfops_api.errors import Code, Problem
from shelfops_api.keyring import KeyRing
from shelfops_api.limits import RateLimiter
from shelfops_api.metrics import Metrics
from shelfops_api.origins import address_of, is_foreign, is_named_as_this_machine, is_this_machine
from shelfops_api.settings import ApiSettings
from shelfops_api.tokens import InvalidTokenError, SettingsRefusedError, Tokens
from shelfops_api.warehouse import WarehouseUnavailable
from shelfops_pipeline.contracts.access import EVERY_SCOPE, ApiKey, Scope, granted

__all__ = ["Authenticator", "Principal", "Require", "Scope", "require"]

SUBPROTOCOL_PREFIX: Final = "bearer."
"""Browsers cannot set headers on a WebSocket: the subprotocol `bearer.<token or key>` stands in for them."""
_REALM: Final = 'Bearer realm="shelfops"'

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Principal:
    """Who calls. `name` goes into audit trails; `client` is whom limits count."""

    name: str
    scopes: frozenset[Scope]
    client: str
    key_id: str | None = None
    shown: Literal["nothing", "key", "token"] = "nothing"


class Authenticator:
    """Lets callers in, or tells them why not. Raises SettingsRefusedError where the settings would open the door."""

    def __init__(self, settings: ApiSettings, keys: KeyRing, limiter: RateLimiter, metrics: Metrics) -> None:
        if settings.api_mode == "production" and settings.api_auth == "off":
            raise SettingsRefusedError("SHELFOPS_API_AUTH=off is refused in SHELFOPS_API_MODE=production")
        self.tokens: Final = Tokens(settings)
        self._keys, self._limiter, self._metrics = keys, limiter, metrics
        self._origins = settings.cors_origins
        self._open_to_all = settings.api_auth == "off"
        self._open_to_this_machine = settings.api_auth is None and settings.api_mode == "development"

    @property
    def open_to(self) -> Literal["nobody", "this machine", "everybody"]:
        """Who is let in without showing anything."""
        if self._open_to_all:
            return "everybody"
        return "this machine" if self._open_to_this_machine else "nobody"

    async def admit(self, connection: HTTPConnection, scope: Scope | None) -> Principal:
        """The caller, who has `scope` and has not asked too often. Raises Problem (401, 403, 429)."""
        try:
            principal = await self.identify(connection)
            connection.state.allowance = self._limiter.take(principal.client)
            if scope is not None and scope not in principal.scopes:
                raise _missing(principal, scope)
        except Problem as problem:
            self._metrics.refused.labels(problem.code).inc()
            raise
        structlog.contextvars.bind_contextvars(who=principal.name)
        return principal

    async def identify(self, connection: HTTPConnection) -> Principal:
        """What is shown must be valid, also where nothing has to be shown. Whoever guesses is slowed by address."""
        address = address_of(connection)
        try:
            if connection.scope["type"] == "websocket" and is_foreign(connection, self._origins):
                raise _foreign()  # browsers ask no leave before they open one
            credentials = shown_by(connection)
            if credentials is None:
                return self._stranger(connection, address)
            key = ApiKey.parse(credentials)
            return await (self._by_token(credentials) if key is None else self._by_key(key))
        except Problem:
            self._limiter.take(f"address:{address}")
            raise

    def _stranger(self, connection: HTTPConnection, address: str) -> Principal:
        meant = is_this_machine(address) and is_named_as_this_machine(connection)
        if not (self._open_to_all or (self._open_to_this_machine and meant)):
            detail = "Send an API key or a token: `Authorization: Bearer ...`"
            raise Problem(Code.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": _REALM})
        if is_foreign(connection, self._origins):
            raise _foreign()
        return Principal("local" if is_this_machine(address) else address, EVERY_SCOPE, f"address:{address}")

    async def _by_key(self, key: ApiKey) -> Principal:
        record = await self._keys.get(key.key_id)
        if record is None or not key.matches(record.hash):
            raise _refused(Code.INVALID_CREDENTIALS, "The API key is unknown, revoked or expired")
        return Principal(record.name, granted(record.scopes), f"key:{key.key_id}", key.key_id, "key")

    async def _by_token(self, token: str) -> Principal:
        """A token ends with its key, unless the warehouse is away and nobody can tell: then it has only minutes."""
        try:
            claims = self.tokens.read(token)
        except InvalidTokenError as error:
            code = Code.TOKEN_EXPIRED if error.expired else Code.INVALID_CREDENTIALS
            raise _refused(code, str(error)) from None
        try:
            if await self._keys.get(claims.key_id) is None:
                raise _refused(Code.INVALID_CREDENTIALS, "The API key of this token is revoked or expired")
        except WarehouseUnavailable:
            log.warning("token_of_unknown_key", key_id=claims.key_id)
        return Principal(claims.name, granted(claims.scopes), f"key:{claims.key_id}", claims.key_id, "token")


class Require:
    """The dependency of a route that needs `scope` (None: any valid credentials); gives the principal."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope: Final = scope

    async def __call__(self, connection: HTTPConnection) -> Principal:
        auth: Authenticator = connection.app.state.services.auth
        return await auth.admit(connection, self.scope)


@cache  # one object per scope, so that FastAPI evaluates it once per request
def require(scope: Scope | None) -> Require:
    """`Depends(require(Scope.READ))`: lets in whoever has the scope."""
    return Require(scope)


def shown_by(connection: HTTPConnection) -> str | None:
    """The key or token of a connection; None for none. Raises Problem for an Authorization of another kind."""
    header = connection.headers.get("authorization")
    if header is not None:
        kind, _, value = header.partition(" ")
        if kind.lower() != "bearer" or not value.strip():
            raise _refused(Code.INVALID_CREDENTIALS, "Authorization must be `Bearer <API key or token>`")
        return value.strip()
    key = connection.headers.get("x-api-key")
    if key is None and connection.scope["type"] == "websocket":
        offered = [name for name in connection.scope["subprotocols"] if name.startswith(SUBPROTOCOL_PREFIX)]
        return offered[0].removeprefix(SUBPROTOCOL_PREFIX) if offered else None
    return key


def _refused(code: Code, detail: str) -> Problem:
    return Problem(code, detail, headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'})


def _foreign() -> Problem:
    return Problem(Code.ORIGIN_REFUSED, "The page is of an origin that SHELFOPS_API_CORS_ORIGINS does not name")


def _missing(principal: Principal, scope: Scope) -> Problem:
    challenge = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
    return Problem(
        Code.MISSING_SCOPE, f"{principal.name} has no scope '{scope}'", headers={"WWW-Authenticate": challenge}
    )
