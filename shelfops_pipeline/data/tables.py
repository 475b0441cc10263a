"""Small builders of the canonical tables, shared by the sources."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    KIND,
    KNOWN_FUTURE,
    LINE,
    NAME,
    ON_PROMOTION,
    QUANTITY,
    SCOPE,
    SOURCE,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    VALUE,
)

Ids = pd.Series | pd.Categorical
_ORDER: Final = (TS, STORE_ID, ITEM_ID, QUANTITY, UNIT_PRICE, ON_PROMOTION, TRANSACTION_ID, SOURCE, LINE)


def coded(codes: NDArray[np.integer[Any]], names: Sequence[str] | NDArray[Any] | pd.Index) -> pd.Categorical:
    """The categorical `names[codes]`; -1 is missing."""
    return pd.Categorical.from_codes(cast(Sequence[int], codes), categories=pd.Index(names))


def constant(name: str, n: int) -> pd.Categorical:
    """`name`, n times, in n bytes."""
    return coded(np.zeros(n, np.int8), [name])


def ordered(transactions: pd.DataFrame) -> pd.DataFrame:
    """The transaction columns that are there, in the order of the canonical table; others are left out."""
    return transactions[[name for name in _ORDER if name in transactions]]


def covariate(
    name: str,
    dates: ArrayLike,
    values: ArrayLike,
    *,
    store_id: Ids | None = None,
    item_id: Ids | None = None,
    known_future: bool,
) -> pd.DataFrame:
    """One covariate as a long frame [date, store_id?, item_id?, name, value, known_future].

    Rows without a value are left out: to the panel an absent row and an unknown value are the same.
    """
    known = ~np.isnan(np.asarray(values, dtype=np.float64))
    columns: dict[str, object] = {DATE: np.asarray(dates, dtype="datetime64[ns]")}
    if store_id is not None:
        columns[STORE_ID] = pd.Categorical(store_id)
    if item_id is not None:
        columns[ITEM_ID] = pd.Categorical(item_id)
    n = len(known)
    columns[NAME] = constant(name, n)
    columns[VALUE] = np.asarray(values, dtype=np.float32)
    columns[KNOWN_FUTURE] = np.full(n, known_future)
    frame = pd.DataFrame(columns, copy=False)
    return frame if known.all() else frame[known].reset_index(drop=True)


def calendar(dates: ArrayLike, scope: ArrayLike, name: ArrayLike, kind: ArrayLike) -> pd.DataFrame:
    """The calendar table [date, scope, name, kind]: one row per special day and scope, sorted."""
    frame = pd.DataFrame({DATE: pd.to_datetime(np.asarray(dates)), SCOPE: scope, NAME: name, KIND: kind})
    return frame.sort_values([DATE, SCOPE, NAME], kind="stable", ignore_index=True)


def between(frame: pd.DataFrame, start: date, end: date, column: str = TS) -> pd.DataFrame:
    """Rows dated start..end, both included."""
    days = frame[column].to_numpy()
    keep = (days >= np.datetime64(start, "ns")) & (days < np.datetime64(end, "ns") + np.timedelta64(1, "D"))
    return frame if keep.all() else frame[keep].reset_index(drop=True)


def first_and_last(frame: pd.DataFrame, column: str = TS) -> tuple[date, date]:
    """Earliest and latest day of a column of timestamps."""
    return frame[column].min().date(), frame[column].max().date()


def codes_of(ids: pd.Series, categories: pd.Index) -> NDArray[np.intp]:
    """Position of each id in `categories` (-1: not in it), by way of the column's own categories."""
    own = ids.cat
    lookup = np.append(categories.get_indexer(own.categories), -1)
    return np.asarray(lookup[own.codes.to_numpy()], dtype=np.intp)
