"""Favorita, in the format of Kaggle's "Store Sales - Time Series Forecasting": an item is a family."""

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from shelfops_pipeline.contracts.columns import ITEM_ID, ON_PROMOTION, QUANTITY, STORE_ID, STORE_TOTAL, TS, Grain
from shelfops_pipeline.data.source import CATEGORY, EVERYWHERE, Reference, RowRules
from shelfops_pipeline.data.sources.files import Kind, find_file, has_file, read_csv
from shelfops_pipeline.data.tables import between, calendar, covariate, filed, first_and_last, joined, ordered, sound
from shelfops_pipeline.errors import DataError

ORIGIN: Final = "Kaggle: Store Sales - Time Series Forecasting"
_NAMES: Final = {TS: "date", STORE_ID: "store_nbr", ITEM_ID: "family", QUANTITY: "sales", ON_PROMOTION: "onpromotion"}
_PLAN: Final[dict[str, Kind]] = {TS: "date", STORE_ID: "id", ITEM_ID: "id", ON_PROMOTION: "number"}
_TOTALS: Final = "store_day_total.csv"  # not Kaggle's: a sum of its longer history, where somebody kept it
_SCOPES: Final = {"National": None, "Regional": "state", "Local": "city"}


class Favorita:
    """Daily unit sales of 33 families in 54 stores. Files are read when first needed, and kept."""

    name = "favorita"
    grain = Grain.DAY
    incremental = False
    weekly_rows = False
    absence: Literal["zero", "missing"] = "missing"  # the official file has a row for every family, sold or not
    rules = RowRules(items_complete=True)

    def __init__(self, data: Path | None) -> None:
        self._data = data

    def span(self) -> tuple[date, date]:
        """First and last date of train.csv."""
        return first_and_last(self._train)

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """Rows of train.csv; `quantity` is units (may be fractional), `on_promotion` a 0/1 flag."""
        return between(self._train, start, end)

    def inventory(self, start: date, end: date) -> None:
        """Favorita publishes no inventory."""

    def reference(self) -> Reference:
        """Stores with city, state, type, cluster; families as items; holidays; promotions, oil, customers, totals."""
        items = pd.DataFrame({ITEM_ID: self._train[ITEM_ID].cat.categories.astype(str)})
        items[CATEGORY] = items[ITEM_ID]
        return Reference(
            stores=self._stores(),
            items=items,
            calendar=self._calendar(),
            covariates=[self._promotions(), self._oil(), self._customers(), *self._totals()],
        )

    def _read(self, name: str, kinds: dict[str, Kind], sales: bool = False) -> pd.DataFrame:
        path = find_file(self._data, [name], ORIGIN)
        return read_csv(path, kinds, names=_NAMES if TS in kinds else None, lines=sales, lenient=sales)

    @cached_property
    def _train(self) -> pd.DataFrame:
        rows = self._read("train.csv", _PLAN | {QUANTITY: "number"}, sales=True)
        rows[ON_PROMOTION] = rows[ON_PROMOTION].clip(0, 1)
        return filed(ordered(rows))

    def _stores(self) -> pd.DataFrame:
        names = ["store_nbr", "city", "state", "type", "cluster"]
        stores = self._read("stores.csv", dict.fromkeys(names, "id")).astype(object)
        return stores.rename(columns={"store_nbr": STORE_ID})

    def _calendar(self) -> pd.DataFrame:
        columns: dict[str, Kind] = {"date": "date"}
        columns |= dict.fromkeys(["type", "locale", "locale_name", "description", "transferred"], "text")
        rows = self._read("holidays_events.csv", columns)
        # A transferred holiday was an ordinary day; the day it moved to has its own row of type Transfer.
        rows = rows[rows["transferred"].str.lower() != "true"]
        unknown = rows.loc[~rows["locale"].isin(list(_SCOPES)), "locale"]
        if len(unknown):
            found, known = unknown.iloc[0], ", ".join(_SCOPES)
            raise DataError(f"holidays_events.csv, column locale: '{found}' is unknown; known: {known}")
        scope = rows["locale"].map(_SCOPES) + ":" + rows["locale_name"]
        scope = scope.where(rows["locale"] != "National", EVERYWHERE)
        kind = rows["type"].str.lower()
        return calendar(rows["date"], scope.to_numpy(), rows["description"].to_numpy(), kind.to_numpy())

    def _promotions(self) -> pd.DataFrame:
        future = self._read("test.csv", _PLAN)
        future[ON_PROMOTION] = future[ON_PROMOTION].clip(0, 1)
        rows = joined([sound(self._train)[list(_PLAN)], future])
        return covariate(
            ON_PROMOTION,
            rows[TS],
            rows[ON_PROMOTION],
            store_id=rows[STORE_ID],
            item_id=rows[ITEM_ID],
            known_future=True,
        )

    def _totals(self) -> list[pd.DataFrame]:
        """What whole stores sold, from years before the families' sales: store_day_total.csv, where it is there."""
        if not has_file(self._data, _TOTALS):
            return []
        kinds: dict[str, Kind] = {"date": "date", "store_nbr": "id", "unit_sales": "number"}
        rows = self._read(_TOTALS, kinds)
        return [
            covariate(STORE_TOTAL, rows["date"], rows["unit_sales"], store_id=rows["store_nbr"], known_future=False)
        ]

    def _oil(self) -> pd.DataFrame:
        rows = self._so_far(self._read("oil.csv", {"date": "date", "dcoilwtico": "number"}))
        return covariate("oil", rows["date"], rows["dcoilwtico"], known_future=False)

    def _customers(self) -> pd.DataFrame:
        kinds: dict[str, Kind] = {"date": "date", "store_nbr": "id", "transactions": "number"}
        rows = self._so_far(self._read("transactions.csv", kinds))
        return covariate(
            "customers", rows["date"], rows["transactions"], store_id=rows["store_nbr"], known_future=False
        )

    def _so_far(self, rows: pd.DataFrame) -> pd.DataFrame:
        """oil.csv ends after the last sale: cut. Years before the first belong to the store totals."""
        return between(rows, date.min, self.span()[1], "date")
