"""Public holidays as calendar tables, by the `holidays` package."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import pandas as pd

from shelfops_pipeline.data.source import EVERYWHERE
from shelfops_pipeline.data.tables import calendar
from shelfops_pipeline.errors import DataError

AHEAD: Final = timedelta(days=400)
"""How far past the last sale calendars reach: further than any horizon of days, and a year of weeks."""


def public_holidays(
    country: str,
    region: str | None,
    first: date,
    last: date,
    *,
    scope: str = EVERYWHERE,
    categories: Sequence[str] = ("public",),
) -> pd.DataFrame:
    """The calendar table of a country's (or its region's) holidays from `first` to 400 days after `last`.

    `kind` is the category. Raises DataError for a country, region or category that the package does not know.
    """
    import holidays  # 0.3 s of imports that few sources need

    until = last + AHEAD
    rows: list[tuple[date, str, str]] = []
    for category in categories:
        try:
            days = holidays.country_holidays(
                country, subdiv=region, years=range(first.year, until.year + 1), categories=(category,)
            )
        except NotImplementedError as error:
            known = holidays.list_supported_countries()
            choice = known[country] if country in known else sorted(known)
            raise DataError(f"holidays: {error}; known: {', '.join(map(str, choice)) or 'none'}") from error
        except ValueError as error:
            raise DataError(f"holidays of {country}: {error} Category: {category}") from error
        rows += [(day, str(name), category) for day, name in days.items() if first <= day <= until]
    dates, names, kinds = zip(*sorted(rows), strict=True) if rows else ((), (), ())
    return calendar(list(dates), [scope] * len(rows), list(names), list(kinds))
