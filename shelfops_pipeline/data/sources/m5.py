"""Walmart, in the format of Kaggle's "M5 Forecasting - Accuracy": wide daily unit sales, weekly prices."""

import json
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    ITEM_ID,
    LINE,
    PRICE,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TS,
    UNIT_PRICE,
    UNREADABLE,
    Grain,
)
from shelfops_pipeline.data.source import CATEGORY, EVERYWHERE, Made, Reference, RowRules
from shelfops_pipeline.data.sources.files import (
    Kind,
    find_file,
    first_header,
    header,
    read_bytes,
    read_csv_blocks,
    read_csv_bytes,
)
from shelfops_pipeline.data.tables import calendar, coded, codes_in, constant, covariate
from shelfops_pipeline.errors import DataError

ORIGIN: Final = "Kaggle: M5 Forecasting - Accuracy"
# The first reaches 28 days further.
SALES: Final = ("sales_train_evaluation.csv", "sales_train_validation.csv")
_IDS: Final[dict[str, Kind]] = dict.fromkeys(["item_id", "dept_id", "cat_id", "store_id", "state_id"], "id")
_BLOCK: Final = 2_000_000  # bytes of text; as numbers it takes some 20 times as much
_EVENTS: Final = ("event_name_1", "event_type_1", "event_name_2", "event_type_2")


class _Wide(NamedTuple):
    """The wide sales file: S series, D days."""

    file: str
    ids: pd.DataFrame
    dates: NDArray[np.datetime64]
    units: list[NDArray[np.int16] | NDArray[np.float32]]
    """[D, some of S] each, in order; whole numbers, where they are."""
    lines: NDArray[np.int64]
    unreadable: pd.Series
    """Text of the cells that could not be read, as JSON, by day * S + series."""


