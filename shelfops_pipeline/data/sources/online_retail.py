"""UCI "Online Retail": raw invoice lines of one UK shop, dirt included; the validation gate sorts them."""

import re
from datetime import date
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
from shelfops_pipeline.data.calendars import public_holidays
from shelfops_pipeline.data.source import CATEGORY, Reference, RowRules
from shelfops_pipeline.data.sources.files import Kind, find_file, read_bytes, read_csv_bytes, recode
from shelfops_pipeline.data.tables import between, constant, filed, first_and_last, ordered
from shelfops_pipeline.data.text_format import Format

ORIGIN: Final = "UCI Machine Learning Repository: Online Retail, saved as CSV"
STORE: Final = "uk"
# Five digits and up to two letters of colour or size; POST, DOT, M, BANK CHARGES, vouchers etc. are no goods.
ITEM_PATTERN: Final = r"\d{5}[A-Z]{0,2}"
_COLUMNS: Final[dict[str, Kind]] = {
    TRANSACTION_ID: "id",
    ITEM_ID: "id",
    QUANTITY: "number",
    TS: "date",
    UNIT_PRICE: "number",
}
_NAMES: Final = {
    TRANSACTION_ID: "InvoiceNo",
    ITEM_ID: "StockCode",
    QUANTITY: "Quantity",
    TS: "InvoiceDate",
    UNIT_PRICE: "UnitPrice",
}
# The Kaggle edition writes 12/1/2010 8:26, and means the first of December.
_KAGGLE: Final = Format(date="%m/%d/%Y %H:%M")
_US_DATE: Final = re.compile(rb"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}")
_BEGINNING: Final = 2**14


class OnlineRetail:
    """Invoice lines; cancelled invoices (their number starts with C) have negative quantities: returns."""

    name = "online_retail"
    grain = Grain.DAY
    incremental = False
    weekly_rows = False
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
            calendar=public_holidays("GB", "ENG", *self.span()),
        )

    @cached_property
    def _lines(self) -> pd.DataFrame:
        path = find_file(self._data, ["online_retail.csv"], ORIGIN)
        data = read_bytes(path)
        form = _KAGGLE if _US_DATE.search(data[:_BEGINNING]) else Format()
        rows = read_csv_bytes(path, data, _COLUMNS, names=_NAMES, form=form, lines=True, lenient=True)
        own = rows[ITEM_ID].cat
        rows[ITEM_ID] = recode(own.codes.to_numpy(), pd.Series(own.categories).str.upper())
        rows[STORE_ID] = constant(STORE, len(rows))
        return filed(ordered(rows))
