"""Behaviour of similar series: the store, the item in other stores, the category within the store, and items and stores
that share an attribute.

Group sums at a few origins are added up once, chunk by chunk of series; what is kept grows with the number of groups
and origins, not with the history. A series that is to look new is taken out of its own groups; one whose item (or
store) is to look new belongs to no group of that item (store) at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import CATEGORY, ITEM_ID, STORE_ID
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.arrays import Bools, Doubles, Floats, ratio
from shelfops_pipeline.features.expanding import expanding_sums

Codes = NDArray[np.intp]
Marks = NDArray[np.uint8]

# What of a series is to look new, as bits; 0 is a series shown as it is known.
NEW_SERIES: Final = 1
NEW_ITEM: Final = 2
NEW_STORE: Final = 4
_NEW: Final = {ITEM_ID: NEW_ITEM, STORE_ID: NEW_STORE}

_CHUNK = 128  # series; always the same, so that sums add up in one order whatever else is done in blocks


@dataclass(frozen=True)
class Sums:
    """What n series add to their groups at one origin or several: [n, ..., 2], a sum and a count."""

    month: Doubles
    short: Doubles
    season: Doubles
    """[n, ..., season, 2] of the last `month` by position in the season; the last one has the origin's position."""
    all: Doubles
    """everything up to the origin"""

    @classmethod
    def of(cls, values: Doubles, counts: Doubles, so_far: Doubles, spec: TierSpec) -> Self:
        """From the last `month` periods [n, ..., month] (0 where missing) and the sums of everything [n, ..., 2]."""
        cells = np.stack([values, counts], axis=-1)
        seasons = cells.reshape(*values.shape[:-1], -1, spec.season, 2).sum(axis=-3)
        return cls(cells.sum(axis=-2), cells[..., -spec.short :, :].sum(axis=-2), seasons, so_far)

    def of_those(self, rows: Bools) -> Self:
        """The sums of some of the series; of the others, nothing."""
        return replace(self, **{f.name: (getattr(self, f.name).T * rows).T for f in fields(self)})


@dataclass(frozen=True)
class Asked:
    """n series at one origin, and what of them is to look new."""

    k: int
    """position among the origins"""
    rows: Codes
    """[n] series of the panel"""
    new: Marks
    """[n] bits of NEW_SERIES, NEW_ITEM, NEW_STORE"""
    own: Sums
    """what those to look new add to their groups; of the others, nothing"""


@dataclass(frozen=True)
class Group:
    """Series that are alike in something."""

    codes: Codes
    """[S] group of each series of the panel, -1: none"""
    within: str | None
    """STORE_ID where a group lies within one store, ITEM_ID within one item, None where it spans several of both"""


class Likes:
    """Group levels at a few origins. Groups are formed by attributes only, so a series without history has them too."""

    def __init__(self, panel: Panel, spec: TierSpec, transform: Transform, origins: Codes) -> None:
        self._spec = spec
        self._groups = {
            "store": Group(codes_of(panel, STORE_ID), STORE_ID),
            "item": Group(codes_of(panel, ITEM_ID), ITEM_ID),
            "category": _category(panel),
        }
        self._groups |= {like(name): _attribute_groups(panel, name) for name in spec.like}
        sizes = {name: int(group.codes.max()) + 1 for name, group in self._groups.items()}
        n = len(origins)
        self._month = {name: np.zeros((size, n, 2)) for name, size in sizes.items()}
        self._short = {name: np.zeros((sizes[name], n, 2)) for name in ("store", "item", "category")}
        self._season = np.zeros((sizes["category"], n, spec.season, 2))
        self._all = {name: np.zeros((sizes[name], n, 2)) for name in ("store", "item")}
        for chunk, sums in _chunks(panel, spec, transform, origins):
            self._add(chunk, sums)
        self._everything = self._all["store"].sum(axis=0)

    def _add(self, chunk: slice, sums: Sums) -> None:
        for name, group in self._groups.items():
            codes = group.codes[chunk]
            _add_groups(self._month[name], codes, sums.month)
            if name in self._short:
                _add_groups(self._short[name], codes, sums.short)
            if name in self._all:
                _add_groups(self._all[name], codes, sums.all)
        _add_groups(self._season, self._groups["category"].codes[chunk], sums.season)

    def scalars(self, asked: Asked) -> dict[str, Floats]:
        """Level and recent trend of the groups of n series, [n] each."""
        month = self._spec.month
        out: dict[str, Floats] = {}
        for name in self._groups:
            level = self._level(name, asked)
            out[f"{name}_level_{month}"] = level
            if name in self._short:
                out[f"{name}_trend"] = _mean(self._of(name, self._short[name], asked, asked.own.short)) - level
        return out

    def seasonal(self, asked: Asked) -> Floats:
        """[n, season] the category's deviation from its level by season position, the origin's last."""
        deviation = _mean(self._of("category", self._season, asked, asked.own.season))
        return deviation - self._level("category", asked)[:, None]

    def level(self, asked: Asked) -> Floats:
        """[n] what a new series can be expected to sell: like its category here, else the item, the store, anything."""
        out = np.full(len(asked.rows), np.nan, dtype=np.float32)
        for name in ("category", "item", "store"):
            out = np.where(np.isfinite(out), out, self._level(name, asked))
        out = np.where(np.isfinite(out), out, _mean(self._others(asked)))
        return np.where(np.isfinite(out), out, np.float32(0))

    def known(self, key: str, asked: Asked) -> Bools:
        """[n] has the item (or store) of each series any history at all?"""
        name = "item" if key == ITEM_ID else "store"
        return self._of(name, self._all[name], asked, asked.own.all)[..., 1] > 0

    def _others(self, asked: Asked) -> Doubles:
        """[n, 2] the sums of everything but the series, and but its item or store where that is to look new."""
        less = asked.own.all.copy()
        item, store = (
            self._all[name][self._groups[name].codes[asked.rows], asked.k] - asked.own.all for name in ("item", "store")
        )
        for mark, rest in ((NEW_ITEM, item), (NEW_STORE, store)):
            marked = (asked.new & mark) > 0
            less[marked] += rest[marked]
        return self._everything[asked.k] - less

    def _level(self, name: str, asked: Asked) -> Floats:
        return _mean(self._of(name, self._month[name], asked, asked.own.month))

    def _of(self, name: str, sums: Doubles, asked: Asked, own: Doubles) -> Doubles:
        """The sums of each series' group without its own; of no group, nothing."""
        group = self._groups[name]
        codes = group.codes[asked.rows]
        found = sums[codes, asked.k] - own
        found[codes < 0] = 0
        if group.within is not None:
            found[(asked.new & _NEW[group.within]) > 0] = 0
        return found


