"""Totals of series as a panel of their own: what whole stores sold, or a store's departments.

A total is smoother than its series: level, weekday, payday and holiday show in it that drown in a single item. The
totals of a store may also be known for longer than its items (`Panel.store_totals`).
"""

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, ITEM_ID, ON_PROMOTION, OPEN, PRICE, STORE_ID
from shelfops_pipeline.data.panel import Floats, Panel, State, Static
from shelfops_pipeline.features.likes import codes_of

Groups = NDArray[np.intp]

PROMOTED_SHARE = "promoted_share"
_CLOSED_SHARE = 0.05  # of its median: a store that sells less than that is closed, whatever the calendar says
_LEAST_MEDIAN = 20.0  # units: a smaller total may well be 0 by chance
_PERIODS = 64  # summed at once: bounds the copy
_LEAST_SERIES = 4  # per total, on average: a total of fewer says little that its series do not


def totals_of(panel: Panel) -> tuple[Panel, Groups] | None:
    """(panel of G totals, [S] the total that each series is part of).

    Whole stores where their history is the longer one and known of every store, else the finest that `groups_of`
    finds; None where that is hardly fewer than the series. Known-future channels are those of a total's first series
    where they are the store's (holidays, opening) and means of the rest; prices are left out.
    """
    if panel.store_totals is not None:
        position = {store: row for row, store in enumerate(panel.store_totals.store_ids)}
        known = np.array([position.get(store, -1) for store in panel.store_ids], dtype=np.intp)
        if (known >= 0).all():
            return _levelled(panel, panel.store_totals, known), known
    groups = groups_of(panel)
    return None if groups is None else (_summed(panel, groups), groups)


def _levelled(panel: Panel, totals: Panel, groups: Groups) -> Panel:
    """The store totals, days on which a store was closed left out, in the units of what their series sold together in
    the periods in which both are known: a total may be revenue, or hold items that are not forecast."""
    n = panel.n_observed
    given = np.where(_closed(totals.demand), np.float32(np.nan), totals.demand)
    theirs = given[:, totals.n_observed - n : totals.n_observed]
    ours = sum_by(panel.demand[:, :n], groups)
    both = np.isfinite(theirs) & (ours > 0)
    whole = np.where(both, theirs, 0).sum(axis=1, dtype=np.float64)
    part = np.where(both, ours, 0).sum(axis=1, dtype=np.float64)
    ratio = np.divide(part, whole, out=np.ones_like(whole), where=(whole > 0) & (part > 0))
    demand = (given * ratio[:, None]).astype(np.float32)
    return replace(totals, demand=demand, state=_states(np.isfinite(demand), totals.state))


def _closed(demand: Floats) -> NDArray[np.bool_]:
    """[G, T] periods in which next to nothing was sold: a lone day of 0 would teach that such days sell nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a total that was never seen has no median
        median = np.nanmedian(demand, axis=1, keepdims=True)
    return (demand < _CLOSED_SHARE * median) & (median >= _LEAST_MEDIAN)


def _states(seen: NDArray[np.bool_], otherwise: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """OBSERVED where seen, elsewhere as given; what was given as observed and is not seen is unknown."""
    state = np.where(seen, State.OBSERVED, otherwise).astype(np.uint8)
    state[~seen & (state == State.OBSERVED)] = State.UNKNOWN
    return state


def groups_of(panel: Panel) -> Groups | None:
    """[S] store x the finest attribute of items that still groups them, else the store; None: too few series for it."""
    store, item = codes_of(panel, STORE_ID), codes_of(panel, ITEM_ID)
    found: list[Groups] = [store]
    for name, static in panel.static.items():
        if name not in (STORE_ID, ITEM_ID) and _belongs_to(item, static.codes):
            found.append(np.unique(np.stack([store, static.codes]), axis=1, return_inverse=True)[1].reshape(-1))
    usable = [g for g in found if panel.n_series >= _LEAST_SERIES * (g.max() + 1)]
    return max(usable, key=lambda g: int(g.max())) if usable else None


def _belongs_to(item: Groups, codes: NDArray[np.int32]) -> bool:
    """Does every item have one value of this attribute, whatever the store?"""
    pairs = np.unique(np.stack([item, codes]), axis=1)
    return pairs.shape[1] == len(np.unique(item))


def _summed(panel: Panel, groups: Groups) -> Panel:
    first = np.unique(groups, return_index=True)[1]
    seen = sum_by(np.isfinite(panel.demand), groups) > 0
    demand = sum_by(panel.demand, groups)
    demand[~seen] = np.nan
    seen &= ~_closed(demand)
    demand[~seen] = np.nan
    channels: dict[str, Floats] = {}
    for name, values in panel.channels.items():
        if name in (OPEN, HOLIDAY):
            channels[name] = np.array(values[first])
        elif name != PRICE:
            label = PROMOTED_SHARE if name == ON_PROMOTION else name
            channels[label] = _mean_by(values, groups)
    one_each = {
        name: Static(static.codes[first], static.categories)
        for name, static in panel.static.items()
        if (static.codes == static.codes[first][groups]).all()
    }
    return replace(
        panel,
        store_ids=panel.store_ids[first],
        item_ids=np.array([f"total {g}" for g in range(len(first))]),
        demand=demand,
        state=_states(seen, panel.state[first]),
        channels=channels,
        past={},
        static=one_each,
        store_totals=None,
    )


def _mean_by(values: Floats, groups: Groups) -> Floats:
    """[G, T] means over what is known; NaN where nothing is."""
    count = sum_by(np.isfinite(values), groups)
    unknown = np.full_like(count, np.nan)
    return np.divide(sum_by(values, groups), count, out=unknown, where=count > 0)


def sum_by(values: NDArray[np.generic], groups: Groups) -> Floats:
    """[G, T] sums of the rows of each group; what is not known adds nothing."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(int(groups.max()) + 1))
    out = np.empty((len(starts), values.shape[1]), dtype=np.float32)
    for low in range(0, values.shape[1], _PERIODS):
        part = np.nan_to_num(np.asarray(values[:, low : low + _PERIODS], dtype=np.float64)[order])
        out[:, low : low + _PERIODS] = np.add.reduceat(part, starts, axis=0)
    return out
