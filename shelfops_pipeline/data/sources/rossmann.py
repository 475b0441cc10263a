"""Rossmann drugstores, in the format of Kaggle's "Rossmann Store Sales": one series per store, item `all`."""

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from shelfops_pipeline.contracts.columns import (
    HOLIDAY,
    ITEM_ID,
    ON_PROMOTION,
    OPEN,
    QUANTITY,
    STORE_ID,
    TS,
    Grain,
)
from shelfops_pipeline.data.source import CATEGORY, Reference, RowRules
from shelfops_pipeline.data.sources.files import Kind, find_file, read_csv
from shelfops_pipeline.data.tables import (
    between,
    calendar,
    codes_in,
    constant,
    covariate,
    filed,
    first_and_last,
    joined,
    ordered,
    sound,
)
from shelfops_pipeline.errors import DataError

ORIGIN: Final = "Kaggle: Rossmann Store Sales"
ITEM: Final = "all"
_NAMES: Final = {TS: "Date", STORE_ID: "Store", QUANTITY: "Sales", ON_PROMOTION: "Promo"}
_PLAN: Final[dict[str, Kind]] = {
    TS: "date",
    STORE_ID: "id",
    ON_PROMOTION: "number",
    "Open": "number",
    "StateHoliday": "id",
    "SchoolHoliday": "number",
}
_STORES: Final[dict[str, Kind]] = {
    "Store": "id",
    "StoreType": "id",
    "Assortment": "id",
    "CompetitionDistance": "number",
    "CompetitionOpenSinceMonth": "number",
    "CompetitionOpenSinceYear": "number",
    "Promo2": "number",
    "Promo2SinceWeek": "number",
    "Promo2SinceYear": "number",
    "PromoInterval": "text",
}
_HOLIDAY_CODES: Final = {"0": 0, "a": 1, "b": 2, "c": 3}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DISTANCE_BUCKETS: Final = 8
_MAX_COMPETITION_MONTHS: Final = 120


class Rossmann:
    """Daily turnover of 1,115 stores. Closed days keep their rows: the panel masks them by `open`."""

    name = "rossmann"
    grain = Grain.DAY
    incremental = False
    weekly_rows = False
    # 180 stores were being refurbished for half a year and have no rows; all other days do, open or not.
    absence: Literal["zero", "missing"] = "missing"
    rules = RowRules(items_complete=True)

    def __init__(self, data: Path | None) -> None:
        self._data = data

    def span(self) -> tuple[date, date]:
        """First and last date of train.csv."""
        return first_and_last(self._train)

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """Rows of train.csv; `quantity` is turnover."""
        rows = between(self._train, start, end)
        return ordered(rows.assign(**{ITEM_ID: constant(ITEM, len(rows))}))

    def inventory(self, start: date, end: date) -> None:
        """Rossmann publishes no inventory."""

    def reference(self) -> Reference:
        """Stores with type, assortment and competition; channels by store and day.

        Holidays differ by store: they are the covariate `holiday` (0 none, 1 public, 2 Easter, 3 Christmas),
        and the calendar is empty.
        """
        raw = self._stores
        attributes = pd.DataFrame(
            {
                STORE_ID: raw["Store"].astype(object),
                "store_type": raw["StoreType"].astype(object),
                "assortment": raw["Assortment"].astype(object),
                "competition_distance": _buckets(raw["CompetitionDistance"]),
            }
        )
        return Reference(
            stores=attributes,
            items=pd.DataFrame({ITEM_ID: [ITEM], CATEGORY: [ITEM]}),
            calendar=calendar([], [], [], []),
            covariates=self._covariates(),
        )

    @cached_property
    def _train(self) -> pd.DataFrame:
        kinds: dict[str, Kind] = _PLAN | {QUANTITY: "number", "Customers": "number"}
        path = find_file(self._data, ["train.csv"], ORIGIN)
        return filed(read_csv(path, kinds, names=_NAMES, lines=True, lenient=True))

    @cached_property
    def _stores(self) -> pd.DataFrame:
        return read_csv(find_file(self._data, ["store.csv"], ORIGIN), _STORES)

    def _covariates(self) -> list[pd.DataFrame]:
        past = sound(self._train, STORE_ID)
        future = read_csv(find_file(self._data, ["test.csv"], ORIGIN), _PLAN, names=_NAMES)
        # The 11 empty values of the official test.csv are store 622's, on working days: by its own pattern it
        # is open. Closed days are not scored there, so open is also the safe reading.
        future["Open"] = future["Open"].fillna(1)
        both = joined([past[list(_PLAN)], future])
        dates, store = both[TS].to_numpy(), both[STORE_ID]
        row = codes_in(store, pd.Index(self._stores["Store"].astype(str)))
        if (row < 0).any():
            raise DataError(f"store.csv: store {store[row < 0].iloc[0]} of train.csv or test.csv is missing")
        values: dict[str, ArrayLike] = {
            OPEN: both["Open"],
            ON_PROMOTION: both[ON_PROMOTION],
            "school_holiday": both["SchoolHoliday"],
            HOLIDAY: np.concatenate([_holiday_codes(past, "train.csv"), _holiday_codes(future, "test.csv")]),
            "promo2": _renewal(self._stores, row, dates),
            "competition_months": _competition_months(self._stores, row, dates),
        }
        frames = [covariate(n, dates, v, store_id=store, known_future=True) for n, v in values.items()]
        customers = covariate("customers", past[TS], past["Customers"], store_id=past[STORE_ID], known_future=False)
        return [*frames, customers]


