"""The rules that look at one row, or at its twins. Those that look at a series' past are in `past_rules`."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    ITEM_ID,
    LINE,
    ON_PROMOTION,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TS,
    UNIT_PRICE,
)
from shelfops_pipeline.data.keys import distinct
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.gate.reasons import Reason
from shelfops_pipeline.gate.rows import LINE_AS_A_WHOLE, Mask, Rows

Codes = NDArray[np.int8]
"""[n] the reason of each row (`Reason.code`), 0 for a good one."""
EARLIEST: Final = np.datetime64("1990-01-01", "ns")  # before this a year is a default value or a slip
_WIDEST: Final = 2**62


def row_codes(rows: Rows, reference: Reference, rules: RowRules, last_date: date) -> Codes:
    """What each row by itself is: the code of its first reason, or 0."""
    codes = np.zeros(len(rows.frame), dtype=np.int8)
    for reason, find in _checks(rows, reference, rules, last_date):
        hit = find()
        if hit.any():
            codes[(codes == 0) & hit] = reason.code
    return codes


def plausible(ts: NDArray[np.datetime64], last_date: date) -> Mask:
    """Which moments can be right: there, from 1990 on, not after `last_date`."""
    return (ts >= EARLIEST) & (ts < _day_after(last_date))  # NaT is neither


def usable(rows: Rows, last_date: date) -> Mask:
    """Rows that could be demand if somebody vouched for them: both ids, a plausible date, a finite quantity."""
    frame = rows.frame
    ids = (frame[STORE_ID].cat.codes.to_numpy() >= 0) & (frame[ITEM_ID].cat.codes.to_numpy() >= 0)
    there = ids & plausible(frame[TS].to_numpy(), last_date) & np.isfinite(frame[QUANTITY].to_numpy())
    whole = rows.odd.get(LINE_AS_A_WHOLE)
    return there if whole is None else there & ~whole


def mark_duplicates(frame: pd.DataFrame, rules: RowRules, codes: Codes) -> None:
    """Mark all but the first of each set of rows with the same key, by source and line (without them, by content).

    Only among the rows that are good so far: a bad row must not displace a good one.
    """
    key = [name for name in rules.unique_key if name in frame]
    good = np.flatnonzero(codes == 0)
    if not key or len(good) < 2:
        return
    part = frame[key] if len(good) == len(frame) else frame[key].iloc[good]
    numbers = _numbered([part[name] for name in key])
    ordered = np.sort(numbers)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return
    of = np.flatnonzero(np.isin(numbers, repeated))
    later = _not_first(frame.iloc[good[of]], numbers[of])
    codes[good[of[later]]] = Reason.DUPLICATE_TRANSACTION.code


def _not_first(twins: pd.DataFrame, key: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions of the rows that are not the first of their key, whatever the order of the table."""
    by = pd.DataFrame(index=pd.RangeIndex(len(twins)))
    if SOURCE in twins:
        by[SOURCE] = [str(cell) for cell in twins[SOURCE]]
    if LINE in twins:
        by[LINE] = pd.to_numeric(twins[LINE], errors="coerce").to_numpy(np.float64)
    for name in twins.columns.difference([SOURCE, LINE]):
        by[f"cell {name}"] = [repr(cell) for cell in twins[name]]  # only rows that have twins
    order = by.sort_values([str(name) for name in by], kind="stable").index.to_numpy()
    return order[pd.Series(key[order]).duplicated().to_numpy()]


def _numbered(columns: list[pd.Series]) -> NDArray[np.int64]:
    """One integer per combination of values, by mixed radix; squeezed where the next column would not fit."""
    total = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        digits, radix = _digits(column)
        if size * radix > _WIDEST:
            total, distinct = pd.factorize(total)
            size = len(distinct)
        if size * radix > _WIDEST:
            digits, values = pd.factorize(digits)
            radix = len(values)
        total = total * radix + digits
        size *= radix
    return total


