"""Which of the forms of an answer the caller wants (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

from shelfops_api.errors import Code, Problem


def preferred(accept: str | None, offers: Sequence[str]) -> str:
    """The media type among `offers` that `accept` likes best. Raises Problem where it likes none."""
    if accept is None or not accept.strip():
        return offers[0]
    ranges = [_parse(part) for part in accept.split(",")]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) <= 0:
        raise Problem(Code.NOT_ACCEPTABLE, f"This can be had as {', '.join(offers)}")
    return best


def _parse(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    given = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
    try:
        return name, min(max(float(given), 0.0), 1.0)
    except ValueError:
        return name, 0.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """That of the most specific range that matches; 0 where none does."""
    for pattern in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        found = [quality for name, quality in ranges if name == pattern]
        if found:
            return max(found)
    return 0.0
