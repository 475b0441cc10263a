"""Tables by date: plans, what is known only afterwards, and special days."""

from typing import Final, Literal

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, KIND, NAME, ON_PROMOTION, OPEN, PRICE, STORE_ID
from shelfops_pipeline.data.mapping import UNTIL, Constant
from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.findings import Columns, Finding, Role, mapped, unused
from shelfops_pipeline.onboarding.meaning import MEASURES, Reading
from shelfops_pipeline.onboarding.words import Meaning, is_about, is_promotion_price, slug

_NO_COVARIATES: Final = frozenset(
    (Meaning.DATE, Meaning.UNTIL, Meaning.STORE, Meaning.ITEM, Meaning.PERIOD, Meaning.CATEGORY, Meaning.SUPPLIER)
) | frozenset(MEASURES)
_MEANT_AHEAD: Final = (Meaning.PROMOTION, Meaning.PRICE, Meaning.OPEN, Meaning.HOLIDAY, Meaning.DISCOUNT)
_WEEK: Final = 7


def dated(reading: Reading, sales: Reading) -> Finding:
    """The finding on a table with dates: a plan, something known only afterwards, or a calendar."""
    date, until, sold = reading.column(Meaning.DATE), reading.column(Meaning.UNTIL), sales.column(Meaning.DATE)
    if date is None or sold is None or date.dates is None or sold.dates is None or date.dates.isna().all():
        return Finding(reading, Role.UNUSED, "no dates that can be read")
    if until is not None and _pattern(until) != _pattern(date):
        return Finding(reading, Role.UNUSED, f"`{date.name}` and `{until.name}` are written in different date formats")
    columns, asked = _listed_promotions(reading, covariates(reading), until)
    label = _special_day(reading)
    if label is not None and not {ON_PROMOTION, PRICE, OPEN} & set(columns):
        return _calendar(reading, label)
    if not columns:
        own = next((c for m in MEASURES if (c := reading.name(m)) is not None), None)
        what = f"`{own}` are sales, and only one table of sales is read" if own else "nothing beside dates and ids"
        return Finding(reading, Role.UNUSED, what)
    if until is None and by_week(date) and not by_week(sold):
        return Finding(reading, Role.UNUSED, "a row per week, but the sales are by day: add a column of its last day")
    return _plan_or_past(reading, columns, asked, sold.dates.max())


def _pattern(column: Column) -> str | None:
    return None if column.date_format is None else column.date_format.pattern


def by_week(column: Column) -> bool:
    """Are the dates whole weeks apart?"""
    days = np.unique(column.dates.dropna().to_numpy("datetime64[D]")) if column.dates is not None else np.empty(0)
    return len(days) > 1 and bool((np.diff(days).astype(int) % _WEEK == 0).all())


def _listed_promotions(reading: Reading, columns: Columns, until: Column | None) -> tuple[Columns, tuple[str, ...]]:
    """A table that lists promotions without saying yes or no: being in it is the flag."""
    flag, about = reading.column(Meaning.PROMOTION), is_about(reading.table.name, "promotions")
    named = flag is not None and flag.name not in columns.values() and flag.present == len(flag)
    listed = named or ((about or flag is not None) and (until is not None or not columns))
    prices = [name for name, c in columns.items() if name == PRICE or is_promotion_price(str(c))]
    special = [reading.table.columns[str(columns[name])] for name in prices if is_promotion_price(str(columns[name]))]
    # Of a plan of periods, a price of promotions in every row says that each is one.
    listed = listed or (until is not None and any(c.present == len(c) for c in special))
    if ON_PROMOTION in columns or not listed:
        return columns, ()
    told = tuple(f"`{columns.pop(name)}` is left out: it holds during promotions only" for name in prices)
    return {ON_PROMOTION: Constant(value=1.0), **columns}, told


