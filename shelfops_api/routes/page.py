"""The planner's page at `/`: a few files of this package, read once, and served under checked names.

The page asks the API for everything that it shows, so it needs no rights of its own; it is complete without a network.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from starlette.exceptions import HTTPException

import shelfops_pipeline

router = APIRouter(include_in_schema=False)

FILES: Final = Path(__file__).parents[1] / "page"
FONTS: Final = Path(shelfops_pipeline.__file__).parent / "charts" / "fonts"  # those of the charts: kept once
INDEX: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_ASK_AGAIN, _FOR_A_YEAR = "no-cache", "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class PageFile:
    """A file of the page as it is sent."""

    content: bytes
    media_type: str
    headers: dict[str, str]


@cache
def page_files() -> dict[str, PageFile]:
    """Every file of the page by name. A name that is not among them is not served, whatever it looks like."""
    return {path.name: _read(path) for path in _paths()}


def _paths() -> Iterator[Path]:
    yield from (path for path in FILES.iterdir() if path.suffix in _TYPES)
    yield from FONTS.glob("*.woff2")


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    caching = _FOR_A_YEAR if path.suffix == ".woff2" else _ASK_AGAIN
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, _TYPES[path.suffix], {"ETag": tag, "Cache-Control": caching})


@router.get("/")
async def index(if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The page."""
    return _answer(INDEX, if_none_match)


@router.get("/page/{name}")
async def file(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """A style sheet, a script, a font or a picture of the page."""
    return _answer(name, if_none_match)


def _answer(name: str, if_none_match: str | None) -> Response:
    found = page_files().get(name)
    if found is None:
        raise HTTPException(404, "The page has no such file")
    if if_none_match == found.headers["ETag"]:
        return Response(status_code=304, headers=found.headers)
    return Response(found.content, media_type=found.media_type, headers=found.headers)
