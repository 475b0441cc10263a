"""Headers that tell browsers to trust nothing but ourselves."""

from typing import Final

_NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"
_OURS: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCUMENTATION: Final = (  # FastAPI's pages load Swagger UI and ReDoc from where they are published
    b"default-src 'none'; script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; connect-src 'self'; "
    b"style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    b"font-src https://fonts.gstatic.com; img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
    b"worker-src blob:; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def _with_policy(policy: bytes) -> list[tuple[bytes, bytes]]:
    return [*_ALWAYS, (b"content-security-policy", policy)]


_DATA_HEADERS: Final = _with_policy(_NOTHING)
_PAGE_HEADERS: Final = _with_policy(_OURS)
_BY_PATH: Final = dict.fromkeys(("/docs", "/redoc"), _with_policy(_DOCUMENTATION))


def security_headers(path: str) -> list[tuple[bytes, bytes]]:
    """For the answer to a request of `path`: data is not a page, and a page uses nothing but its own origin."""
    return _DATA_HEADERS if path.startswith("/v1/") else _BY_PATH.get(path, _PAGE_HEADERS)
