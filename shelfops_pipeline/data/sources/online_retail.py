"""UCI "Online Retail": raw invoice lines of one UK shop, dirt included; the validation gate sorts them."""

from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from shelfops_pipeline.contracts.columns import (
    ITEM_ID,
    QUANTITY,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    Grain,
)
from shelfops_pipeline.data.source import CATEGORY, EVERYWHERE, Reference, RowRules
from shelfops_pipeline.data.sources.files import Kind, find_file, read_csv, recode
from shelfops_pipeline.data.tables import between, calendar, constant, first_and_last, ordered

ORIGIN: Final = "UCI Machine Learning Repository: Online Retail, saved as CSV"
STORE: Final = "uk"
# Five digits and up to two letters of colour or size; POST, DOT, M, BANK CHARGES, vouchers etc. are no goods.
ITEM_PATTERN: Final = r"\d{5}[A-Z]{0,2}"
_CALENDAR_AHEAD: Final = timedelta(days=400)
_COLUMNS: Final[dict[str, Kind]] = {
    "InvoiceNo": "id",
    "StockCode": "id",
    "Quantity": "number",
    "InvoiceDate": "date",
    "UnitPrice": "number",
}
_NAMES: Final = {
    "InvoiceNo": TRANSACTION_ID,
    "StockCode": ITEM_ID,
    "Quantity": QUANTITY,
    "InvoiceDate": TS,
    "UnitPrice": UNIT_PRICE,
}


class OnlineRetail:
    """Invoice lines; cancelled invoices (their number starts with C) have negative quantities: returns."""

    name = "online_retail"
    grain = Grain.DAY
    absence: Literal["zero", "missing"] = "zero"
    # On 2010-12-22 every fifth line is a stock write-off booked at price 0; other days stay below 8 %.
    rules = RowRules(
        unique_key=(TRANSACTION_ID, TS, STORE_ID, ITEM_ID, QUANTITY, UNIT_PRICE),
        item_pattern=ITEM_PATTERN,
        free_items=False,
        tolerated_share=0.25,
    )

    def __init__(self, data: Path | None) -> None:
        self._data = data

    def span(self) -> tuple[date, date]:
        """First and last invoice date."""
        return first_and_last(self._lines)

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """Invoice lines as they are in the file; `ts` has the time of day, prices are in pounds."""
        return between(self._lines, start, end)

    def inventory(self, start: date, end: date) -> None:
        """The shop publishes no inventory."""

    def reference(self) -> Reference:
        """One store; goods by the range their code begins with; England's holidays, which the file lacks."""
        codes = pd.Series(self._lines[ITEM_ID].cat.categories.astype(str))
        goods = codes[codes.str.fullmatch(ITEM_PATTERN)].reset_index(drop=True)
        return Reference(
            stores=pd.DataFrame({STORE_ID: [STORE]}),
            items=pd.DataFrame({ITEM_ID: goods, CATEGORY: "range " + goods.str[:2]}),
            calendar=_bank_holidays(*self.span()),
        )

    @cached_property
    def _lines(self) -> pd.DataFrame:
        path = find_file(self._data, ["online_retail.csv"], ORIGIN)
        raw = read_csv(path, _COLUMNS, lines=True).rename(columns=_NAMES)
        own = raw[ITEM_ID].cat
        raw[ITEM_ID] = recode(own.codes.to_numpy(), pd.Series(own.categories).str.upper())
        raw[STORE_ID] = constant(STORE, len(raw))
        return ordered(raw)


def _bank_holidays(first: date, last: date) -> pd.DataFrame:
    import holidays  # 0.3 s of imports that only this adapter needs

    until = last + _CALENDAR_AHEAD
    days = holidays.country_holidays("GB", subdiv="ENG", years=range(first.year, until.year + 1))
    rows = sorted((day, name) for day, name in days.items() if first <= day <= until)
    n = len(rows)
    return calendar([d for d, _ in rows], [EVERYWHERE] * n, [name for _, name in rows], ["public"] * n)
