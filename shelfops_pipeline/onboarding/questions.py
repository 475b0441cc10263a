"""What was guessed, as comments for the YAML, and what only the retailer can say, as questions."""

from collections.abc import Iterator, Sequence
from typing import Final

from shelfops_pipeline.contracts.columns import STORE_ID
from shelfops_pipeline.onboarding.country import AS_ASKED, Country
from shelfops_pipeline.onboarding.findings import Finding
from shelfops_pipeline.onboarding.meaning import Reading
from shelfops_pipeline.onboarding.sales import BY_CONTENT
from shelfops_pipeline.onboarding.shape import Shape, overlap
from shelfops_pipeline.onboarding.words import Meaning

SURE: Final = 0.75
"""Below this confidence a choice is called a guess."""

_ASKED: Final = frozenset(
    (Meaning.DATE, Meaning.STORE, Meaning.ITEM, Meaning.UNITS, Meaning.REVENUE, Meaning.PRICE, Meaning.PROMOTION)
)

Place = tuple[str | int, ...]
"""Keys and positions from the top of the mapping to an entry of it."""


def guesses(sales: Finding, shape: Shape, country: Country | None) -> dict[Place, str]:
    """Why an entry of the mapping is as it is, where that was not plain to see."""
    out: dict[Place, str] = {("absence",): shape.absence_why}
    by_column = {choice.column: choice for choice in sales.reading.choices.values()}
    for name, column in sales.columns.items():
        choice = by_column.get(str(column))
        if choice is not None and choice.confidence < SURE:
            out["transactions", "columns", name] = f"a guess: {choice.why}"
        if name == STORE_ID and Meaning.STORE not in sales.reading.choices:
            out["transactions", "columns", name, "value"] = "no column of stores was found: one store"
    if shape.key:
        out["rules", "unique_key", 0] = "a return may stand beside the sale of its day"
    if country is not None and country.why != AS_ASKED:
        out["holidays", 0, "country"] = f"a guess: {country.why}"
    return out


def questions(sales: Finding, others: Sequence[Finding], country: Country | None) -> list[str]:
    """Of the sales first, then of the other tables; each begins with the name of the table."""
    own = [f"{sales.table.name}: {question}" for question in _of_sales(sales.reading, country)]
    return own + [f"{finding.table.name}: {question}" for finding in others for question in finding.questions]


def _of_sales(sold: Reading, country: Country | None) -> Iterator[str]:
    for choice in sold.choices.values():
        if choice.rivals and choice.meaning in _ASKED:
            others = ", ".join(f"`{rival}`" for rival in choice.rivals)
            yield f"is `{choice.column}` or {others} the {choice.meaning}? Took `{choice.column}`: {choice.why}"
    by_content = [choice for choice in sold.choices.values() if choice.why == BY_CONTENT]
    if len(by_content) > 1:
        told = " and ".join(f"`{c.column}` for the {c.meaning}" for c in by_content)
        yield f"took {told}, as there are fewer stores than items. Right?"
    if Meaning.STORE not in sold.choices and overlap(sold):
        yield (
            "no column says the store, and its files overlap in time: is each one a store's? "
            "Then put it into a folder `store=NAME`, and onboard again"
        )
    yield from _empty_rows(sold)
    flag = sold.choices.get(Meaning.HOLIDAY)
    if flag is not None and country is None:
        yield (
            f"`{flag.column}` marks holidays, but none to come: --country adds public holidays with theirs; "
            "list days of your own in a table of dates"
        )


def _empty_rows(sold: Reading) -> Iterator[str]:
    """Rows of the future among the sales."""
    measure, dates = sold.column(Meaning.UNITS) or sold.column(Meaning.REVENUE), sold.column(Meaning.DATE)
    if measure is None or dates is None or dates.dates is None:
        return
    last = dates.dates[measure.codes >= 0].max()
    empty = int((dates.dates > last).sum())
    if empty:
        yield (
            f"the {empty:,} rows after {last:%Y-%m-%d} have no `{measure.name}`. "
            "If they are a plan, put them into a file of their own"
        )
