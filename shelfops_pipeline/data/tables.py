"""Small builders of the canonical tables, shared by the sources."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api.types import union_categoricals

from shelfops_pipeline.contracts.columns import (
    DATE,
    FILED,
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
    UNREADABLE,
    VALUE,
)
from shelfops_pipeline.errors import DataError

Ids = pd.Series | pd.Categorical
_ORDER: Final = (
    *(TS, STORE_ID, ITEM_ID, QUANTITY, UNIT_PRICE, ON_PROMOTION, TRANSACTION_ID),
    *(SOURCE, LINE, UNREADABLE, FILED),
)
EARLIEST: Final = date(1990, 1, 1)  # before this a year is a default value or a slip


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


def filed(
    frame: pd.DataFrame, column: str = TS, *, today: date | None = None, under: date | None = None
) -> pd.DataFrame:
    """The frame, with the column FILED if some row's own date cannot be right: see `contracts.columns`.

    Rows are in the order of their files; a line of the same file is nearer than one of another. `under`: file such rows
    under this day instead, where rows have no order (a query's). `today`: the last day that can be right, by default
    that of this machine. Raises DataError when no row has a date.
    """
    days = frame[column].to_numpy("datetime64[D]")
    right = (days >= np.datetime64(EARLIEST)) & (days <= np.datetime64(today or date.today()))
    if right.all():
        return frame
    if under is not None:
        filing = np.where(right, days, np.datetime64(under))
    elif right.any():
        filing = days[_nearest(right, _files(frame))]
    else:
        raise DataError(f"{_places(frame)}: no row has a date between {EARLIEST.year} and today{_first_unread(frame)}")
    return frame.assign(**{FILED: filing.astype("datetime64[ns]")})


def _nearest(right: NDArray[np.bool_], file: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """[n] the row under whose date each row is filed: the last right one up to it, else the next; own file first."""
    n, at = len(right), np.arange(len(right))
    starts = np.r_[True, file[1:] != file[:-1]]
    first = np.maximum.accumulate(np.where(starts, at, 0))
    last = np.append(np.flatnonzero(starts)[1:], n)[np.cumsum(starts) - 1] - 1
    before = np.maximum.accumulate(np.where(right, at, -1))
    after = np.minimum.accumulate(np.where(right, at, n)[::-1])[::-1]
    elsewhere = np.where(before >= 0, before, after)
    return np.where(before >= first, before, np.where(after <= last, after, elsewhere))


def _files(frame: pd.DataFrame) -> NDArray[np.integer[Any]]:
    if SOURCE not in frame:
        return np.zeros(len(frame), dtype=np.int8)
    return np.asarray(pd.Categorical(frame[SOURCE]).codes)


def _places(frame: pd.DataFrame) -> str:
    names = list(pd.unique(frame[SOURCE])) if SOURCE in frame else []
    return f"{names[0]} and {len(names) - 1} more files" if len(names) > 1 else str(names[0] if names else "the table")


def _first_unread(frame: pd.DataFrame) -> str:
    texts = frame[UNREADABLE].dropna() if UNREADABLE in frame else pd.Series(dtype=object)
    hint = "; is the date format right, and is a time zone named for timestamps with an offset?"
    return f"; unreadable: {texts.iloc[0][:120]}{hint}" if len(texts) else ""


def filed_days(frame: pd.DataFrame, column: str = TS) -> NDArray[np.datetime64]:
    """[n] the day to which each row belongs: that under which it is filed, else its own; datetime64[D]."""
    return frame[FILED if FILED in frame else column].to_numpy("datetime64[D]")


def between(frame: pd.DataFrame, start: date, end: date, column: str = TS) -> pd.DataFrame:
    """Rows that belong to the days start..end, both included."""
    days = filed_days(frame, column)
    keep = (days >= np.datetime64(start)) & (days <= np.datetime64(end))
    return frame if keep.all() else frame[keep].reset_index(drop=True)


def first_and_last(frame: pd.DataFrame, column: str = TS) -> tuple[date, date]:
    """Earliest and latest day to which a row belongs. Raises DataError when there are no rows."""
    if frame.empty:
        raise DataError("there are no transactions; is the file whole?")
    days = filed_days(frame, column)
    return days.min().item(), days.max().item()


def sound(frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Rows that belong to the day they are dated and name the columns `keys` (by default store and item): those of
    which a covariate can be made."""
    good = np.ones(len(frame), dtype=bool)
    for key in keys or (STORE_ID, ITEM_ID):
        good &= frame[key].notna().to_numpy()
    if FILED in frame:
        good &= frame[TS].to_numpy("datetime64[D]") == filed_days(frame)
    return frame if good.all() else frame[good].reset_index(drop=True)


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other; a column that one of them lacks is missing there. Categories are united."""
    if len(frames) == 1:
        return frames[0]
    names = list(dict.fromkeys(str(name) for frame in frames for name in frame.columns))
    columns: dict[str, Any] = {}
    for name in names:
        parts = [f[name] if name in f else pd.Series([None] * len(f), dtype=object) for f in frames]
        if all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
            columns[name] = union_categoricals(parts)
        elif any(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
            columns[name] = pd.Categorical(np.concatenate([part.astype(object).to_numpy() for part in parts]))
        else:
            columns[name] = np.concatenate([part.to_numpy() for part in parts])
    return pd.DataFrame(columns, copy=False)


def codes_in(ids: pd.Series, index: pd.Index) -> NDArray[np.intp]:
    """[n] the position of each id in `index` (-1: not in it); categoricals are looked up once per category."""
    if isinstance(ids.dtype, pd.CategoricalDtype):
        table = np.append(index.get_indexer(ids.cat.categories.astype(str)), -1)
        return table[ids.cat.codes.to_numpy()]
    return index.get_indexer(pd.Index(ids.astype(str)))
