"""Covariates of a mapping: what is planned (prices, promotions, opening, ...), and what is known afterwards."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    DATE,
    HOLIDAY,
    ITEM_ID,
    LINE,
    ON_PROMOTION,
    OPEN,
    PRICE,
    QUANTITY,
    SOURCE,
    STORE_ID,
    STORE_TOTAL,
    UNIT_PRICE,
    VALUE,
    Grain,
)
from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.calendars import AHEAD
from shelfops_pipeline.data.mapping import UNTIL, Mapping, Plan, Table
from shelfops_pipeline.data.sources.cells import Kind
from shelfops_pipeline.data.sources.mapped_tables import MappedTable
from shelfops_pipeline.data.tables import EARLIEST, between, covariate, joined, sound
from shelfops_pipeline.data.weeks import mondays
from shelfops_pipeline.errors import DataError

_KEYS: Final = (DATE, STORE_ID, ITEM_ID)
# What of a channel the transactions themselves say, under the name that it has there.
_SOLD: Final = {ON_PROMOTION: ON_PROMOTION, PRICE: UNIT_PRICE}
_LARGEST: Final = float(np.finfo(np.float32).max)
_MEANING: Final = {
    OPEN: "opening (1 open, 0 closed)",
    HOLIDAY: "kind of holiday (0 none, 1, 2 or 3)",
    ON_PROMOTION: "promotion (1 or 0)",
    PRICE: "price",
}


def covariates_of(
    mapping: Mapping, folder: Path | None, span: tuple[date, date], sold: Callable[[], pd.DataFrame]
) -> list[pd.DataFrame]:
    """One frame per covariate: plans from the first sale to 400 days past the last, the others up to the last. Where
    there are store totals, they and all that is not of single items begin with the first total.

    A channel that is both planned and in the transactions (promotions, prices) is one: where both speak, what was
    sold counts. `sold` gives the transactions, and is only called for that. Raises DataError as the tables do.
    """
    first, last = span
    reach = last + AHEAD
    seen, since = _seen(mapping, folder, first, last)
    planned: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for i, plan in enumerate(mapping.known_future):
        begin = first if ITEM_ID in plan.columns else since
        of_sales = _of_sales(plan, mapping)
        for name, rows in _planned(plan, f"known_future.{i}", folder, begin, reach, of_sales=of_sales):
            planned[name].append(rows)
    for name, column in _SOLD.items():
        if name in planned and column in mapping.transactions.columns:
            history = _history(sold(), name, column, mapping.grain)
            planned[name] = [*(_unsold(rows, history, mapping.grain) for rows in planned[name]), history]
    frames = [_covariate(name, parts, known_future=True) for name, parts in planned.items()]
    return frames + [_covariate(name, parts, known_future=False) for name, parts in seen.items()]


def _seen(mapping: Mapping, folder: Path | None, first: date, last: date) -> tuple[dict[str, list[pd.DataFrame]], date]:
    """Rows of what is known only afterwards, by name, and the day with which what is not of single items begins: the
    first of the store totals, which go back as far as they are given, else `first`."""
    seen: dict[str, list[pd.DataFrame]] = defaultdict(list)
    since = first
    for total in (True, False):
        for i, table in enumerate(mapping.past):
            if (STORE_TOTAL in table.covariates) is not total:
                continue
            begin = EARLIEST if total else first if ITEM_ID in table.columns else since
            of_sales = _of_sales(table, mapping)
            rows = between(_read(table, f"past.{i}", folder, begin, last, of_sales=of_sales), begin, last, DATE)
            if total and len(rows):
                since = min(since, rows[DATE].min().date())
            for name in table.covariates:
                _check(name, rows, f"past.{i}")
                seen[name].append(_channel(rows, name))
    return seen, since


def _of_sales(table: Table, mapping: Mapping) -> bool:
    """Does it read what the transactions read?"""
    sales = mapping.transactions
    return (table.files, table.sql) == (sales.files, sales.sql)


def _read(
    table: Table, what: str, folder: Path | None, start: date, end: date, *, of_sales: bool = False
) -> pd.DataFrame:
    """All rows; of the table of sales those that name a day and all their ids, and of these what can be right. The
    others are no plan, and the gate tells of them: a line of totals must not stop what it does not stop there."""
    kinds: dict[str, Kind] = {DATE: "date", UNTIL: "end", STORE_ID: "id", ITEM_ID: "id", PRICE: "number"}
    kinds = {name: kinds.get(name, "flag") for name in table.columns}
    rows = MappedTable(table, what, folder, kinds, lenient=of_sales).read(start, end)
    if not of_sales:
        return rows
    rows = rows[rows[[name for name in _KEYS if name in rows]].notna().all(axis=1)].reset_index(drop=True)
    possible = {name: rows[name].mask(_impossible(name, rows[name].to_numpy())) for name in table.covariates}
    if PRICE in possible:  # what was given away says no price, as in `_history`
        possible[PRICE] = possible[PRICE].where(possible[PRICE] > 0)
    return rows.assign(**possible)


def _planned(
    plan: Plan, what: str, folder: Path | None, first: date, reach: date, *, of_sales: bool
) -> Iterator[tuple[str, pd.DataFrame]]:
    """(name, rows) of a plan's covariates within first..reach; `absence: zero` is a 0 for all under the rows."""
    rows = _read(plan, what, folder, first, reach, of_sales=of_sales)
    if UNTIL in rows:
        rows = _each_day(rows, what, first, reach)
    rows = between(rows, first, reach, DATE)
    for name in plan.covariates:
        _check(name, rows, what)
        channel = _channel(rows, name)
        if plan.absence == "zero":
            every = pd.date_range(first, reach, unit="ns")
            yield name, pd.DataFrame({DATE: every, VALUE: 0.0})
        yield name, channel


