"""What was accepted before: the little that the rules need to know of a series' and a store's past."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, STORE_ID, TS
from shelfops_pipeline.data.keys import compact, days_of
from shelfops_pipeline.data.tables import coded

ROWS: Final = "rows"
LARGEST: Final = "largest"
FIRST_SALE: Final = "first_sale"
HOUR: Final = "hour"
LINES: Final = "lines"
_SERIES: Final = [STORE_ID, ITEM_ID]
_HOURS: Final = [STORE_ID, HOUR]
_NS_PER_HOUR: Final = 3_600_000_000_000


@dataclass(frozen=True)
class History:
    """Accepted rows, summed up. A period is judged by the history of the periods before it, and of no other.

    `series`: store_id, item_id, `rows` (rows whose quantity is not 0), `largest` (|quantity|), `first_sale` (day of
    the first quantity > 0, NaT where there was none). `hours`: store_id, hour (0..23), `lines` (rows).
    """

    series: pd.DataFrame
    hours: pd.DataFrame

    @classmethod
    def none(cls) -> Self:
        """Of a retailer of which nothing was accepted yet."""
        return cls.from_columns({}, {})

    @classmethod
    def of(cls, valid: pd.DataFrame) -> Self:
        """The history that the accepted rows `valid` (of `validate_transactions`) are."""
        store, item = valid[STORE_ID].cat, valid[ITEM_ID].cat
        n_items = max(len(item.categories), 1)
        key = store.codes.to_numpy(np.int64) * n_items + item.codes.to_numpy()
        groups, of = compact(key, len(store.categories) * n_items)
        quantity, day = valid[QUANTITY].to_numpy(), days_of(valid[TS].to_numpy())
        largest = np.zeros(len(groups))
        np.maximum.at(largest, of, np.abs(quantity))
        first = np.full(len(groups), np.iinfo(np.int64).max)
        sold = quantity > 0
        np.minimum.at(first, of[sold], day[sold])
        never = first == np.iinfo(np.int64).max
        first_sale = np.where(never, 0, first).astype("datetime64[D]").astype("datetime64[ns]")
        first_sale[never] = np.datetime64("NaT")
        hours, lines = _lines_per_hour(store.codes.to_numpy(), len(store.categories), valid[TS].to_numpy())
        return cls.from_columns(
            {
                STORE_ID: coded(groups // n_items, store.categories),
                ITEM_ID: coded(groups % n_items, item.categories),
                ROWS: np.bincount(of[quantity != 0], minlength=len(groups)),
                LARGEST: largest,
                FIRST_SALE: first_sale,
            },
            {STORE_ID: coded(hours // 24, store.categories), HOUR: hours % 24, LINES: lines},
        )

    @classmethod
    def from_columns(cls, series: Mapping[str, Any], hours: Mapping[str, Any]) -> Self:
        """From plain columns, as the warehouse returns them: names as above, a row per series, a row per store and
        hour. Empty mappings are an empty history."""
        return cls(
            _frame(series, _SERIES, {ROWS: "int64", LARGEST: "float64", FIRST_SALE: "datetime64[ns]"}),
            _frame(hours, [STORE_ID], {HOUR: "int64", LINES: "int64"}),
        )

    def merge(self, other: Self) -> Self:
        """Both together; the two must not sum up the same rows."""
        series = pd.concat([self.series, other.series], ignore_index=True).groupby(_SERIES, as_index=False)
        hours = pd.concat([self.hours, other.hours], ignore_index=True).groupby(_HOURS, as_index=False)
        return type(self)(series.agg({ROWS: "sum", LARGEST: "max", FIRST_SALE: "min"}), hours.agg({LINES: "sum"}))


def _frame(columns: Mapping[str, Any], ids: list[str], types: dict[str, str]) -> pd.DataFrame:
    """A frame of text ids and typed measures."""
    data = {name: pd.Series(columns.get(name, []), dtype=kind) for name, kind in types.items()}
    # Ids as plain text: histories of different runs have different categories.
    text = {name: pd.Series(pd.Categorical(columns.get(name, [])).astype(object), dtype=object) for name in ids}
    return pd.DataFrame({**text, **data})


def _lines_per_hour(store: Any, n_stores: int, ts: Any) -> tuple[Any, Any]:
    """The store x hour cells (store * 24 + hour) that have lines, and how many."""
    hour = ts.astype(np.int64) // _NS_PER_HOUR % 24
    count = np.bincount(store.astype(np.int64) * 24 + hour, minlength=24 * n_stores)
    cells = np.flatnonzero(count)
    return cells, count[cells]