def _plan_or_past(reading: Reading, columns: Columns, asked: tuple[str, ...], last_sale: pd.Timestamp) -> Finding:
    keys = mapped(reading, {DATE: Meaning.DATE, UNTIL: Meaning.UNTIL, STORE_ID: Meaning.STORE, ITEM_ID: Meaning.ITEM})
    dated = [c.dates for m in (Meaning.DATE, Meaning.UNTIL) if (c := reading.column(m)) and c.dates is not None]
    ends = [dates.max() for dates in dated if dates.notna().any()]
    ahead = max(ends) > last_sale
    far = f"reaches to {max(ends):%Y-%m-%d}" + (", beyond the last sale" if ahead else "")
    meant = any(meaning in reading.choices for meaning in _MEANT_AHEAD) or ON_PROMOTION in columns or UNTIL in keys
    if not ahead and not meant:
        keys.pop(UNTIL, None)
        return Finding(reading, Role.PAST, "what was measured, up to the sales' end", keys | columns, questions=asked)
    if not meant:
        names = ", ".join(f"`{column}`" for column in columns.values())
        asked = (
            *asked,
            f"{names}: known in advance, as it reaches beyond the last sale? If measured, move it to `past`",
        )
    return Finding(reading, Role.PLAN, far, keys | columns, _absence(reading, columns), asked)


def _absence(reading: Reading, columns: Columns) -> Literal["zero", "missing"]:
    """A list of promotions has no row for the days without one."""
    if PRICE in columns:
        return "missing"
    flag = reading.column(Meaning.PROMOTION)
    always = flag is not None and flag.is_flag and bool((flag.flags == 1).all())
    listed = always or isinstance(columns.get(ON_PROMOTION), Constant)
    return "zero" if listed or Meaning.UNTIL in reading.choices else "missing"


def covariates(reading: Reading) -> Columns:
    """Every number and flag of a table, by the name under which the models see it."""
    out: Columns = {}
    named = {choice.column: meaning for meaning, choice in reading.choices.items()}
    for column in reading.table.columns.values():
        meaning = named.get(column.name)
        if meaning in _NO_COVARIATES or column.dates is not None or not column.present or column.unreadable:
            continue
        if meaning is Meaning.PROMOTION and (column.is_flag or (column.is_integer and (column.finite >= 0).all())):
            out[ON_PROMOTION] = column.name
        elif meaning is Meaning.PRICE:
            out[PRICE] = column.name
        elif meaning is Meaning.OPEN:
            out[OPEN] = column.name
        elif (column.is_number or column.is_flag) and column.n_distinct > 1 and not _is_row_number(column):
            out[unused(slug(column.name), out)] = column.name
    return out


def _is_row_number(column: Column) -> bool:
    return column.is_integer and column.is_key and bool((np.abs(np.diff(column.finite)) == 1).all())


def _special_day(reading: Reading) -> str | None:
    """The column of names of special days, where the table is a list of them."""
    date = reading.column(Meaning.DATE)
    if date is None or Meaning.ITEM in reading.choices or date.n_distinct < 0.5 * len(date):
        return None
    for meaning in (Meaning.HOLIDAY, Meaning.LABEL):
        column = reading.column(meaning)
        if column is not None and not column.is_number and not column.is_flag and column.present:
            return column.name
    texts = [c.name for c in reading.free() if c.dates is None and not c.is_number and not c.is_flag and c.present]
    numbers = [c for c in reading.free() if c.is_number]
    return texts[0] if texts and not numbers and is_about(reading.table.name, "holidays") else None


def _calendar(reading: Reading, label: str) -> Finding:
    columns: Columns = {DATE: reading.choices[Meaning.DATE].column, NAME: label}
    kind = reading.column(Meaning.KIND)
    if kind is not None and not kind.is_number and kind.name != label:
        columns[KIND] = kind.name
    asked: tuple[str, ...] = ()
    if Meaning.STORE in reading.choices or Meaning.REGION in reading.choices:
        asked = ("its days are taken for all stores; `scope` (`<store attribute>:<value>`) can narrow them",)
    return Finding(reading, Role.CALENDAR, f"special days, called by {label}", columns, questions=asked)