class M5:
    """Daily unit sales of 3,049 items in 10 stores. An item is on sale in the weeks that have a price row."""

    name = "m5"
    grain = Grain.DAY
    incremental = False
    weekly_rows = False
    # An item on sale has a row, sold or not; no row means not on sale.
    absence: Literal["zero", "missing"] = "missing"
    rules = RowRules(items_complete=True)

    def __init__(self, data: Path | None) -> None:
        self._data = data

    def span(self) -> tuple[date, date]:
        """First and last day with sales columns."""
        dates = self._wide.dates.astype("datetime64[D]")
        return dates[0].item(), dates[-1].item()

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """A row per item, store and day on sale, with the week's price; `line` is that of the wide row."""
        wide = self._wide
        lo, hi = np.searchsorted(wide.dates, [np.datetime64(start, "ns"), np.datetime64(end, "ns") + 1])
        price = self._prices(wide.dates[lo:hi])
        units = np.concatenate([part[lo:hi] for part in wide.units], axis=1)
        day, series = np.nonzero(~np.isnan(price))
        rows = pd.DataFrame(
            {
                TS: wide.dates[lo:hi][day],
                STORE_ID: _ids(wide, STORE_ID, series),
                ITEM_ID: _ids(wide, ITEM_ID, series),
                QUANTITY: units[day, series].astype(np.float64),
                UNIT_PRICE: price[day, series].astype(np.float64),
                SOURCE: constant(wide.file, len(day)),
                LINE: wide.lines[series],
            },
            copy=False,
        )
        if len(wide.unreadable):
            texts = wide.unreadable.reindex((day + lo) * len(wide.ids) + series)
            texts[texts.isna()] = None
            rows[UNREADABLE] = texts.to_numpy()
        return rows

    def inventory(self, start: date, end: date) -> None:
        """M5 has no inventory."""

    def reference(self) -> Reference:
        """Stores by state, items by department; events, prices and SNAP days to the end of the calendar."""
        ids = self._wide.ids.astype(str)
        stores = ids[["store_id", "state_id"]].drop_duplicates(ignore_index=True)
        items = ids[["item_id", "dept_id", "cat_id"]].drop_duplicates("item_id", ignore_index=True)
        stores = stores.rename(columns={"store_id": STORE_ID, "state_id": "state"})
        if absent := [s for s in stores["state"] if f"snap_{s}" not in self._days]:
            found = ", ".join(self._days.columns)
            raise DataError(f"calendar.csv: column snap_{absent[0]} is missing; columns found: {found}")
        items = items.rename(columns={"item_id": ITEM_ID, "dept_id": CATEGORY, "cat_id": "department"})
        return Reference(
            stores=stores,
            items=items,
            calendar=self._events(),
            covariates=Made(self._price_days, partial(self._snap, stores)),
        )

    @cached_property
    def _days(self) -> pd.DataFrame:
        kinds: dict[str, Kind] = {"date": "date", "wm_yr_wk": "number", "d": "text"}
        kinds |= dict.fromkeys(_EVENTS, "text")
        path = find_file(self._data, ["calendar.csv"], ORIGIN)
        data = read_bytes(path)
        kinds |= {name: "number" for name in header(path, data) if name.startswith("snap_")}
        return read_csv_bytes(path, data, kinds).sort_values("date", ignore_index=True)

    @cached_property
    def _wide(self) -> _Wide:
        path = find_file(self._data, SALES, ORIGIN)
        names = [name for name in first_header(path) if name.startswith("d_")]
        if not names:
            raise DataError(f"{path.name}: no sales columns d_1, d_2, ... found")
        dates = self._days.set_index("d")["date"].reindex(names)
        if dates.isna().any():
            absent = dates.index[dates.isna()][0]
            raise DataError(f"calendar.csv, column d: {absent} of {path.name} is missing")
        ordered = [names[day] for day in np.argsort(dates.to_numpy(), kind="stable")]
        ids, units, unreadable = [], [], []
        for table in read_csv_blocks(
            path, _IDS | dict.fromkeys(names, "number"), lines=True, lenient=True, block=_BLOCK
        ):
            unreadable.append(_unreadable(path.name, table, ordered))
            units.append(_small(np.stack([table[day].to_numpy(np.float32) for day in ordered])))
            ids.append(table[[*_IDS, LINE]])
        rows = pd.concat([part.astype(dict.fromkeys(_IDS, object)) for part in ids], ignore_index=True)
        keys = rows[list(_IDS)].astype("category")
        cells = pd.concat(unreadable, keys=np.cumsum([0, *map(len, ids)])[:-1].tolist())
        at = (
            cells.index.get_level_values(1) * len(rows)
            + cells.index.get_level_values(2)
            + cells.index.get_level_values(0)
        )
        return _Wide(path.name, keys, np.sort(dates.to_numpy()), units, rows[LINE].to_numpy(), cells.set_axis(at))

    @cached_property
    def _price_weeks(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Week numbers [W] from the first sales day on, and prices [W, S]; NaN: no price row."""
        wide = self._wide
        kinds: dict[str, Kind] = {"store_id": "id", "item_id": "id"}
        kinds |= {"wm_yr_wk": "number", "sell_price": "number"}
        weeks = np.unique(self._days.loc[self._days["date"] >= wide.dates[0], "wm_yr_wk"].to_numpy())
        prices = np.full((len(weeks), len(wide.ids)), np.nan, np.float32)
        for rows in read_csv_blocks(find_file(self._data, ["sell_prices.csv"], ORIGIN), kinds, block=_BLOCK):
            week, series = np.searchsorted(weeks, rows["wm_yr_wk"].to_numpy()), _series(wide, rows)
            inside = (week < len(weeks)) & (series >= 0)
            inside[inside] &= weeks[week[inside]] == rows["wm_yr_wk"].to_numpy()[inside]
            prices[week[inside], series[inside]] = rows["sell_price"].to_numpy()[inside]
        return weeks, prices

    def _prices(self, dates: NDArray[np.datetime64]) -> NDArray[np.float32]:
        """Prices by day [D, S]."""
        weeks, prices = self._price_weeks
        week = self._days.set_index("date")["wm_yr_wk"].reindex(dates).to_numpy()
        return prices[np.searchsorted(weeks, week)]

    def _price_days(self) -> pd.DataFrame:
        dates = self._future_days()["date"].to_numpy()
        price = self._prices(dates)
        day, series = np.nonzero(~np.isnan(price))
        wide = self._wide
        return covariate(
            PRICE,
            dates[day],
            price[day, series],
            store_id=_ids(wide, STORE_ID, series),
            item_id=_ids(wide, ITEM_ID, series),
            known_future=True,
        )

    def _snap(self, stores: pd.DataFrame) -> pd.DataFrame:
        """Days on which food stamps are paid out in the store's state."""
        days = self._future_days()
        values = days[[f"snap_{s}" for s in stores["state"]]].to_numpy()
        store = np.tile(np.arange(len(stores)), len(days))
        return covariate(
            "snap",
            np.repeat(days["date"].to_numpy(), len(stores)),
            values.ravel(),
            store_id=coded(store, stores[STORE_ID].tolist()),
            known_future=True,
        )

    def _events(self) -> pd.DataFrame:
        days = self._days
        columns = ["date", "name", "kind"]
        rows = pd.concat([days[["date", *pair]].set_axis(columns, axis=1) for pair in (_EVENTS[:2], _EVENTS[2:])])
        rows = rows[rows["name"].notna() & (rows["name"] != "")]
        everywhere = np.full(len(rows), EVERYWHERE, dtype=object)
        kind = rows["kind"].str.lower()
        return calendar(rows["date"], everywhere, rows["name"].to_numpy(), kind.to_numpy())

    def _future_days(self) -> pd.DataFrame:
        """Calendar rows from the first sales day to the end of the calendar."""
        days: pd.DataFrame = self._days[self._days["date"] >= self._wide.dates[0]]
        return days


def _small(units: NDArray[np.float32]) -> NDArray[np.int16] | NDArray[np.float32]:
    """The same in half the memory, where all are whole numbers."""
    with np.errstate(invalid="ignore"):  # of NaN, which is no whole number
        whole = units.astype(np.int16)
    return whole if np.array_equal(whole, units) else units


def _series(wide: _Wide, rows: pd.DataFrame) -> NDArray[np.intp]:
    """The series of each row of a table with store_id and item_id; -1: none that sold in this span."""
    stores, items = (wide.ids[c].cat for c in ("store_id", "item_id"))
    series_of = np.full((len(stores.categories) + 1, len(items.categories) + 1), -1)
    series_of[stores.codes, items.codes] = np.arange(len(wide.ids))
    # An unknown id has code -1, which reads the last row or column: no series.
    return series_of[codes_in(rows["store_id"], stores.categories), codes_in(rows["item_id"], items.categories)]


def _unreadable(file: str, table: pd.DataFrame, names: list[str]) -> pd.Series:
    """JSON text by (day, row). Raises DataError for a line or id that cannot be read: that is a whole series."""
    found: dict[tuple[int, int], str] = {}
    day_of = {name: day for day, name in enumerate(names)}
    texts = table[UNREADABLE].dropna() if UNREADABLE in table else pd.Series(dtype=object)
    for row, text in texts.items():
        for name, cell in json.loads(text).items():
            if name not in day_of:
                line = table[LINE].iloc[cast(int, row)]
                raise DataError(f"{file}, line {line}: unreadable ({name}: '{cell[:60]}'); repair it")
            found[day_of[name], cast(int, row)] = json.dumps({QUANTITY: cell}, ensure_ascii=False)
    index = pd.MultiIndex.from_tuples(list(found), names=["day", "row"])
    return pd.Series(list(found.values()), index=index, dtype=object)


def _ids(wide: _Wide, column: str, series: NDArray[np.intp]) -> pd.Categorical:
    own = wide.ids[column].cat
    return coded(own.codes.to_numpy()[series], own.categories)
