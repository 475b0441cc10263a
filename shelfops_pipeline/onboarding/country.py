"""Whose public holidays count: a guess from countries, regions and cities in the tables, and from closed days."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.meaning import Reading
from shelfops_pipeline.onboarding.shape import Shape
from shelfops_pipeline.onboarding.words import Meaning, listed, tokens

AS_ASKED: Final = "as asked for"
_MOST_OF: Final = 0.8
_CLOSED: Final = 0.15
_LEAST_CLOSED: Final = 5
_LEAST_AGREEMENT: Final = 0.75
_CLEARLY: Final = 0.05
_CURRENCIES: Final = {
    "chf": "CH", "gbp": "GB", "pln": "PL", "czk": "CZ", "huf": "HU", "sek": "SE", "nok": "NO", "dkk": "DK", "ron": "RO",
    "brl": "BR", "mxn": "MX", "jpy": "JP", "inr": "IN", "cad": "CA", "aud": "AU", "nzd": "NZ", "zar": "ZA", "clp": "CL",
}  # fmt: skip


@dataclass(frozen=True)
class Country:
    """A country, and its regions by the value of a store attribute."""

    code: str
    why: str
    attribute: str | None = None
    """The column of the stores that names regions."""
    regions: tuple[tuple[str, str], ...] = ()
    """(value in that column, code of the region)."""


def known_country(code: str, region: str | None) -> Country:
    """The country that was asked for. Raises DataError when the `holidays` package does not know it or its region."""
    import holidays

    countries = holidays.list_supported_countries(include_aliases=False)
    if code.upper() not in countries:
        raise DataError(f"--country {code}: the holidays package knows no such country; use a code such as AT or FR")
    if region is not None and region not in countries[code.upper()]:
        raise DataError(f"--region {region}: not a region of {code}; known: {', '.join(countries[code.upper()])}")
    return Country(code.upper(), AS_ASKED)


def guess_country(sales: Reading, stores: Reading | None, shape: Shape) -> Country | None:
    """The likeliest country, or None without good evidence."""
    tables = [reading for reading in (stores, sales) if reading is not None]
    for reading in tables:
        column = reading.column(Meaning.COUNTRY)
        if column is not None and (code := _named(_usual(column))) is not None:
            return Country(code, f"{column.name} in {reading.table.name}")
    texts = [] if stores is None else [c for c in stores.table.columns.values() if _is_text(c)]
    region = None if stores is None else stores.column(Meaning.REGION)
    found = _by_regions([*texts, *([region] if region is not None and region.n_distinct == 1 else [])])
    shops = [c for c in (sales.column(Meaning.STORE), sales.column(Meaning.CITY)) if c is not None and _is_text(c)]
    return (
        found
        or _by_cities([*texts, *shops])
        or _by_currency(tables)
        or _by_flagged_days(sales, shape)
        or _by_closed_days(sales, shape)
    )


def _is_text(column: Column) -> bool:
    return column.dates is None and not column.is_number and column.n_distinct > 1


def _usual(column: Column) -> list[str]:
    """The value of most rows, or all values."""
    counts = column.text.value_counts()
    return [str(counts.index[0])] if counts.iloc[0] >= _MOST_OF * column.present else sorted(column.values)


def _named(values: Iterable[str]) -> str | None:
    """The code of the one country that all of `values` name."""
    import holidays

    codes = holidays.list_supported_countries(include_aliases=False)
    found = set()
    for value in values:
        names = [code for code, words in listed("countries").items() if _folded(value) in words]
        found |= set(names) or ({value.upper()} & set(codes)) or {""}
    return found.pop() if len(found) == 1 and found != {""} else None


@lru_cache(maxsize=1)
def _regions() -> dict[str, dict[str, str]]:
    """Folded name of a region -> its code, by country; codes of one letter say too little."""
    import holidays

    out: dict[str, dict[str, str]] = {}
    for code, regions in holidays.list_supported_countries(include_aliases=False).items():
        aliases = getattr(holidays, code).get_subdivision_aliases()
        names = {_folded(name): region for region in regions for name in (region, *aliases.get(region, ()))}
        out[code] = {name: region for name, region in names.items() if len(name) > 1 and not name.isdigit()}
    return out


def _by_regions(columns: Sequence[Column]) -> Country | None:
    fits: list[tuple[float, int, str, Column]] = []
    for column in columns:
        values = [_folded(value) for value in column.values]
        for code, names in _regions().items():
            share = sum(value in names for value in values) / len(values)
            fits.append((share, sum(len(v) for v in values if v in names), code, column))
    if not fits:
        return None
    share, _, code, column = max(fits, key=lambda fit: fit[:2])
    rivals = [fit for fit in fits if fit[2] != code and fit[3] is column and fit[0] >= share]
    if share < _MOST_OF or rivals:
        return None
    names = _regions()[code]
    regions = tuple((v, names[_folded(v)]) for v in sorted(column.values) if _folded(v) in names)
    return Country(code, f"regions in {column.name}", column.name, regions)


def _by_cities(columns: Sequence[Column]) -> Country | None:
    for column in columns:
        values = [_folded(value) for value in column.values]
        shares = {code: sum(v in words for v in values) / len(values) for code, words in listed("cities").items()}
        best = max(shares, key=lambda code: shares[code])
        if shares[best] >= 0.5:
            return Country(best, f"cities in {column.name}")
    return None


def _by_currency(tables: Sequence[Reading]) -> Country | None:
    """A currency that one country has, in the name of a column or in a column of its own."""
    for reading in tables:
        column = reading.column(Meaning.CURRENCY)
        names = [*reading.table.columns, *(column.values if column is not None and column.n_distinct == 1 else ())]
        found = {(word, _CURRENCIES[word]) for name in names for word in tokens(name) if word in _CURRENCIES}
        if len(found) == 1:
            word, code = found.pop()
            return Country(code, f"{word.upper()} in {reading.table.name}")
    return None


def _by_closed_days(sales: Reading, shape: Shape) -> Country | None:
    """The country on whose holidays the stores are closed."""
    code, share = _with_holidays_on(*_closed_days(sales, shape), shape)
    return None if code is None else Country(code, f"closed on {share} of its holidays, and on few other days")


def _by_flagged_days(sales: Reading, shape: Shape) -> Country | None:
    """The country whose holidays a column of the sales marks."""
    flag, dates = sales.column(Meaning.HOLIDAY), sales.column(Meaning.DATE)
    if shape.grain is not Grain.DAY or flag is None or not flag.is_flag or dates is None or dates.dates is None:
        return None
    every = pd.Series(flag.flags).groupby(dates.dates).max()
    code, share = _with_holidays_on(_days(every[every == 1]), _days(every), shape)
    return None if code is None else Country(code, f"{flag.name} marks {share} of its holidays, and few other days")


def _with_holidays_on(
    marked: set[np.datetime64], among: set[np.datetime64], shape: Shape
) -> tuple[str, str] | tuple[None, None]:
    """The one country most of whose holidays `among` the days are `marked`, and few other days; and how many."""
    import holidays

    if len(marked) < _LEAST_CLOSED:
        return None, None
    years = range(shape.first.year, shape.last.year + 1)
    agreement: dict[str, float] = {}
    for code in holidays.list_supported_countries(include_aliases=False):
        days = {np.datetime64(day) for day in holidays.country_holidays(code, years=years)} & among
        agreement[code] = 2 * len(days & marked) / (len(days) + len(marked))
    ranked = sorted(agreement, key=lambda code: -agreement[code])
    best, second = agreement[ranked[0]], agreement[ranked[1]]
    if best < _LEAST_AGREEMENT or best - second < _CLEARLY:
        return None, None
    return ranked[0], f"{100 * best:.0f} %"


def _closed_days(sales: Reading, shape: Shape) -> tuple[set[np.datetime64], set[np.datetime64]]:
    """Days on which nearly nothing was sold though the weekday is one of trade; and all days of such weekdays."""
    dates = sales.column(Meaning.DATE)
    measure = next((c for m in (Meaning.UNITS, Meaning.REVENUE) if (c := sales.column(m)) is not None), None)
    if shape.grain is not Grain.DAY or not sales.table.whole or dates is None or measure is None:
        return set(), set()
    frame = pd.DataFrame({"day": dates.dates, "sold": np.clip(np.nan_to_num(np.asarray(measure.numbers)), 0, None)})
    by_day = frame.groupby("day")["sold"].sum().reindex(pd.date_range(shape.first, shape.last), fill_value=0.0)
    usual: Any = by_day.groupby(by_day.index.to_series().dt.dayofweek).transform("median")
    trade = by_day[usual > 0]
    closed = trade[trade < _CLOSED * usual[usual > 0]]
    return _days(closed), _days(trade)


def _days(series: "pd.Series[Any]") -> set[np.datetime64]:
    return set(series.index.to_numpy("datetime64[D]"))


def _folded(text: str) -> str:
    return "_".join(tokens(text)) or text.lower()
