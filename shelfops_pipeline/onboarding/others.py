"""What the tables beside the sales are: stores, items, suppliers, stock, plans, things known afterwards, holidays."""

from dataclasses import replace
from typing import Any, Final

import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, STORE_ID
from shelfops_pipeline.data.source import SUPPLIER_ID
from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.content import share_known
from shelfops_pipeline.onboarding.findings import Finding, Role
from shelfops_pipeline.onboarding.meaning import Choice, Reading, read_names
from shelfops_pipeline.onboarding.plans import dated
from shelfops_pipeline.onboarding.reference import inventory, reference
from shelfops_pipeline.onboarding.sample import Sample
from shelfops_pipeline.onboarding.words import Meaning, is_about

_KNOWN: Final = 0.5
_IN_SALES: Final = 0.8
_KEY: Final = 0.95
_FEW_TWICE: Final = 2
_LEAST_IDS: Final = 2
_SMALL: Final = 100


def judge(table: Sample, sales: Reading) -> Finding:
    """The role of a table beside the sales, with columns that can be read throughout."""
    return _readable(_judged(table, sales))


def _judged(table: Sample, sales: Reading) -> Finding:
    reading = _ids_by_values(_dates_by_content(read_names(table)), sales)
    if Meaning.ON_HAND in reading.choices:
        return inventory(reading)
    if Meaning.UNTIL in reading.choices and Meaning.DATE in reading.choices and _is_planned(reading):
        return dated(reading, sales)
    if not table.n:
        return Finding(reading, Role.UNUSED, "no rows")
    key, why = _key(reading, sales)
    if key is not None and not reading.table.columns[reading.choices[key].column].is_key:
        return Finding(reading, Role.UNUSED, f"{why}, but some appear twice: make `{reading.name(key)}` unique")
    if key is not None:
        return reference(reading, key, why)
    if Meaning.DATE in reading.choices:
        return dated(reading, sales)
    columns = ", ".join(list(table.columns)[:6])
    return Finding(reading, Role.UNUSED, f"no dates, and no key that the sales know ({columns})")


def _dates_by_content(reading: Reading) -> Reading:
    """A first and a last day where names do not tell them: the one is never after the other."""
    dates = [c for c in reading.free() if c.dates is not None]
    if Meaning.DATE not in reading.choices and dates:
        first = min(dates, key=lambda c: c.dates.min() if c.dates is not None else pd.Timestamp.max)
        reading = reading.taking(Choice(first.name, Meaning.DATE, 0.5, "dates"))
    begin = reading.column(Meaning.DATE)
    if begin is None or begin.dates is None or Meaning.UNTIL in reading.choices:
        return reading
    for column in reading.free():
        if column.dates is not None and _ends(column.dates, begin.dates):
            return reading.taking(Choice(column.name, Meaning.UNTIL, 0.5, f"dates that never lie before {begin.name}"))
    return reading


def _ends(last: "pd.Series[Any]", first: "pd.Series[Any]") -> bool:
    """Is it never before the first day? It may be missing: for ever."""
    return bool(last.notna().any() and ((last >= first) | last.isna()).all())


def _is_planned(reading: Reading) -> bool:
    """Prices or promotions from a day to a day, rather than attributes that are valid so long."""
    prices = Meaning.PRICE in reading.choices and Meaning.CATEGORY not in reading.choices
    return prices or Meaning.PROMOTION in reading.choices or is_about(reading.table.name, "promotions")


def _readable(finding: Finding) -> Finding:
    """Without the columns of numbers that hold something else: reference tables are read whole or not at all."""
    if finding.role in (Role.UNUSED, Role.INVENTORY):
        return finding
    columns = finding.table.columns
    bad = {name: columns[c] for name, c in finding.columns.items() if isinstance(c, str) and columns[c].unreadable}
    if (date := finding.columns.get(DATE)) is not None and columns[str(date)].present < finding.table.n:
        bad[DATE] = columns[str(date)]
    if not bad:
        return finding
    first = next(iter(bad.values()))
    told = f"`{first.name}` has {first.unreadable or first.missing} cells that cannot be read"
    if {DATE, STORE_ID, ITEM_ID, SUPPLIER_ID} & set(bad):
        return Finding(finding.reading, Role.UNUSED, told)
    kept = {name: column for name, column in finding.columns.items() if name not in bad}
    return replace(finding, columns=kept, questions=(*finding.questions, f"{told}; it is left out"))


def _ids_by_values(reading: Reading, sales: Reading) -> Reading:
    """Store and item columns by their values, where no name tells them."""
    for meaning in (Meaning.STORE, Meaning.ITEM):
        sold, named = sales.column(meaning), reading.column(meaning)
        if sold is None:
            reading = reading.without([meaning])
            continue
        if named is not None and share_known(named, sold) > 0:
            continue
        others = (Meaning.CATEGORY, Meaning.REGION, Meaning.CITY, Meaning.LABEL)
        pool = [*reading.free(), *(reading.column(other) for other in others)]
        fits = [(_shared(c, sold), c.name) for c in pool if c is not None and _may_be_id(c, sold)]
        best = max(fits, default=(0.0, ""))
        if best[0] >= _IN_SALES:
            why = f"its values are those of {sold.name} in {sales.table.name}"
            reading = reading.taking(Choice(best[1], meaning, 0.5 + 0.3 * best[0], why))
    return reading


def _shared(column: Column, sold: Column) -> float:
    return max(share_known(column, sold), share_known(sold, column))


def _may_be_id(column: Column, sold: Column) -> bool:
    if column.dates is not None or column.n_distinct < _LEAST_IDS or (column.is_number and not column.is_integer):
        return False
    # Small numbers are everywhere: where the ids are 1, 2, 3, ... only a key or the ids themselves will do.
    small = sold.is_integer and bool((sold.finite < _SMALL).all())
    return not column.is_flag and (not small or column.is_key or column.values == sold.values)


def _least_keys(column: Column, dated: bool) -> float:
    """Different values that make a column a key, but for slips: in a short table a few are a large share."""
    n = len(column)
    return _KEY * n if dated else max(min(_KEY * n, n - _FEW_TWICE), n / 2)


def _key(reading: Reading, sales: Reading) -> tuple[Meaning | None, str]:
    """The meaning whose column is the key of the table: one row per store, item or supplier."""
    for meaning in (Meaning.ITEM, Meaning.STORE):
        column, sold = reading.column(meaning), sales.column(meaning)
        if column is None or sold is None or column.n_distinct < _least_keys(column, Meaning.DATE in reading.choices):
            continue
        share = share_known(sold, column)
        if share >= _KNOWN or (share > 0 and Meaning.DATE not in reading.choices):
            return meaning, f"one row per {column.name}; has {100 * share:.0f} % of those sold"
    column = reading.column(Meaning.SUPPLIER)
    if column is not None and column.n_distinct >= _KEY * len(column) and Meaning.DATE not in reading.choices:
        return Meaning.SUPPLIER, f"one row per {column.name}"
    return None, ""