def like(attribute: str) -> str:
    """Prefix of the features of series that share an attribute."""
    return f"like_{attribute}"


def _mean(sums: Doubles) -> Floats:
    return ratio(sums[..., 0], sums[..., 1])


def _chunks(panel: Panel, spec: TierSpec, transform: Transform, origins: Codes) -> Iterator[tuple[slice, Sums]]:
    """(rows, what they add to their groups at each origin), chunk by chunk."""
    end = int(origins[-1]) + 1
    for low in range(0, panel.n_series, _CHUNK):
        chunk = slice(low, low + _CHUNK)
        y = np.asarray(panel.demand[chunk, :end])
        seen = np.isfinite(y)
        z = np.where(seen, np.log1p(y) if transform == "log" else y, 0)
        total, count = expanding_sums(np.where(seen, z, np.nan), origins)
        so_far = np.stack([total, count.astype(np.float64)], axis=-1)
        values, counts = (_ending(v, origins, spec.month) for v in (z, seen))
        yield chunk, Sums.of(values, counts, so_far, spec)


def _ending(values: NDArray[np.generic], origins: Codes, periods: int) -> Doubles:
    """[S, n, periods] the windows that end with each origin; 0 before the first period."""
    padded = np.pad(values, ((0, 0), (periods - 1, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, periods, axis=1)[:, origins].astype(np.float64)


def _add_groups(total: Doubles, codes: Codes, values: Doubles) -> None:
    """Add values [S, ...] to total [G, ...] by group; series with a negative code belong to none."""
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    if len(order):
        present, starts = np.unique(codes[order], return_index=True)
        total[present] += np.add.reduceat(values[order], starts, axis=0)


def category_groups(panel: Panel) -> Codes:
    """[S] store x category; a retailer of one item is grouped by the first attribute of its stores instead."""
    return _category(panel).codes


def _category(panel: Panel) -> Group:
    if CATEGORY in panel.static:
        return Group(_pairs(codes_of(panel, STORE_ID), panel.static[CATEGORY].codes), STORE_ID)
    attributes = [k for k in panel.static if k not in (STORE_ID, ITEM_ID)]
    if ITEM_ID not in panel.static and attributes:
        return Group(panel.static[attributes[0]].codes.astype(np.intp) + 1, None)
    return Group(codes_of(panel, STORE_ID), STORE_ID)


def _attribute_groups(panel: Panel, name: str) -> Group:
    """Of an attribute of items: the items in the store that share it; of stores: the item in the stores that share
    it. -1 where the attribute is unknown."""
    store, item = codes_of(panel, STORE_ID), codes_of(panel, ITEM_ID)
    attribute = panel.static[name].codes
    of_stores = int(_pairs(store, attribute).max()) == int(store.max())
    codes = np.where(attribute < 0, -1, _pairs(item if of_stores else store, attribute))
    return Group(codes, ITEM_ID if of_stores else STORE_ID)


def _pairs(first: Codes, second: NDArray[np.integer]) -> Codes:
    """A code per pair that occurs."""
    _, pair = np.unique(np.stack([first, second.astype(np.intp)]), axis=1, return_inverse=True)
    return pair.reshape(-1)


def codes_of(panel: Panel, key: str) -> Codes:
    """[S] the store (or item) of each series, as a number from 0."""
    ids = panel.store_ids if key == STORE_ID else panel.item_ids
    return np.unique(ids, return_inverse=True)[1].reshape(-1)
