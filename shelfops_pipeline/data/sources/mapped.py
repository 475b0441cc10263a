"""Any retailer's own tables, described by a mapping: no code."""

import logging
import re
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    DATE,
    FILED,
    ITEM_ID,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    NAME,
    ON_HAND,
    ON_ORDER,
    ON_PROMOTION,
    QUANTITY,
    STORE_ID,
    STORE_TOTAL,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    Grain,
)
from shelfops_pipeline.data.mapping import Mapping
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.data.sources.cells import Kind
from shelfops_pipeline.data.sources.mapped_reference import calendar_of, items_of, stores_of, suppliers_of, undated
from shelfops_pipeline.data.sources.mapped_tables import MappedTable
from shelfops_pipeline.data.sources.plans import covariates_of
from shelfops_pipeline.data.tables import EARLIEST, between, filed, first_and_last, joined, ordered
from shelfops_pipeline.data.weeks import mondays, whole_weeks
from shelfops_pipeline.errors import DataError

_SOLD: Final[dict[str, Kind]] = {
    TS: "date",
    STORE_ID: "id",
    ITEM_ID: "id",
    QUANTITY: "number",
    UNIT_PRICE: "number",
    ON_PROMOTION: "flag",
    TRANSACTION_ID: "id",
}
_STOCK: Final[dict[str, Kind]] = {
    DATE: "date",
    STORE_ID: "id",
    ITEM_ID: "id",
    ON_HAND: "number",
    ON_ORDER: "number",
    LEAD_TIME_DAYS: "number",
    LEAD_TIME_SD: "number",
}

log = logging.getLogger(__name__)


