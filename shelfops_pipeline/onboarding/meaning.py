"""Which column of a table is what, by its name and as far as its content allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.sample import Sample
from shelfops_pipeline.onboarding.words import (
    LEAST_FIT,
    Meaning,
    is_about,
    is_promotion_price,
    name_fits,
    says_only,
    tokens,
)

MEASURES: Final = (Meaning.UNITS, Meaning.REVENUE, Meaning.SALES)
_BADLY_WRITTEN: Final = 0.7
_NUMBERS: Final = frozenset(
    (
        Meaning.UNITS, Meaning.REVENUE, Meaning.SALES, Meaning.DISCOUNT, Meaning.CUSTOMERS, Meaning.ON_HAND,
        Meaning.ON_ORDER, Meaning.LEAD_TIME, Meaning.LEAD_TIME_SD, Meaning.COST, Meaning.CASE_PACK,
        Meaning.MINIMUM_ORDER, Meaning.SHELF_LIFE, Meaning.CUTOFF,
    )
)  # fmt: skip
_IDS: Final = frozenset((Meaning.STORE, Meaning.ITEM, Meaning.TICKET, Meaning.SUPPLIER, Meaning.CATEGORY))
_TEXTS: Final = frozenset((Meaning.LABEL, Meaning.REGION, Meaning.CITY, Meaning.COUNTRY, Meaning.CURRENCY))


@dataclass(frozen=True)
class Choice:
    """A column taken for a meaning."""

    column: str
    meaning: Meaning
    confidence: float
    why: str
    rivals: tuple[str, ...] = ()
    """Columns that would have fitted as well."""


@dataclass(frozen=True)
class Reading:
    """A table, and what its columns were taken for."""

    table: Sample
    choices: Mapping[Meaning, Choice]

    def column(self, meaning: Meaning) -> Column | None:
        """The column taken for `meaning`."""
        choice = self.choices.get(meaning)
        return None if choice is None else self.table.columns[choice.column]

    def name(self, meaning: Meaning) -> str | None:
        """The name of the column taken for `meaning`."""
        choice = self.choices.get(meaning)
        return None if choice is None else choice.column

    def free(self) -> list[Column]:
        """Columns not taken for anything."""
        taken = {choice.column for choice in self.choices.values()}
        return [column for name, column in self.table.columns.items() if name not in taken]

    def taking(self, *choices: Choice) -> "Reading":
        """The same with more choices; a column serves one meaning."""
        taken = {choice.column for choice in choices}
        kept = {m: c for m, c in self.choices.items() if c.column not in taken}
        return replace(self, choices=kept | {choice.meaning: choice for choice in choices})

    def without(self, meanings: Iterable[Meaning]) -> "Reading":
        """The same with some choices taken back."""
        gone = set(meanings)
        return replace(self, choices={m: c for m, c in self.choices.items() if m not in gone})


def read_names(table: Sample) -> Reading:
    """The likeliest meaning of every column that has a name one knows, the best fit first."""
    fits = [
        (round(fit * allowed, 3), -place, column.name, meaning)
        for place, column in enumerate(table.columns.values())
        for meaning, fit in name_fits(column.name).items()
        if fit >= LEAST_FIT and (allowed := _allowed(column, meaning)) > 0
    ]
    choices: dict[Meaning, Choice] = {}
    taken: set[str] = set()
    for fit, _, name, meaning in sorted(fits, key=lambda f: f[:2], reverse=True):
        if fit < LEAST_FIT or name in taken:
            continue
        if meaning in choices:
            first = choices[meaning]
            choices[meaning] = replace(first, rivals=(*first.rivals, name))
            continue
        choices[meaning] = Choice(name, meaning, fit, "its name")
        taken.add(name)
    return _counted(Reading(table, choices))


def _counted(reading: Reading) -> Reading:
    """Where the file is called stock, a bare quantity is one of stock."""
    choice, name = reading.choices.get(Meaning.UNITS), reading.table.name
    if choice is None or {Meaning.ON_HAND, Meaning.REVENUE} & set(reading.choices):
        return reading
    if not says_only(choice.column, "pieces") or not is_about(name, "stock") or is_about(name, "sales"):
        return reading
    return reading.taking(replace(choice, meaning=Meaning.ON_HAND, why=f"a quantity, in {name}"))


def _allowed(column: Column, meaning: Meaning) -> float:
    """How well the content of a column agrees with a meaning: 0 is impossible."""
    if column.present == 0:
        return 0.0
    if column.dates is not None:
        return 1.0 if meaning in (Meaning.DATE, Meaning.UNTIL) else 0.0
    if meaning in (Meaning.DATE, Meaning.UNTIL):
        return 0.0
    if meaning in MEASURES and column.numbers is not None and not column.is_number:
        return _BADLY_WRITTEN
    if meaning in _NUMBERS:
        return float(column.is_number) * (0.8 if column.is_flag and column.n_distinct > 1 else 1.0)
    if meaning is Meaning.PRICE:
        words = set(tokens(column.name))  # PV: prix de vente, but also punto vendita
        shop = "pv" in words and not words & {"ttc", "ht"} and all(text.isdigit() for text in column.values)
        return float(column.is_number and (not column.is_flag or len(column) < 3) and not shop)
    if meaning in _IDS:
        return float(not (column.is_number and not column.is_integer))
    if meaning in _TEXTS:
        return float(not column.is_number)
    if meaning is Meaning.PROMOTION:
        # An Aktionspreis of whole euros is no count of promotions.
        return 1.0 if column.is_flag else 0.7 if not column.is_number else 0.9 * (not is_promotion_price(column.name))
    return float(column.is_flag) if meaning is Meaning.OPEN else 1.0
