"""Stores, items, suppliers and calendar of a mapping."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, KIND, NAME, PRICE, SCOPE, STORE_ID, UNREADABLE
from shelfops_pipeline.data.calendars import AHEAD, public_holidays
from shelfops_pipeline.data.mapping import Mapping, Table
from shelfops_pipeline.data.source import (
    CASE_PACK,
    COST,
    CUTOFF_HOUR,
    EVERYWHERE,
    MINIMUM_ORDER,
    ORDER_WEEKDAYS,
    PRESENTATION_MINIMUM,
    SHELF_LIFE_DAYS,
    SUPPLIER_ID,
)
from shelfops_pipeline.data.sources.cells import Kind
from shelfops_pipeline.data.sources.mapped_tables import MappedTable
from shelfops_pipeline.data.tables import EARLIEST, calendar
from shelfops_pipeline.errors import DataError

_NUMBERS: Final = (COST, PRICE, CASE_PACK, MINIMUM_ORDER, SHELF_LIFE_DAYS, PRESENTATION_MINIMUM, CUTOFF_HOUR)
_DEFAULT_KIND: Final = "event"
_WEEKDAYS: Final = {name: str(i) for i, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}


def stores_of(table: Table | None, folder: Path | None, sold: Callable[[], list[str]]) -> pd.DataFrame:
    """The stores and their attributes; without a table, those that sold."""
    return _listed(table, "stores", STORE_ID, folder, sold)


def items_of(table: Table | None, folder: Path | None, sold: Callable[[], list[str]]) -> pd.DataFrame:
    """The items and their attributes; numbers are what replenishment counts with, all else is text."""
    return _listed(table, "items", ITEM_ID, folder, sold)


def suppliers_of(table: Table | None, folder: Path | None) -> pd.DataFrame | None:
    """The suppliers; order_weekdays as digits, such as "0,3", Monday is 0."""
    if table is None:
        return None
    rows = _listed(table, "suppliers", SUPPLIER_ID, folder, list)
    if ORDER_WEEKDAYS in rows:
        rows[ORDER_WEEKDAYS] = [_weekdays(text) for text in rows[ORDER_WEEKDAYS]]
    return rows


def calendar_of(mapping: Mapping, folder: Path | None, span: tuple[date, date]) -> pd.DataFrame:
    """The retailer's own special days, and the public holidays that it asks for, to 400 days past the last sale."""
    frames = [
        public_holidays(h.country, h.region, *span, scope=h.scope, categories=h.categories) for h in mapping.holidays
    ]
    if mapping.calendar is not None:
        kinds: dict[str, Kind] = {name: "date" if name == DATE else "text" for name in mapping.calendar.columns}
        rows = MappedTable(mapping.calendar, "calendar", folder, kinds).read(span[0], span[1] + AHEAD)
        scope = rows[SCOPE].fillna(EVERYWHERE) if SCOPE in rows else [EVERYWHERE] * len(rows)
        kind = rows[KIND].fillna(_DEFAULT_KIND) if KIND in rows else [_DEFAULT_KIND] * len(rows)
        days = rows[DATE].to_numpy().astype("datetime64[D]")
        frames.append(calendar(days, np.asarray(scope), rows[NAME].fillna("").to_numpy(), np.asarray(kind)))
    if not frames:
        return calendar([], [], [], [])
    return pd.concat(frames).sort_values([DATE, SCOPE, NAME], kind="stable", ignore_index=True)


def undated(rows: pd.DataFrame, today: date) -> pd.DataFrame:
    """Inventory whose date cannot be right gets NaT, so that it is never taken for the latest; UNREADABLE says it."""
    day = rows[DATE].to_numpy("datetime64[D]")
    wrong = (day < np.datetime64(EARLIEST)) | (day > np.datetime64(today))
    if not wrong.any():
        return rows
    texts = list(rows[UNREADABLE]) if UNREADABLE in rows else [None] * len(rows)
    for row in np.flatnonzero(wrong).tolist():
        texts[row] = json.dumps(json.loads(texts[row] or "{}") | {DATE: str(day[row])}, ensure_ascii=False)
    return rows.assign(**{DATE: rows[DATE].mask(wrong), UNREADABLE: pd.Series(texts, dtype=object)})


def _listed(
    table: Table | None, what: str, key: str, folder: Path | None, sold: Callable[[], list[str]]
) -> pd.DataFrame:
    if table is None:
        return pd.DataFrame({key: pd.Series(sold(), dtype=object)})
    kinds: dict[str, Kind] = {name: "number" if name in _NUMBERS else "text" for name in table.columns}
    rows = MappedTable(table, what, folder, kinds).read()[list(kinds)]
    if rows.empty:
        raise DataError(f"{what}: the table has no rows")
    nameless, twice = rows[key].isna(), rows[key].duplicated()
    if nameless.any():
        raise DataError(f"{what}: row {int(np.argmax(nameless)) + 1} has no {key}")
    if twice.any():
        raise DataError(f"{what}: {key} '{rows[key][twice].iloc[0]}' appears more than once")
    return rows.reset_index(drop=True)


def _weekdays(text: str | None) -> str | None:
    """`Mon, Thu` or `0,3` as `0,3`. Raises DataError for anything else."""
    if text is None:
        return None
    words = [word for word in re.split(r"[\s,;/|]+", text.lower()) if word]
    digits = [_WEEKDAYS.get(word[:3], word) for word in words]
    odd = [word for word, digit in zip(words, digits, strict=True) if digit not in _WEEKDAYS.values()]
    if odd or not words:
        raise DataError(f"suppliers.{ORDER_WEEKDAYS}: '{text}' is unreadable; write 0,3 or Mon,Thu (Monday is 0)")
    return ",".join(digits)