class Mapped:
    """A `Source` over files or queries. Files are read when first needed, and kept; queries are asked anew.

    `data` is the folder below which relative globs begin. `today`: the last day that a date can be right on.
    """

    def __init__(self, mapping: Mapping, data: Path | None, today: date | None = None) -> None:
        self.mapping, self._data = mapping, data
        self.name: str = mapping.name
        self.grain: Grain = mapping.grain
        self.absence: Literal["zero", "missing"] = mapping.absence
        self.rules = _rules(mapping)
        self._given_today = today
        columns = mapping.transactions.columns
        kinds = {name: kind for name, kind in _SOLD.items() if name in columns or name == QUANTITY}
        self._sold = MappedTable(
            mapping.transactions,
            "transactions",
            data,
            kinds,
            names={QUANTITY: mapping.quantity_column},
            lenient=True,
        )
        self.weekly_rows = mapping.transactions.rows == "week"
        self.incremental = self._sold.sql is not None and self._sold.sql.by_period

    def span(self) -> tuple[date, date]:
        """First and last date with transactions. Of days that make up weeks, those of the first and last whole week."""
        if self._sold.sql is not None:
            self.__dict__.pop("_span", None)  # a database moves on; whoever reads it asks for its span first
        return self._span

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """The retailer's rows; `ts` is in the shop's own time, a week is its Monday, `quantity` is the target."""
        first, last = self._span
        start, end = max(start, first), min(end, last)
        if self._sold.sql is None:
            return between(self._lines, start, end)
        parts = [between(self._tidy(rows, first), start, end) for rows in self._sold.batches(*self._asked(start, end))]
        parts = [part for part in parts if len(part)] or parts[:1]
        if any(FILED in part for part in parts):
            parts = [p if FILED in p else p.assign(**{FILED: p[TS].dt.normalize()}) for p in parts]
        return joined(parts)

    def inventory(self, start: date, end: date) -> pd.DataFrame | None:
        """Snapshots of stock, or None where none are mapped. A date that cannot be right is NaT; UNREADABLE says it."""
        table = self.mapping.inventory
        if table is None:
            return None
        kinds = {name: kind for name, kind in _STOCK.items() if name in table.columns}
        stock = MappedTable(table, "inventory", self._data, kinds, lenient=True)
        frames = [stock.read()] if stock.sql is None else list(stock.batches(start, end))
        rows = filed(joined(frames), DATE, today=self.today, under=None if stock.sql is None else start)
        return between(undated(rows, self.today), start, end, DATE)

    def reference(self) -> Reference:
        """Stores, items, suppliers, calendar and covariates; where no table is mapped, those that sold."""
        mapping, span = self.mapping, self.span()
        stores = stores_of(mapping.stores, self._data, lambda: self._ids(STORE_ID))
        covariates = covariates_of(mapping, self._data, span, lambda: self.transactions(*span))
        totals = [f[DATE].min().date() for f in covariates if len(f) and f[NAME].iloc[0] == STORE_TOTAL]
        return Reference(
            stores=stores,
            items=items_of(mapping.items, self._data, self._items),
            calendar=calendar_of(mapping, self._data, (min([span[0], *totals]), span[1])),
            covariates=covariates,
            suppliers=suppliers_of(mapping.suppliers, self._data),
        )

    def _asked(self, start: date, end: date) -> tuple[date, date]:
        """The days for which a query is asked, so that all rows of start..end are in the answer."""
        if self.mapping.transactions.rows == "week":
            return start, end + timedelta(days=6)  # a week may be named by any of its days
        if self.mapping.transactions.format.timezone is not None:
            return start - timedelta(days=1), end + timedelta(days=1)  # the database may count days in another zone
        return start, end

    @property
    def today(self) -> date:
        """Of the shop's own clock, where the mapping says which that is."""
        zone = self.mapping.transactions.format.timezone
        return self._given_today or datetime.now(ZoneInfo(zone) if zone else None).date()

    @cached_property
    def _lines(self) -> pd.DataFrame:
        """All rows of the files."""
        return self._tidy(self._sold.read(once=True), None)

    def _tidy(self, rows: pd.DataFrame, under: date | None) -> pd.DataFrame:
        kind = self.mapping.transactions.rows
        if kind != "transaction":
            day = rows[TS].to_numpy("datetime64[D]")
            if kind == "week":
                week = mondays(day)
                day = np.where(_is_right(week, self.today), week, day)  # what cannot be right stays as it came
            rows[TS] = day.astype("datetime64[ns]")
        return filed(ordered(rows), today=self.today, under=under)

    @cached_property
    def _span(self) -> tuple[date, date]:
        by_week = self.grain is Grain.WEEK and self.mapping.transactions.rows != "week"
        if self._sold.sql is None:
            days = self._right(self._lines[TS].to_numpy("datetime64[D]"))
            if not by_week:
                return first_and_last(self._lines)
        else:
            days = self._days_of_query(every=by_week)
        if not len(days):
            raise DataError(f"transactions: there is no row with a date between {EARLIEST.year} and today")
        if self.mapping.transactions.rows == "week":
            days = mondays(days)
        span = whole_weeks(days) if by_week else (days.min().item(), days.max().item())
        if by_week and span != (days.min().item(), days.max().item()):
            log.info("%s: weeks are whole from %s to %s; what lies outside waits for its week", self.name, *span)
        return span

    def _days_of_query(self, *, every: bool) -> NDArray[np.datetime64]:
        """The days with sales, or only the first and the last of them where the database can tell these itself."""
        ordered_by_date = self.mapping.transactions.format.date is None or not self._sold.is_text(TS)
        if not every and ordered_by_date:
            ends = self._sold.first_and_last(TS)
            if _is_right(ends, self.today).all():
                return ends
        return self._right(self._sold.days(TS))

    def _right(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        return days[_is_right(days, self.today)]

    def _items(self) -> list[str]:
        pattern = self.rules.item_pattern
        return [item for item in self._ids(ITEM_ID) if pattern is None or re.fullmatch(pattern, item)]

    def _ids(self, column: str) -> list[str]:
        if self._sold.sql is not None:
            return self._sold.ids(column)
        return sorted(str(name) for name in self._lines[column].cat.categories)


def _is_right(days: NDArray[np.datetime64], today: date) -> NDArray[np.bool_]:
    return (days >= np.datetime64(EARLIEST)) & (days <= np.datetime64(today))


def _rules(mapping: Mapping) -> RowRules:
    """The gate's rules. Lines of receipts may repeat, days and weeks may not, unless the mapping names a key."""
    rules, key = mapping.rules, mapping.rules.unique_key
    if key is None:
        key = () if mapping.transactions.rows == "transaction" else (TS, STORE_ID, ITEM_ID)
    return RowRules(
        unique_key=key,
        item_pattern=rules.item_pattern,
        items_complete=rules.items_complete and mapping.items is not None,
        free_items=rules.free_items,
        max_quantity=rules.max_quantity,
        tolerated_share=rules.tolerated_share,
    )
