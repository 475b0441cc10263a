"""What was found out about a table: its role, and how its columns are mapped."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from shelfops_pipeline.contracts.columns import (
    DATE,
    HOLIDAY,
    ITEM_ID,
    KIND,
    KNOWN_FUTURE,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    LINE,
    NAME,
    ON_HAND,
    ON_ORDER,
    ON_PROMOTION,
    OPEN,
    PRICE,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    VALUE,
)
from shelfops_pipeline.data.mapping import REVENUE, UNTIL, Constant
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
from shelfops_pipeline.onboarding.meaning import Reading
from shelfops_pipeline.onboarding.sample import Sample
from shelfops_pipeline.onboarding.words import LONGEST_NAME, Meaning

CANONICAL: Final = frozenset(
    (
        DATE, UNTIL, STORE_ID, ITEM_ID, TS, QUANTITY, REVENUE, UNIT_PRICE, TRANSACTION_ID, ON_PROMOTION, PRICE,
        OPEN, ON_HAND, ON_ORDER, LEAD_TIME_DAYS, LEAD_TIME_SD, SUPPLIER_ID, ORDER_WEEKDAYS, CUTOFF_HOUR, CATEGORY,
        COST, CASE_PACK, MINIMUM_ORDER, SHELF_LIFE_DAYS, NAME, KIND,
    )
)  # fmt: skip
"""Names that mean something; every other one is a retailer's own."""

Columns = dict[str, str | Constant]


class Role(StrEnum):
    """What a table is."""

    SALES = "sales"
    STORES = "stores"
    ITEMS = "items"
    SUPPLIERS = "suppliers"
    INVENTORY = "stock"
    PLAN = "plan"
    PAST = "known afterwards"
    CALENDAR = "calendar"
    UNUSED = "not used"


@dataclass(frozen=True)
class Finding:
    """A table, its role, and how its columns are mapped."""

    reading: Reading
    role: Role
    why: str
    columns: Mapping[str, str | Constant] = field(default_factory=dict)
    """By canonical name."""
    absence: Literal["zero", "missing"] = "missing"
    questions: tuple[str, ...] = ()

    @property
    def table(self) -> Sample:
        """The sample."""
        return self.reading.table


def mapped(reading: Reading, told: Mapping[str, Meaning]) -> Columns:
    """The columns taken for the meanings that have a canonical name."""
    return {name: column for name, meaning in told.items() if (column := reading.name(meaning)) is not None}


def unused(name: str, names: Mapping[str, object]) -> str:
    """`name`, a `slug`, with a number behind it where it is taken or means something else."""
    reserved = CANONICAL | {VALUE, SOURCE, LINE, HOLIDAY, KNOWN_FUTURE}
    stem, _, last = name.rpartition("_") if re.search(r"_\d+$", name) else (name, "", "1")
    number = int(last)
    while name in names or name in reserved:
        number += 1
        name = f"{stem[: LONGEST_NAME - len(f'_{number}')]}_{number}"
    return name
