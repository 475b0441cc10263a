"""The time zone of a country's larger part."""

from functools import lru_cache
from zoneinfo import available_timezones


def zone_of(country: str | None) -> str:
    """An IANA zone for timestamps with an offset; UTC where the country is not known."""
    return "UTC" if country is None else _zones().get(country, "UTC")


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """The first zone of each country in the time zone database."""
    from importlib.resources import files

    known = available_timezones()
    table = files("tzdata").joinpath("zoneinfo/zone.tab").read_text("utf-8")
    zones: dict[str, str] = {}
    for line in table.splitlines():
        cells = line.split("\t")
        if not line.startswith("#") and len(cells) > 2 and cells[2] in known:
            zones.setdefault(cells[0], cells[2])
    return zones