def _each_day(rows: pd.DataFrame, what: str, first: date, reach: date) -> pd.DataFrame:
    """A row for every day on which each row holds, within first..reach; one without an end holds on."""
    start, end = rows[DATE].to_numpy("datetime64[D]"), rows[UNTIL].to_numpy("datetime64[D]")
    if (end < start).any():
        row = int(np.argmax(end < start))
        raise DataError(f"{what}: a row holds from {start[row]} until {end[row]}, which is earlier{_place(rows, row)}")
    low = np.maximum(start, np.datetime64(first))
    high = np.minimum(np.where(np.isnat(end), np.datetime64(reach), end), np.datetime64(reach))
    length = np.maximum((high - low).astype(np.int64) + 1, 0)
    of = np.repeat(np.arange(len(rows)), length)
    offset = np.arange(len(of)) - np.repeat(np.cumsum(length) - length, length)
    return rows.iloc[of].assign(**{DATE: (low[of] + offset).astype("datetime64[ns]")}).reset_index(drop=True)


def _check(name: str, rows: pd.DataFrame, what: str) -> None:
    """Raises DataError for a value that the channel cannot have."""
    values = rows[name].to_numpy()
    wrong = _impossible(name, values)
    if wrong.any():
        row = int(np.argmax(wrong))
        told = f"{values[row]:g} is no {_MEANING.get(name, 'number')}"
        raise DataError(f"{what}: columns.{name}: {told}{_place(rows, row)}")


def _place(rows: pd.DataFrame, row: int) -> str:
    """Where a row stands, of a file of text."""
    return f" ({rows[SOURCE].iloc[row]}, line {rows[LINE].iloc[row]})" if LINE in rows else ""


def _impossible(name: str, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values no channel of that name can have, channels being of single precision; an unknown one is none."""
    wrong: NDArray[np.bool_] = {
        OPEN: (values != 0) & (values != 1),
        HOLIDAY: ~np.isin(values, (0, 1, 2, 3)),
        ON_PROMOTION: values < 0,
        PRICE: values < 0,
    }.get(name, np.zeros(len(values), dtype=bool))
    return (wrong | (np.abs(values) > _LARGEST)) & ~np.isnan(values)


def _channel(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """[date, store_id?, item_id?, value] of one covariate."""
    chosen = rows[[key for key in _KEYS if key in rows]].assign(**{VALUE: rows[name]})
    return chosen.assign(**{VALUE: chosen[VALUE].clip(upper=1)}) if name == ON_PROMOTION else chosen


def _history(sold: pd.DataFrame, name: str, column: str, grain: Grain) -> pd.DataFrame:
    """A channel as the transactions tell it, per period, store and item."""
    rows = sound(sold)
    value = rows[column].to_numpy()
    usable = (value >= 0) & (value <= 1) if name == ON_PROMOTION else value > 0
    usable &= np.isfinite(rows[QUANTITY].to_numpy())  # else the gate refuses the row
    periods = daily_demand(rows[usable & np.isfinite(value)].reset_index(drop=True), grain)
    return periods[list(_KEYS)].assign(**{VALUE: periods[column]})


def _unsold(rows: pd.DataFrame, history: pd.DataFrame, grain: Grain) -> pd.DataFrame:
    """The plan's rows without the weeks of which the transactions speak: a day's later row counts by itself, but days
    of a plan would be averaged with the week that was sold."""
    if grain is Grain.DAY or not set(_KEYS) <= set(rows):
        return rows
    ids = [STORE_ID, ITEM_ID]
    weeks = rows[ids].astype(str).assign(**{DATE: mondays(rows[DATE].to_numpy()).astype("datetime64[ns]")})
    known = pd.MultiIndex.from_frame(history[[DATE, *ids]].astype(dict.fromkeys(ids, str)))
    return rows[~pd.MultiIndex.from_frame(weeks[[DATE, *ids]]).isin(known)].reset_index(drop=True)


def _covariate(name: str, parts: list[pd.DataFrame], *, known_future: bool) -> pd.DataFrame:
    rows = joined(parts)
    ids = {key: rows[key] for key in (STORE_ID, ITEM_ID) if key in rows}
    return covariate(name, rows[DATE], rows[VALUE], **ids, known_future=known_future)
