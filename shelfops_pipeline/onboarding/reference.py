"""Tables with one row per store, item or supplier, and counts of stock."""

import re
from typing import Final

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    ON_HAND,
    ON_ORDER,
    PRICE,
    STORE_ID,
)
from shelfops_pipeline.data.mapping import Constant
from shelfops_pipeline.data.source import (
    CASE_PACK,
    CATEGORY,
    COST,
    CUTOFF_HOUR,
    MINIMUM_ORDER,
    ORDER_WEEKDAYS,
    SHELF_LIFE_DAYS,
    SUPPLIER_ID,
)
from shelfops_pipeline.onboarding.findings import Columns, Finding, Role, mapped, unused
from shelfops_pipeline.onboarding.meaning import Reading
from shelfops_pipeline.onboarding.words import Meaning, slug

_ATTRIBUTES: Final = 12
_WEEKDAYS: Final = re.compile(r"(?:(?:[0-6]|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)[\s,;/|]*)+")
_FEW: Final = 20
_SHARED: Final = 0.7
_CODES: Final = 30


def reference(reading: Reading, key: Meaning, why: str) -> Finding:
    """The finding on a table of which `key` is the key."""
    if key is Meaning.SUPPLIER:
        told = {SUPPLIER_ID: Meaning.SUPPLIER, ORDER_WEEKDAYS: Meaning.ORDER_DAYS, CUTOFF_HOUR: Meaning.CUTOFF}
        columns = mapped(reading, told)
        days = reading.column(Meaning.ORDER_DAYS)
        if days is None or all(_WEEKDAYS.fullmatch(text.lower()) for text in days.values):
            return Finding(reading, Role.SUPPLIERS, why, columns, questions=_elsewhere(reading, columns))
        del columns[ORDER_WEEKDAYS]
        asked = f"`{days.name}` ({days.example}) is left out: write order days as 0,3 or Mon,Thu (Monday is 0)"
        return Finding(reading, Role.SUPPLIERS, why, columns, questions=(asked, *_elsewhere(reading, columns)))
    if key is Meaning.STORE:
        columns = mapped(reading, {STORE_ID: Meaning.STORE})
        return Finding(reading, Role.STORES, why, columns | _attributes(reading, set(columns.values())))
    told = {
        ITEM_ID: Meaning.ITEM,
        CATEGORY: Meaning.CATEGORY,
        SUPPLIER_ID: Meaning.SUPPLIER,
        COST: Meaning.COST,
        PRICE: Meaning.PRICE,
        CASE_PACK: Meaning.CASE_PACK,
        MINIMUM_ORDER: Meaning.MINIMUM_ORDER,
        SHELF_LIFE_DAYS: Meaning.SHELF_LIFE,
    }
    columns = mapped(reading, told)
    attributes = _attributes(reading, set(columns.values()))
    if CATEGORY not in columns and attributes:
        first = next(iter(attributes))  # the likes of an item are those of its category: take the likeliest
        attributes = {CATEGORY if name == first else name: column for name, column in attributes.items()}
    return Finding(reading, Role.ITEMS, why, columns | attributes)


def _elsewhere(reading: Reading, columns: Columns) -> tuple[str, ...]:
    """What is said of suppliers, and is read of stock or items only."""
    kept = {*columns.values(), reading.name(Meaning.LABEL), reading.name(Meaning.ORDER_DAYS)}
    numbers = [f"`{c.name}`" for c in reading.table.columns.values() if c.is_number and c.name not in kept]
    if not numbers:
        return ()
    return (
        f"not used: {', '.join(numbers)}. A lead time stands in the table of stock (`lead_time_days`), "
        "a pack and a minimum order in that of items, both in units, not in money",
    )


def _attributes(reading: Reading, taken: set[str | Constant]) -> Columns:
    """Texts that several rows share, under their own names."""
    out: Columns = {}
    for column in reading.table.columns.values():
        shared = 1 < column.n_distinct < (column.present if column.present < _FEW else _SHARED * column.present)
        text = column.dates is None and (not column.is_number or (column.is_integer and column.n_distinct <= _CODES))
        if column.name not in taken and shared and text and len(out) < _ATTRIBUTES:
            out[unused(slug(column.name), out)] = column.name
    return out


def inventory(reading: Reading) -> Finding:
    """The finding on a table of counts of stock."""
    told = {
        DATE: Meaning.DATE,
        STORE_ID: Meaning.STORE,
        ITEM_ID: Meaning.ITEM,
        ON_HAND: Meaning.ON_HAND,
        ON_ORDER: Meaning.ON_ORDER,
        LEAD_TIME_DAYS: Meaning.LEAD_TIME,
        LEAD_TIME_SD: Meaning.LEAD_TIME_SD,
    }
    columns = mapped(reading, told)
    if DATE not in columns:
        return Finding(reading, Role.UNUSED, "stock, but without the day that it was counted on")
    return Finding(reading, Role.INVENTORY, f"has {columns[ON_HAND]}", columns)
