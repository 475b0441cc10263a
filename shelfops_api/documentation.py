"""The service's OpenAPI document: our one error schema, and what every route asks of its callers."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from shelfops_api import errors
from shelfops_api.auth import Require, Scope
from shelfops_api.errors import Code

_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`so_...`), or a token of `POST /v1/tokens`",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key"},
}
GUARDED: Final = (
    Code.UNAUTHENTICATED,
    Code.INVALID_CREDENTIALS,
    Code.TOKEN_EXPIRED,
    Code.MISSING_SCOPE,
    Code.ORIGIN_REFUSED,
    Code.RATE_LIMITED,
    Code.WAREHOUSE_UNAVAILABLE,
    Code.WAREHOUSE_OUTDATED,
)
_BODY: Final = (Code.BAD_REQUEST, Code.BODY_TOO_LARGE, Code.BODY_TOO_DEEP, Code.INVALID_REQUEST)


class Api(FastAPI):
    """FastAPI whose documentation says which scope a route needs, and how it refuses."""

    def __init__(self, routers: Iterable[APIRouter], **options: Any) -> None:
        super().__init__(**options)
        self.rooms: Final = tuple(routers)
        for router in self.rooms:
            self.include_router(router)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = super().openapi()
            schema["components"]["schemas"].update(errors.problem_schemas())
            schema["components"]["securitySchemes"] = _SCHEMES
            for route, guard in guards(self.rooms):
                if guard is not None and isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        _document(schema["paths"][route.path_format][method.lower()], guard)
        return super().openapi()


def security(scope: Scope | None) -> list[dict[str, list[str]]]:
    """What OpenAPI says of a route that needs `scope`: any of our ways to show it."""
    return [{name: [] if scope is None else [scope.value]} for name in _SCHEMES]


def guards(routers: Iterable[APIRouter]) -> Iterator[tuple[APIRoute | APIWebSocketRoute, Require | None]]:
    """Every route, and what lets callers in; None where anybody may come."""
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute | APIWebSocketRoute):
                yield route, next(_required(route.dependant), None)


def _required(dependant: Dependant) -> Iterator[Require]:
    """The last declared first: what a route says stands above what its router says."""
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Require):
            yield dependency.call
        yield from _required(dependency)


def _document(operation: dict[str, Any], guard: Require) -> None:
    """Its scope, and the problems that any guarded route may answer with, beside those that it names itself."""
    operation["security"] = security(guard.scope)
    common = (*GUARDED, *(_BODY if "requestBody" in operation else ()))
    for status, response in errors.documented(*common).items():
        known = operation["responses"].setdefault(str(status), response)
        for media_type, content in response["content"].items():
            known["content"][media_type]["examples"] = content["examples"] | known["content"][media_type]["examples"]
