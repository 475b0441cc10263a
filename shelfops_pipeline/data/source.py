"""Where a retailer's data comes from: the one interface behind files, SQL and the simulated retailer.

The canonical tables (DESIGN: Data) are pandas frames:

- transactions: ts (datetime64[ns], midnight for daily rows), store_id, item_id (category), quantity (float;
  < 0 is a return), and where known unit_price, on_promotion, transaction_id; `source`, `line`: where from.
- stores: store_id + static attributes; items: item_id + static attributes (`category` is that used for likes;
  cost, price, supplier_id, case_pack, minimum_order, shelf_life_days, presentation_minimum where known).
- calendar: date, scope (`all` or `<store attribute>:<value>`), name, kind.
- covariates: date, store_id?, item_id?, name, value, known_future. A missing id (NaN) means "all".
  Reserved names: on_promotion (0/1), price, open (0/1).
- inventory: date, store_id, item_id, on_hand, on_order, lead_time_days, lead_time_sd.
- suppliers: supplier_id, order_weekdays (e.g. "0,3"), cutoff_hour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, Protocol, overload, runtime_checkable

import pandas as pd

from shelfops_pipeline.contracts import columns
from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID, TS, Grain
from shelfops_pipeline.settings import Settings

# Attributes that have a meaning here; any other column of `stores` and `items` goes by its own name.
CATEGORY: Final = columns.CATEGORY
COST: Final = "cost"
SUPPLIER_ID: Final = "supplier_id"
CASE_PACK: Final = "case_pack"
MINIMUM_ORDER: Final = "minimum_order"
SHELF_LIFE_DAYS: Final = "shelf_life_days"
PRESENTATION_MINIMUM: Final = "presentation_minimum"
ORDER_WEEKDAYS: Final = "order_weekdays"
CUTOFF_HOUR: Final = "cutoff_hour"
EVERYWHERE: Final = "all"


class Made(Sequence[pd.DataFrame]):
    """Frames that are made when they are first asked for: most readers of a reference need no covariates."""

    def __init__(self, *makers: Callable[[], pd.DataFrame]) -> None:
        self._makers = makers
        self._frames: list[pd.DataFrame] | None = None

    @overload
    def __getitem__(self, at: int) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[pd.DataFrame]: ...
    def __getitem__(self, at: int | slice) -> pd.DataFrame | Sequence[pd.DataFrame]:
        if self._frames is None:
            self._frames = [make() for make in self._makers]
        return self._frames[at]

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True)
class Reference:
    """Tables that describe the retailer rather than what happened in it."""

    stores: pd.DataFrame
    items: pd.DataFrame
    calendar: pd.DataFrame
    covariates: Sequence[pd.DataFrame] = ()
    """One frame per covariate name (the long covariate table, split by name to stay small)."""
    suppliers: pd.DataFrame | None = None


@dataclass(frozen=True)
class RowRules:
    """What the validation gate has to know about a source to tell a good row from a bad one."""

    unique_key: tuple[str, ...] = (TS, STORE_ID, ITEM_ID)
    """A second row with the same values is a duplicate. Empty: rows are lines that may repeat."""
    item_pattern: str | None = None
    """Regular expression that a saleable item_id matches as a whole; None: any."""
    items_complete: bool = False
    """Does the reference list every item, so that an unlisted one is an error?"""
    free_items: bool = True
    """May a unit cost nothing?"""
    max_quantity: float = 1e6
    """A larger quantity in one row, either way, is a slip of the keyboard."""
    tolerated_share: float = 0.0
    """Share of bad rows that is normal for this source, even in one period."""


class Source(Protocol):
    """A retailer whose data can be read by date range. Raises DataError with file, column and remedy."""

    name: str
    grain: Grain
    absence: Literal["zero", "missing"]
    """What a listed item without a row means: no demand, or nobody knows."""
    rules: RowRules
    incremental: bool
    """Can it be asked for some periods at the price of those? A file must be read whole."""

    weekly_rows: bool
    """Is a row a week's total? Then it is known with the date of its week, which is its first day."""

    def span(self) -> tuple[date, date]:
        """First and last date with transactions."""
        ...

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """Raw transactions of start..end, both included."""
        ...

    def inventory(self, start: date, end: date) -> pd.DataFrame | None:
        """Inventory snapshots of start..end, or None where the retailer has none."""
        ...

    def reference(self) -> Reference:
        """Stores, items, calendar, covariates (past and known future) and suppliers."""
        ...


@runtime_checkable
class Live(Protocol):
    """A source that moves on when it is told to: the simulated retailer, trading day by day."""

    def advance(self) -> date:
        """Trade one more day; returns it."""
        ...


@runtime_checkable
class Zoned(Protocol):
    """A source that knows which day it is where its stores are."""

    @property
    def today(self) -> date:
        """The day that is not over there yet."""
        ...


SourceFactory = Callable[[Path | None, Settings], Source]
