"""Short-lived tokens for browsers and apps, so that the API key stays on the server that holds it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from shelfops_api.auth import Principal, require
from shelfops_api.deps import AuthDep
from shelfops_api.errors import Code, Fault, Problem, documented
from shelfops_pipeline.contracts.access import Scope

router = APIRouter(prefix="/v1/tokens", tags=["access"])

_PROBLEMS = documented(Code.KEY_REQUIRED, Code.SCOPE_NOT_HELD, Code.INVALID_REQUEST, Code.WAREHOUSE_UNAVAILABLE)


class TokenRequest(BaseModel):
    """What the token shall be good for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"scopes": ["read"]}]})

    scopes: list[Scope] | None = Field(
        None, min_length=1, max_length=len(Scope), description="A subset of the key's; default: all that the key has"
    )


class TokenAnswer(BaseModel):
    """A bearer token. It cannot be renewed: ask with the key again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"access_token": "eyJhbGciOiJIUzI1NiJ9...", "token_type": "bearer", "expires_in": 900, "scope": "read"}
            ]
        }
    )

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind
    expires_in: int = Field(description="Seconds")
    scope: str = Field(description="Scopes, separated by blanks")


@router.post("", responses=_PROBLEMS)
async def exchange(
    request: TokenRequest, auth: AuthDep, principal: Annotated[Principal, Depends(require(None))]
) -> TokenAnswer:
    """Exchange an API key for a token that is valid for minutes, with all or some of the key's scopes."""
    if principal.shown != "key" or principal.key_id is None:
        raise Problem(Code.KEY_REQUIRED, "Send the API key itself: a token is not exchanged for another")
    scopes = principal.scopes if request.scopes is None else frozenset(request.scopes)
    if beyond := sorted(scopes - principal.scopes):
        detail = f"{principal.name} has no scope {', '.join(beyond)}"
        fault = Fault(location="body", pointer="/scopes", detail=detail, code=Code.SCOPE_NOT_HELD)
        raise Problem(Code.SCOPE_NOT_HELD, f"scopes: {detail}", [fault])
    token = auth.tokens.issue(principal.key_id, principal.name, scopes)
    return TokenAnswer(access_token=token, expires_in=auth.tokens.seconds, scope=" ".join(sorted(scopes)))
