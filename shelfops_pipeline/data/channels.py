"""Reference tables as panel channels: covariates, holidays and static attributes on the axes of the panel."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.data.axes import Axes
from shelfops_pipeline.data.panel import Floats, Static
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.tables import codes_in
from shelfops_pipeline.errors import DataError

_FLAGS = (c.OPEN, c.ON_PROMOTION, c.HOLIDAY)


def covariate_channels(axes: Axes, frames: Sequence[pd.DataFrame]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """The covariates by name [S, T]: those known in advance, and those known only afterwards (NaN ahead)."""
    known: dict[str, Floats] = {}
    past: dict[str, Floats] = {}
    of_weeks = [_holiday_days(frame) for frame in frames if axes.step > 1 and _name(frame) == c.HOLIDAY]
    for frame in (*frames, *of_weeks):
        if frame.empty:
            continue
        name = _name(frame)
        if name == c.STORE_TOTAL:
            continue
        values = _scatter(axes, frame)
        if bool(frame[c.KNOWN_FUTURE].iloc[0]):
            known[name] = values
        else:
            values[:, axes.n_observed :] = np.nan
            past[name] = values
    return known, past


def _name(frame: pd.DataFrame) -> str:
    return "" if frame.empty else str(frame[c.NAME].iloc[0])


def _holiday_days(holidays: pd.DataFrame) -> pd.DataFrame:
    """A covariate that is 1 on every holiday, to be added up over weeks."""
    days = holidays.copy()
    days[c.NAME], days[c.VALUE] = c.HOLIDAY_DAYS, (holidays[c.VALUE] > 0).astype(np.float32)
    return days


def _scatter(axes: Axes, frame: pd.DataFrame) -> Floats:
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


def _spread(axes: Axes, frame: pd.DataFrame, ids: list[str]) -> Floats:
    """[S, T] the rows of a frame that name `ids`, and no others."""
    if len(ids) == 2:
        return _table(axes, frame, axes.rows(frame), axes.shape[0])
    if not ids:
        line = _table(axes, frame, np.zeros(len(frame), dtype=np.intp), 1)
        return np.broadcast_to(line, axes.shape).copy()
    index, of = (axes.stores, axes.store_of) if ids == [c.STORE_ID] else (axes.items, axes.item_of)
    return _table(axes, frame, codes_in(frame[ids[0]], index), len(index))[of]


def _table(axes: Axes, frame: pd.DataFrame, row: NDArray[np.intp], n_rows: int) -> Floats:
    """[n_rows, T] the frame's values; -1 is no row. Days that share a period are summed up as demand is: a flag holds
    if it held on any day, holidays are counted, anything else is the mean."""
    period, value = axes.periods(frame[c.DATE]), frame[c.VALUE].to_numpy(np.float32)
    inside = (row >= 0) & (period >= 0) & (period < axes.shape[1]) & np.isfinite(value)
    row, period, value = row[inside], period[inside], value[inside]
    out = np.full((n_rows, axes.shape[1]), np.nan, dtype=np.float32)
    if axes.step == 1:
        out[row, period] = value
    elif _name(frame) in _FLAGS:
        np.fmax.at(out, (row, period), value)
    else:
        cell = row * axes.shape[1] + period
        count = np.bincount(cell, minlength=out.size)
        if _name(frame) == c.HOLIDAY_DAYS:
            count = np.minimum(count, 1)
        np.divide(np.bincount(cell, value, out.size), count, out=out.reshape(-1), where=count > 0, casting="unsafe")
    return out


def holiday_channels(axes: Axes, reference: Reference) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """The calendar as a channel of kind codes, and the kinds; where several fall on one period the alphabetically last
    kind wins. Of weeks also how many of their days are holidays."""
    calendar = reference.calendar.sort_values(c.KIND)
    kinds = tuple(sorted(calendar[c.KIND].astype(str).unique()))
    table = np.zeros((len(axes.stores), axes.shape[1] * axes.step), dtype=np.float32)  # by day
    stores = reference.stores.assign(**{c.STORE_ID: reference.stores[c.STORE_ID].astype(str)}).set_index(c.STORE_ID)
    for scope, days in calendar.groupby(c.SCOPE, sort=False, observed=True):
        where = np.ones(len(axes.stores), dtype=bool)
        if scope != "all":
            attribute, _, value = str(scope).partition(":")
            if attribute not in stores:
                raise DataError(
                    f"calendar: scope '{scope}' names no store attribute; known: {', '.join(stores.columns)}"
                )
            where = stores[attribute].astype(str).reindex(axes.stores).to_numpy() == value
        on = (days[c.DATE].to_numpy("datetime64[D]") - axes.dates[0]).astype(np.int64)
        inside = (on >= 0) & (on < table.shape[1])
        code = np.array([kinds.index(k) + 1 for k in days[c.KIND].astype(str)], dtype=np.float32)
        cells = np.ix_(where, on[inside])
        table[cells] = np.maximum(table[cells], code[inside])  # codes rise with the kinds' names
    by_period = table.reshape(len(table), -1, axes.step)
    channels = {c.HOLIDAY: by_period.max(axis=2)[axes.store_of]}
    if axes.step > 1:
        channels[c.HOLIDAY_DAYS] = (by_period > 0).sum(axis=2, dtype=np.float32)[axes.store_of]
    return channels, kinds


def static_attributes(axes: Axes, reference: Reference) -> dict[str, Static]:
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