def _digits(column: pd.Series) -> tuple[NDArray[np.integer[Any]], int]:
    """Each value as an integer from 0, equal for equal values (missing ones included), and how many there may be."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(np.int64) + 1, len(column.cat.categories) + 1
    if column.dtype == "datetime64[ns]":
        number = column.to_numpy().astype(np.int64)
        low = int(number.min())
        return number - low, int(number.max()) - low + 1
    codes, values = distinct(column)
    if len(values) == len(column) and column.dtype == object:  # of mixed company: nothing is equal but what reads equal
        codes, values = distinct(pd.Series([repr(value) for value in values], dtype=object))
    return codes.astype(np.int64) + 1, len(values) + 1


def _checks(
    rows: Rows, reference: Reference, rules: RowRules, last_date: date
) -> Iterator[tuple[Reason, Callable[[], Mask]]]:
    """Each reason with the rows that have it."""
    frame, none = rows.frame, np.zeros(len(rows.frame), dtype=bool)

    def odd(*columns: str) -> Mask:
        marks: list[Any] = [rows.odd[name] for name in columns if name in rows.odd]
        return np.logical_or.reduce(marks) if marks else none

    store, item = frame[STORE_ID], frame[ITEM_ID]
    yield Reason.UNREADABLE_LINE, lambda: odd(LINE_AS_A_WHOLE)
    yield Reason.MISSING_ID, lambda: (_absent(store) | _absent(item)) | odd(STORE_ID, ITEM_ID)
    if len(reference.stores):
        yield Reason.UNKNOWN_STORE, lambda: _unlisted(store, reference.stores[STORE_ID])
    if rules.item_pattern is not None:
        pattern = rules.item_pattern
        yield Reason.BAD_STOCK_CODE, lambda: _by_id(item, lambda names: ~names.str.fullmatch(pattern).to_numpy(bool))
    if rules.items_complete and len(reference.items):
        yield Reason.UNKNOWN_ITEM, lambda: _unlisted(item, reference.items[ITEM_ID])
    ts = frame[TS].to_numpy()
    yield Reason.IMPOSSIBLE_DATE, lambda: ~(ts >= EARLIEST) | odd(TS)
    yield Reason.FUTURE_DATE, lambda: ts >= _day_after(last_date)
    quantity = frame[QUANTITY].to_numpy()
    yield Reason.QUANTITY_NOT_A_NUMBER, lambda: ~np.isfinite(quantity)
    yield Reason.ABSURD_QUANTITY, lambda: np.abs(quantity) > rules.max_quantity
    if UNIT_PRICE in frame:
        price = frame[UNIT_PRICE].to_numpy()
        yield Reason.PRICE_NOT_A_NUMBER, lambda: np.isinf(price) | odd(UNIT_PRICE)
        yield Reason.PRICE_NEGATIVE, lambda: price < 0
        if not rules.free_items:
            yield Reason.PRICE_ZERO, lambda: price == 0
    if ON_PROMOTION in frame:
        flag = frame[ON_PROMOTION].to_numpy()
        yield Reason.PROMOTION_NOT_A_FLAG, lambda: (flag < 0) | (flag > 1) | odd(ON_PROMOTION)


def _day_after(last_date: date) -> np.datetime64:
    return np.datetime64(last_date, "ns") + np.timedelta64(1, "D")


def _absent(ids: pd.Series) -> Mask:
    return ids.cat.codes.to_numpy() < 0


def _by_id(ids: pd.Series, bad: Callable[[pd.Series], Mask]) -> Mask:
    """A check on the distinct ids, spread to the rows; a missing id passes."""
    flags: Mask = np.append(bad(pd.Series(ids.cat.categories, dtype=object)), False)
    return flags[ids.cat.codes.to_numpy()]


def _unlisted(ids: pd.Series, known: pd.Series) -> Mask:
    return _by_id(ids, lambda names: ~names.isin(known.astype(str)).to_numpy())
