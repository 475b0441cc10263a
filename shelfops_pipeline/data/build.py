"""From canonical tables to the dense panel. The one place where the meaning of an absent row is decided."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Floats, Panel, State, Static, expected_opening
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.errors import DataError

_LONGEST_AHEAD = 400  # periods; no horizon is longer (settings), so a calendar further ahead is of no use
_FLAGS = (c.OPEN, c.ON_PROMOTION, c.HOLIDAY)


@dataclass(frozen=True)
class _Axes:
    """The rows and columns of the panel, and how to find them from ids and dates."""

    stores: pd.Index
    items: pd.Index
    series: NDArray[np.intp]
    """[n_stores, n_items] row of a series, -1 where there is none."""
    store_of: NDArray[np.intp]
    item_of: NDArray[np.intp]
    dates: NDArray[np.datetime64]
    step: int
    n_observed: int

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.store_of), len(self.dates)

    def periods(self, values: pd.Series) -> NDArray[np.intp]:
        days = values.to_numpy("datetime64[D]") - self.dates[0]
        return days.astype(np.int64) // self.step

    def rows(self, frame: pd.DataFrame) -> NDArray[np.intp]:
        store = _codes(frame[c.STORE_ID], self.stores)
        item = _codes(frame[c.ITEM_ID], self.items)
        return np.where((store < 0) | (item < 0), -1, self.series[store, item])


def build_panel(
    dataset: str,
    grain: Grain,
    absence: Literal["zero", "missing"],
    demand: pd.DataFrame,
    reference: Reference,
    inventory: pd.DataFrame | None = None,
) -> Panel:
    """The panel of a retailer.

    `demand` has one row per date, store and item with `quantity` (see `validation.daily_demand`). A listed item
    without a row had no demand (`absence="zero"`) or nobody knows (`"missing"`); closed stores, unlisted items and
    known stockouts are missing, never 0. Raises DataError when there is no demand at all.
    """
    if demand.empty:
        raise DataError(
            f"{dataset}: no valid transactions to build a panel from; `shelfops ingest` says why rows were refused"
        )
    axes = _axes(grain, demand, reference)
    channels, past = _covariates(axes, reference.covariates)
    if c.HOLIDAY not in channels and not reference.calendar.empty:
        channels[c.HOLIDAY], kinds = _holidays(axes, reference)
    else:
        kinds = ("1", "2", "3") if c.HOLIDAY in channels else ()
    scheduled = c.OPEN in channels
    values, state = _demand(axes, demand, absence, channels)
    if inventory is not None and not inventory.empty:
        _mark_stockouts(axes, inventory, state)
    values[state != State.OBSERVED] = np.nan
    state[:, axes.n_observed :] = State.FUTURE
    order = {name: channels[name] for name in (*c.RESERVED_CHANNELS, *sorted(channels)) if name in channels}
    return Panel(
        dataset=dataset,
        grain=grain,
        store_ids=axes.stores.to_numpy(np.str_)[axes.store_of],
        item_ids=axes.items.to_numpy(np.str_)[axes.item_of],
        dates=axes.dates,
        n_observed=axes.n_observed,
        demand=values,
        state=state,
        channels=order,
        past=past,
        static=_static(axes, reference),
        holiday_kinds=kinds,
        inferred_opening=c.OPEN in channels and not scheduled,
    )


def _codes(ids: pd.Series, index: pd.Index) -> NDArray[np.intp]:
    """Positions in `index`, -1 where absent; categoricals are looked up once per category."""
    if isinstance(ids.dtype, pd.CategoricalDtype):
        table = np.append(index.get_indexer(ids.cat.categories.astype(str)), -1)
        return table[ids.cat.codes.to_numpy()]
    return index.get_indexer(pd.Index(ids.astype(str)))


def _axes(grain: Grain, demand: pd.DataFrame, reference: Reference) -> _Axes:
    step = 7 if grain is Grain.WEEK else 1
    ahead = [f for f in reference.covariates if len(f) and bool(f[c.KNOWN_FUTURE].iloc[0])]
    planned = [f for f in ahead if {c.STORE_ID, c.ITEM_ID} <= set(f.columns)]
    pairs = pd.concat([_pairs(f) for f in (demand, *planned)]).drop_duplicates()
    stores, items = pd.Index(sorted(pairs[c.STORE_ID].unique())), pd.Index(sorted(pairs[c.ITEM_ID].unique()))
    pairs = pairs.sort_values([c.STORE_ID, c.ITEM_ID])
    store_of, item_of = stores.get_indexer(pd.Index(pairs[c.STORE_ID])), items.get_indexer(pd.Index(pairs[c.ITEM_ID]))
    series = np.full((len(stores), len(items)), -1, dtype=np.intp)
    series[store_of, item_of] = np.arange(len(pairs))
    first, last = demand[c.DATE].min(), demand[c.DATE].max()
    # Where no plan reaches ahead, the calendar does: without future periods there would be no opening hours in them.
    special = reference.calendar[c.DATE].max() if len(reference.calendar) else last
    calendar_end = min(special, last + pd.Timedelta(days=_LONGEST_AHEAD * step))
    end = max([last, calendar_end, *(f[c.DATE].max() for f in ahead)])
    dates = np.arange(
        first.to_datetime64().astype("datetime64[D]"),
        end.to_datetime64().astype("datetime64[D]") + np.timedelta64(1, "D"),
        step,
    )
    n_observed = int((last - first).days) // step + 1
    return _Axes(stores, items, series, store_of, item_of, dates, step, n_observed)


def _pairs(frame: pd.DataFrame) -> pd.DataFrame:
    unique = frame[[c.STORE_ID, c.ITEM_ID]].drop_duplicates()
    return unique.dropna().astype(str)


def _demand(
    axes: _Axes, demand: pd.DataFrame, absence: str, channels: dict[str, Floats]
) -> tuple[Floats, NDArray[np.uint8]]:
    values = np.full(axes.shape, np.nan, dtype=np.float32)
    row, period = axes.rows(demand), axes.periods(demand[c.DATE])
    # Returns can exceed sales; demand itself is never negative.
    values[row, period] = np.maximum(demand[c.QUANTITY].to_numpy(np.float32), 0)
    seen = np.isfinite(values)
    listed = np.maximum.accumulate(seen, axis=1)
    if c.PRICE in channels and absence == "missing":
        listed &= np.isfinite(channels[c.PRICE])
    state = np.where(seen, State.OBSERVED, np.where(listed, State.UNKNOWN, State.NOT_LISTED)).astype(np.uint8)
    if absence == "zero":
        trading = np.zeros((len(axes.stores), axes.shape[1]), dtype=bool)
        np.logical_or.at(trading, axes.store_of, seen)
        silent = listed & ~seen
        silent[:, axes.n_observed :] = False
        values[silent & trading[axes.store_of]] = 0  # on sale in a trading store: no transaction is no demand
        state[silent] = np.where(trading[axes.store_of], State.OBSERVED, State.CLOSED)[silent]
        if c.OPEN not in channels and not trading[:, : axes.n_observed].all():
            channels[c.OPEN] = _opening(axes, trading)[axes.store_of]
    if c.OPEN in channels:
        state[channels[c.OPEN] == 0] = State.CLOSED
    return values, state


def _opening(axes: _Axes, trading: NDArray[np.bool_]) -> Floats:
    """[n_stores, T] opening where the retailer gives no schedule: as traded, then as expected from recent weeks."""
    opening = trading.astype(np.float32)
    ahead = axes.shape[1] - axes.n_observed
    opening[:, axes.n_observed :] = expected_opening(opening[:, : axes.n_observed], ahead, 7 if axes.step == 1 else 1)
    return opening


def _mark_stockouts(axes: _Axes, inventory: pd.DataFrame, state: NDArray[np.uint8]) -> None:
    """A period that ended with nothing on hand censors demand."""
    empty = inventory[inventory[c.ON_HAND] <= 0]
    row, period = axes.rows(empty), axes.periods(empty[c.DATE])
    inside = (row >= 0) & (period >= 0) & (period < axes.n_observed)
    row, period = row[inside], period[inside]
    observed = state[row, period] == State.OBSERVED
    state[row[observed], period[observed]] = State.STOCKOUT


def _covariates(axes: _Axes, frames: list[pd.DataFrame]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    known: dict[str, Floats] = {}
    past: dict[str, Floats] = {}
    for frame in frames:
        if frame.empty:
            continue
        name = str(frame[c.NAME].iloc[0])
        values = _scatter(axes, frame)
        if bool(frame[c.KNOWN_FUTURE].iloc[0]):
            known[name] = values
        else:
            values[:, axes.n_observed :] = np.nan
            past[name] = values
    return known, past


def _scatter(axes: _Axes, frame: pd.DataFrame) -> Floats:
    """One covariate as [S, T], broadcast over the ids that its rows do not name; rows that name more go first."""
    ids = [key for key in (c.STORE_ID, c.ITEM_ID) if key in frame]
    unnamed = [key for key in ids if frame[key].isna().any()]
    if not unnamed:
        return _spread(axes, frame, ids)
    out = np.full(axes.shape, np.nan, dtype=np.float32)
    named = frame[ids].notna()
    for pattern in sorted(named.drop_duplicates().to_numpy().tolist(), key=sum):  # at most four
        part = frame[(named == pattern).all(axis=1)]
        values = _spread(axes, part, [key for key, there in zip(ids, pattern, strict=True) if there])
        out = np.where(np.isfinite(values), values, out)
    return out


def _spread(axes: _Axes, frame: pd.DataFrame, ids: list[str]) -> Floats:
    """[S, T] the rows of a frame that name `ids`, and no others."""
    if len(ids) == 2:
        return _table(axes, frame, axes.rows(frame), axes.shape[0])
    if not ids:
        line = _table(axes, frame, np.zeros(len(frame), dtype=np.intp), 1)
        return np.broadcast_to(line, axes.shape).copy()
    index, of = (axes.stores, axes.store_of) if ids == [c.STORE_ID] else (axes.items, axes.item_of)
    return _table(axes, frame, _codes(frame[ids[0]], index), len(index))[of]


def _table(axes: _Axes, frame: pd.DataFrame, row: NDArray[np.intp], n_rows: int) -> Floats:
    """[n_rows, T] the frame's values; -1 is no row. Days that share a period are summed up as demand is: a flag holds
    if it held on any day, anything else is the mean."""
    period, value = axes.periods(frame[c.DATE]), frame[c.VALUE].to_numpy(np.float32)
    inside = (row >= 0) & (period >= 0) & (period < axes.shape[1]) & np.isfinite(value)
    row, period, value = row[inside], period[inside], value[inside]
    out = np.full((n_rows, axes.shape[1]), np.nan, dtype=np.float32)
    if axes.step == 1:
        out[row, period] = value
    elif frame[c.NAME].iloc[0] in _FLAGS:
        np.fmax.at(out, (row, period), value)
    else:
        cell = row * axes.shape[1] + period
        count = np.bincount(cell, minlength=out.size)
        np.divide(np.bincount(cell, value, out.size), count, out=out.reshape(-1), where=count > 0, casting="unsafe")
    return out


def _holidays(axes: _Axes, reference: Reference) -> tuple[Floats, tuple[str, ...]]:
    """The calendar as a channel of kind codes; where several fall on one period the alphabetically last kind wins."""
    calendar = reference.calendar.sort_values(c.KIND)
    kinds = tuple(sorted(calendar[c.KIND].astype(str).unique()))
    table = np.zeros((len(axes.stores), axes.shape[1]), dtype=np.float32)
    stores = reference.stores.assign(**{c.STORE_ID: reference.stores[c.STORE_ID].astype(str)}).set_index(c.STORE_ID)
    for scope, days in calendar.groupby(c.SCOPE, sort=False, observed=True):
        where = np.ones(len(axes.stores), dtype=bool)
        if scope != "all":
            attribute, _, value = str(scope).partition(":")
            if attribute not in stores:
                raise DataError(
                    f"calendar: scope '{scope}' names no store attribute; known: {', '.join(stores.columns)}"
                )
            where = stores[attribute].reindex(axes.stores).astype(str).to_numpy() == value
        period = axes.periods(days[c.DATE])
        inside = (period >= 0) & (period < axes.shape[1])
        code = np.array([kinds.index(k) + 1 for k in days[c.KIND].astype(str)], dtype=np.float32)
        cells = np.ix_(where, period[inside])
        table[cells] = np.maximum(table[cells], code[inside])  # codes rise with the kinds' names
    return table[axes.store_of], kinds


def _static(axes: _Axes, reference: Reference) -> dict[str, Static]:
    """Ids and textual attributes of stores and items as codes. Numbers (cost, case pack) are for replenishment."""
    static = {
        c.STORE_ID: Static(axes.store_of.astype(np.int32), tuple(axes.stores)),
        c.ITEM_ID: Static(axes.item_of.astype(np.int32), tuple(axes.items)),
    }
    tables = (
        (reference.stores, c.STORE_ID, axes.stores, axes.store_of),
        (reference.items, c.ITEM_ID, axes.items, axes.item_of),
    )
    for frame, key, index, of in tables:
        if frame.empty:
            continue
        aligned = frame.assign(**{key: frame[key].astype(str)}).drop_duplicates(key).set_index(key).reindex(index)
        for name in aligned.columns:
            if name.endswith("_id") or pd.api.types.is_numeric_dtype(aligned[name]):
                continue
            codes, categories = pd.factorize(aligned[name].astype("object"), sort=True)
            if len(categories) > 1:
                static[str(name)] = Static(codes[of].astype(np.int32), tuple(str(x) for x in categories))
    if len(axes.items) == 1:
        del static[c.ITEM_ID]
    elif len(axes.stores) == 1:
        del static[c.STORE_ID]
    return static
