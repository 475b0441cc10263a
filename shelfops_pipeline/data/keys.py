"""Groups of rows as integers: what joins, sums and duplicates are worked out on."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Grain

Ints = NDArray[np.int64]
_MONDAY: np.int64 = np.int64(3)  # 1970-01-01 was a Thursday
_DENSE = 4  # a table of so many cells per row is cheaper than sorting


def compact(key: NDArray[np.integer[Any]], span: int) -> tuple[Ints, NDArray[np.integer[Any]]]:
    """The distinct values of `key` (all in 0..span-1), ascending, and for each row the position of its own."""
    if len(key) and (key[1:] > key[:-1]).all():
        return key.astype(np.int64), np.arange(len(key))
    if span > max(_DENSE * len(key), 1 << 16):
        groups, of = np.unique(key, return_inverse=True)
        return groups.astype(np.int64), of
    there = np.zeros(span, dtype=bool)
    there[key] = True
    rank = np.cumsum(there, dtype=np.int32)
    rank -= 1
    return np.flatnonzero(there), rank[key]


def distinct(cells: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """A column as positions in an array of its values, each value once; -1 where a typed column has none.

    A column of Python objects that are not all text comes back as it is: to a hash table True, 1 and 1.0 are the same,
    and lists are no keys.
    """
    if cells.dtype == object or isinstance(cells.dtype, pd.StringDtype):
        values = cells.to_numpy(object)
        if pd.api.types.infer_dtype(values, skipna=True) != "string":
            return np.arange(len(values)), values
        # pandas' own hash table of strings stops at a NUL: to it "1" and "1\0" are the same.
        place: dict[object, int] = {}
        codes = np.array([place.setdefault(value, len(place)) for value in values], dtype=np.intp)
        return codes, np.array([*place, None], dtype=object)[:-1]
    codes, names = pd.factorize(cells)
    return codes, np.array([*names, None], dtype=object)[:-1]


def first_day(day: Ints, grain: Grain) -> Ints:
    """The first day of the period of each day (days since 1970): itself, or the Monday of its week."""
    return day - (day + _MONDAY) % 7 if grain is Grain.WEEK else day


def days_of(ts: NDArray[np.datetime64]) -> Ints:
    """Days since 1970-01-01; NaT is the smallest integer."""
    return ts.astype("datetime64[D]").astype(np.int64)
