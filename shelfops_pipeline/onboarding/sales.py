"""Which table holds the sales, and which of its columns is the store, the item, the quantity and the price."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from shelfops_pipeline.data.calendars import AHEAD
from shelfops_pipeline.data.tables import EARLIEST
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.catalog import wide_columns
from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.content import determines, id_likeness, product, repeats, share_known, spread_within
from shelfops_pipeline.onboarding.guess import flags_and_prices, ids_by_label
from shelfops_pipeline.onboarding.meaning import MEASURES, Choice, Reading, read_names
from shelfops_pipeline.onboarding.sample import Sample
from shelfops_pipeline.onboarding.words import LEAST_FIT, Meaning, is_about, name_fit

BY_CONTENT: Final = "ids by their content"
_CLOSE: Final = 1.0
_MANY: Final = 60
_REPEATED: Final = 0.02
_LARGE: Final = 500
_PRICE_SPREAD: Final = 0.35
_BY_CONTENT: Final = 0.5


def find_sales(tables: Sequence[Sample], wanted: str | None = None) -> Reading:
    """The table of sales, with every column that could be told.

    Raises DataError when no table looks like sales, when several do, or when it is a wide one.
    """
    _refuse_wide(tables, wanted)
    readings = [_with_measures(read_names(table)) for table in tables]
    if wanted is not None:
        chosen = [r for r in readings if wanted in (r.table.name, *(path.name for path in r.table.files))]
        if not chosen:
            raise DataError(f"--sales {wanted}: no such table; found: {', '.join(r.table.name for r in readings)}")
        if not _may_be_sales(chosen[0]):
            raise DataError(f"--sales {wanted}: {_what_is_missing(chosen[0])}")
        return _complete(chosen[0], [t for t in tables if t is not chosen[0].table])
    ranked = sorted(((score(r), r) for r in readings if _may_be_sales(r)), key=lambda pair: -pair[0])
    if not ranked:
        seen = "; ".join(f"{r.table.name}: {_what_is_missing(r)}" for r in readings[:6])
        raise DataError(
            f"no table looks like sales, which has a date and a quantity or turnover in each row. Seen: {seen}"
        )
    rivals = [r.table.name for points, r in ranked[1:] if ranked[0][0] - points < _CLOSE]
    if rivals:
        names = " and ".join([ranked[0][1].table.name, *rivals])
        raise DataError(f"{names} all look like sales; say which one it is with --sales FILE")
    best = ranked[0][1]
    return _complete(best, [t for t in tables if t is not best.table])


def score(reading: Reading) -> float:
    """How much a table looks like that of the sales."""
    points = 0.4 * np.log10(max(reading.table.rows, 1))
    named = [reading.choices[m] for m in MEASURES if m in reading.choices]
    points += 3 * max((c.confidence for c in named), default=0.0)
    points += sum(1.0 for m in (Meaning.STORE, Meaning.ITEM, Meaning.TICKET) if m in reading.choices)
    points += 2.0 * is_about(reading.table.name, "sales") - 2.0 * is_about(reading.table.name, "other")
    points -= 3.0 * (Meaning.ON_HAND in reading.choices) + 1.0 * (Meaning.UNTIL in reading.choices)
    date = reading.column(Meaning.DATE)
    return float(points - 3.0 * (date is not None and date.n_distinct == len(date)))


def _refuse_wide(tables: Sequence[Sample], wanted: str | None) -> None:
    for table in tables:
        periods = wide_columns(list(table.columns))
        if periods and wanted in (None, table.name):
            ids = [name for name in table.columns if name not in periods][:4]
            raise DataError(
                f"{table.name}: has a column per period ({periods[0]}, {periods[1]}, ...); make it one row per period: "
                f'pandas.melt(frame, id_vars={ids}, var_name="date", value_name="units"), and onboard again'
            )


def _may_be_sales(reading: Reading) -> bool:
    return Meaning.DATE in reading.choices and any(m in reading.choices for m in MEASURES)


def _what_is_missing(reading: Reading) -> str:
    columns = ", ".join(list(reading.table.columns)[:8])
    if Meaning.DATE in reading.choices:
        return f"no quantity or turnover that can be read ({columns})"
    parts = [c.name for c in reading.table.columns.values() if c.is_integer and _is_period(c)]
    if len(parts) > 1:
        return f"no column of dates: join {' and '.join(f'`{name}`' for name in parts[:2])} into one such as 2024-W07"
    return f"no column of dates that can be read ({columns})"


def _is_period(column: Column) -> bool:
    return name_fit(column.name, Meaning.PERIOD) >= LEAST_FIT or name_fit(column.name, Meaning.DATE) >= LEAST_FIT


def _with_measures(reading: Reading) -> Reading:
    """The date by content where no name tells it, and the measures."""
    if Meaning.DATE not in reading.choices:
        dates = [column for column in reading.free() if column.dates is not None]
        if dates:
            first = max(dates, key=lambda c: c.present)
            why = "the only dates" if len(dates) == 1 else f"dates, as {len(dates) - 1} more columns"
            others = tuple(c.name for c in dates if c is not first)
            reading = reading.taking(Choice(first.name, Meaning.DATE, 0.9 if not others else 0.5, why, others))
    if Meaning.DATE not in reading.choices:
        return reading
    if Meaning.ON_HAND not in reading.choices:  # numbers beside a count of stock may be anything
        reading = _by_product(_by_kind(reading))
    return _settle_sales(reading)


def _candidates(reading: Reading) -> list[Column]:
    """Free columns that may be measured: numbers that vary and are neither flags nor ids."""
    return [
        column
        for column in reading.free()
        if column.is_number
        and not column.is_flag
        and column.n_distinct > 2
        and id_likeness(column) < _BY_CONTENT
        and not (column.is_integer and column.is_key and bool((np.diff(column.finite) > 0).all()))
    ]


def _by_kind(reading: Reading) -> Reading:
    """A quantity, turnover and price from numbers without telling names, where none is named."""
    if any(m in reading.choices for m in (*MEASURES, Meaning.PRICE, Meaning.CUSTOMERS, Meaning.DISCOUNT)):
        return reading
    free = _candidates(reading)
    if not free or any(m in reading.choices for m in (Meaning.HOLIDAY, Meaning.COST)):
        return reading
    if (found := product(free)) is not None:
        return reading.taking(*_product_choices(found, reading))
    whole, parts = [c for c in free if c.is_integer], [c for c in free if not c.is_integer]
    first, meaning, why = (
        (whole[0], Meaning.UNITS, "whole numbers that vary")
        if whole
        else (parts[0], Meaning.REVENUE, "numbers that vary")
    )
    rivals = tuple(c.name for c in free if c is not first and c.is_integer == first.is_integer)
    return reading.taking(Choice(first.name, meaning, 0.4 if rivals else 0.5, why, rivals))


def _by_product(reading: Reading) -> Reading:
    """Price, quantity and turnover told apart by one being the product of the others."""
    if all(meaning in reading.choices for meaning in (Meaning.UNITS, Meaning.PRICE, Meaning.REVENUE)):
        return reading
    named = [c for m in (*MEASURES, Meaning.PRICE) if (c := reading.column(m)) is not None]
    found = product([*named, *_candidates(reading)])
    return reading if found is None else reading.taking(*_product_choices(found, reading))


def _product_choices(found: tuple[Column, Column, Column], reading: Reading) -> list[Choice]:
    a, b, revenue = found
    if reading.name(Meaning.PRICE) == a.name or (reading.name(Meaning.UNITS) == b.name):
        price, units = a, b
    elif reading.name(Meaning.PRICE) == b.name or reading.name(Meaning.UNITS) == a.name:
        price, units = b, a
    elif a.is_integer != b.is_integer:
        units, price = (a, b) if a.is_integer else (b, a)
    else:
        groups = [c for c in reading.table.columns.values() if id_likeness(c) >= _BY_CONTENT]
        widths = [min((spread_within(c, g) for g in groups), default=1.0) for c in (a, b)]
        price, units = (a, b) if widths[0] < widths[1] else (b, a)
    why = f"{revenue.name} = {units.name} × {price.name}"
    pairs = ((units, Meaning.UNITS), (price, Meaning.PRICE), (revenue, Meaning.REVENUE))
    return [Choice(column.name, meaning, 0.8, why) for column, meaning in pairs]


def _settle_sales(reading: Reading) -> Reading:
    """`sales` may be units or turnover; what else there is, and the numbers, decide."""
    choice = reading.choices.get(Meaning.SALES)
    if choice is None:
        return reading
    column, rest = reading.table.columns[choice.column], reading.without([Meaning.SALES])
    if Meaning.UNITS in rest.choices and Meaning.REVENUE in rest.choices:
        return rest
    if Meaning.UNITS in rest.choices:
        return rest.taking(replace(choice, meaning=Meaning.REVENUE, why="sales beside units"))
    if Meaning.REVENUE in rest.choices:
        return rest.taking(replace(choice, meaning=Meaning.UNITS, why="sales beside a turnover"))
    large = float(np.median(np.abs(column.finite))) >= _LARGE if len(column.finite) else False
    money = large or float((column.finite != np.round(column.finite)).mean()) > _BY_CONTENT
    why = "sales, in large or broken numbers" if money else "sales, in small whole numbers"
    meaning = Meaning.REVENUE if money else Meaning.UNITS
    return rest.taking(replace(choice, meaning=meaning, confidence=min(choice.confidence, 0.6), why=why))


def _complete(reading: Reading, others: Sequence[Sample]) -> Reading:
    """Store and item by content, where no name tells them and the rows call for one."""
    reading = ids_by_label(_ticket_by_content(_possible_dates(reading)))
    date = reading.column(Meaning.DATE)
    if date is None:
        return reading
    keys = [(t, c) for t in others for c in t.columns.values() if c.is_key and c.dates is None]
    pool = [c for c in reading.free() if id_likeness(c) >= 0.3 and name_fit(c.name, Meaning.PERIOD) < LEAST_FIT]
    joined = {
        c.name: best
        for c in pool
        if (best := max(((share_known(c, key), t.name) for t, key in keys), default=None)) is not None
        and best[0] >= 0.8
    }
    known = [c for m in (Meaning.STORE, Meaning.ITEM) if (c := reading.column(m)) is not None]
    category = reading.column(Meaning.CATEGORY)
    crowded = repeats([date, *known]) > _REPEATED
    roots = _roots([c for c in pool if joined.get(c.name) or crowded], known)
    assigned = _assign(roots, reading, joined)
    spare = tuple(c.name for c in roots if c.name not in joined and c not in [column for _, column in assigned])
    for meaning, column in assigned:
        where = joined.get(column.name)
        why = f"its values are those of {where[1]}" if where else BY_CONTENT
        rivals = spare if not where else ()
        reading = reading.taking(Choice(column.name, meaning, 0.7 if where else 0.4, why, rivals))
    if Meaning.ITEM not in reading.choices and category is not None and crowded:
        why = "a category, and no column is finer"
        reading = reading.taking(Choice(category.name, Meaning.ITEM, 0.6, why))
    return flags_and_prices(reading)


def _possible_dates(reading: Reading) -> Reading:
    """Without those that are slips: one of 1899 or 2099 would stretch the span by a century."""
    date = reading.column(Meaning.DATE)
    if date is None or date.dates is None:
        return reading
    possible = date.dates.between(pd.Timestamp(EARLIEST), pd.Timestamp.now() + AHEAD)
    table = reading.table
    columns = table.columns | {date.name: replace(date, dates=date.dates.where(possible))}
    return replace(reading, table=replace(table, columns=columns))


def _roots(pool: list[Column], known: list[Column]) -> list[Column]:
    """Columns that follow from no other one: a category follows from its item, a region from its store."""
    pool = [c for c in pool if not any(determines(k, c) for k in known)]
    ranked = sorted(pool, key=lambda c: -c.n_distinct)
    out: list[Column] = []
    for column in ranked:
        if not any(determines(finer, column) for finer in out):
            out.append(column)
    return out


def _assign(
    roots: list[Column], reading: Reading, joined: dict[str, tuple[float, str]]
) -> list[tuple[Meaning, Column]]:
    """Which of the ids is the store's and which the item's: there are more items than stores."""
    missing = [m for m in (Meaning.STORE, Meaning.ITEM) if m not in reading.choices]
    told: list[tuple[Meaning, Column]] = []
    for meaning, topic in ((Meaning.STORE, "stores"), (Meaning.ITEM, "items")):
        match = next((c for c in roots if c.name in joined and is_about(joined[c.name][1], topic)), None)
        if meaning in missing and match is not None:
            told.append((meaning, match))
    roots = [c for c in roots if c not in [column for _, column in told]]
    missing = [m for m in missing if m not in [meaning for meaning, _ in told]]
    roots.sort(key=lambda c: (c.name not in joined, c.n_distinct))
    if not roots or not missing:
        return told
    if len(missing) == 1:
        return [
            *told,
            (missing[0], roots[0] if missing[0] is Meaning.STORE else max(roots, key=lambda c: c.n_distinct)),
        ]
    if len(roots) == 1:
        return [*told, (Meaning.ITEM if roots[0].n_distinct > _MANY else Meaning.STORE, roots[0])]
    two = sorted(roots[:2], key=lambda c: c.n_distinct)
    return [*told, (Meaning.STORE, two[0]), (Meaning.ITEM, two[1])]


def _ticket_by_content(reading: Reading) -> Reading:
    """Numbers of receipts: many, each of one day only, and rising. A `transactions` that is a count is none."""
    date, ticket = reading.column(Meaning.DATE), reading.column(Meaning.TICKET)
    if ticket is not None and date is not None and ticket.is_number and not determines(ticket, date):
        return reading.taking(replace(reading.choices[Meaning.TICKET], meaning=Meaning.CUSTOMERS))
    if ticket is not None or date is None:
        return reading
    for column in reading.free():
        many = 2 * date.n_distinct < column.n_distinct < 0.9 * len(column)
        if many and column.dates is None and not (column.is_number and not column.is_integer):
            rising = column.is_number and float((np.diff(column.finite) >= 0).mean()) > 0.9
            if rising and determines(column, date):
                return reading.taking(Choice(column.name, Meaning.TICKET, 0.5, "rising numbers, each of one day"))
    return reading