def _holiday_codes(rows: pd.DataFrame, file: str) -> NDArray[np.float64]:
    kinds = rows["StateHoliday"].cat
    unknown = [k for k in kinds.categories if k not in _HOLIDAY_CODES]
    if unknown:
        known = ", ".join(_HOLIDAY_CODES)
        raise DataError(f"{file}, column StateHoliday: '{unknown[0]}' is unknown; known: {known}")
    codes = np.array([_HOLIDAY_CODES[k] for k in kinds.categories] + [np.nan])
    return np.asarray(codes[kinds.codes.to_numpy()], dtype=np.float64)


def _buckets(distance: pd.Series) -> pd.Series:
    """Distance to the nearest competitor as one of eight quantile classes, `unknown` where not given."""
    bucket = pd.Series(np.ceil(distance.rank(pct=True) * _DISTANCE_BUCKETS))
    names = bucket.map(lambda b: f"q{b:.0f}", na_action="ignore")
    return names.astype(object).where(bucket.notna(), "unknown")


def _months(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Months since 1970-01."""
    return dates.astype("datetime64[M]").astype(np.int64)


def _competition_months(
    stores: pd.DataFrame, row: NDArray[np.intp], dates: NDArray[np.datetime64]
) -> NDArray[np.float64]:
    """Months since the nearest competitor opened, 0..120; NaN where the opening is unknown."""
    opened = (stores["CompetitionOpenSinceYear"] - 1970) * 12 + stores["CompetitionOpenSinceMonth"] - 1
    months: NDArray[np.float64] = _months(dates) - opened.to_numpy()[row]
    return np.clip(months, 0, _MAX_COMPETITION_MONTHS)


def _renewal(stores: pd.DataFrame, row: NDArray[np.intp], dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """1 in the months in which a running Promo2 (a mailed coupon round) starts anew, else 0."""
    week = np.array(stores["Promo2SinceWeek"].to_numpy(), dtype=np.float64)
    year = np.array(stores["Promo2SinceYear"].to_numpy(), dtype=np.float64)
    runs = (stores["Promo2"] == 1).to_numpy() & ~np.isnan(week) & ~np.isnan(year)
    # ISO week 1 holds January 4th; stores without Promo2 get a start after every date.
    january4 = (np.where(runs, year, 2200) - 1970).astype("datetime64[Y]").astype("datetime64[D]") + 3
    monday = january4 - (january4.astype(np.int64) + 3) % 7
    begins = monday + (np.where(runs, week, 1) - 1).astype(np.int64) * 7
    # "Jan,Apr,Jul,Oct"; September is written Sept. A store without Promo2 has no months.
    named = stores["PromoInterval"].fillna("").str.lower()
    renews = np.stack([named.str.contains(month, regex=False).to_numpy() for month in _MONTHS], axis=1)
    month = _months(dates) % 12
    return (renews[row, month] & (dates.astype("datetime64[D]") >= begins[row])).astype(np.float64)
