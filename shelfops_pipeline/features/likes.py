"""Behaviour of similar series: the store, the item in other stores, the category within the store, and items and stores
that share an attribute.

Group sums at a few origins are added up once, chunk by chunk of series; what is kept grows with the number of groups
and origins, not with the history. A series that is to look new is taken out of its own groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import CATEGORY, ITEM_ID, STORE_ID
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.arrays import Bools, Doubles, Floats, ratio

Codes = NDArray[np.intp]

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


class Likes:
    """Group levels at a few origins. Groups are formed by attributes only, so a series without history has them too."""

    def __init__(self, panel: Panel, spec: TierSpec, transform: Transform, origins: Codes) -> None:
        self._spec = spec
        self._groups = {
            "store": codes_of(panel, STORE_ID),
            "item": codes_of(panel, ITEM_ID),
            "category": category_groups(panel),
        }
        self._groups |= {like(name): _attribute_groups(panel, name) for name in spec.like}
        sizes = {name: int(codes.max()) + 1 for name, codes in self._groups.items()}
        n = len(origins)
        self._month = {name: np.zeros((size, n, 2)) for name, size in sizes.items()}
        self._short = {name: np.zeros((sizes[name], n, 2)) for name in ("store", "item", "category")}
        self._season = np.zeros((sizes["category"], n, spec.season, 2))
        self._all = np.zeros((n, 2))
        for chunk, sums in _chunks(panel, spec, transform, origins):
            self._add(chunk, sums)

    def _add(self, chunk: slice, sums: Sums) -> None:
        for name, codes in self._groups.items():
            _add_groups(self._month[name], codes[chunk], sums.month)
            if name in self._short:
                _add_groups(self._short[name], codes[chunk], sums.short)
        _add_groups(self._season, self._groups["category"][chunk], sums.season)
        self._all += sums.all.sum(axis=0)

    def scalars(self, k: int, rows: Codes, own: Sums) -> dict[str, Floats]:
        """Level and recent trend of the groups of n series at origin k, [n] each, less what is `own`."""
        month = self._spec.month
        out: dict[str, Floats] = {}
        for name in self._groups:
            level = self._level(name, k, rows, own)
            out[f"{name}_level_{month}"] = level
            if name in self._short:
                out[f"{name}_trend"] = _mean(self._of(name, self._short[name], k, rows, own.short)) - level
        return out

    def seasonal(self, k: int, rows: Codes, own: Sums) -> Floats:
        """[n, season] the category's deviation from its level by season position, the origin's last."""
        level = self._level("category", k, rows, own)
        return _mean(self._of("category", self._season, k, rows, own.season)) - level[:, None]

    def level(self, k: int, rows: Codes, own: Sums) -> Floats:
        """[n] what a new series can be expected to sell: like its category here, else the item, the store, anything."""
        out = np.full(len(rows), np.nan, dtype=np.float32)
        for name in ("category", "item", "store"):
            out = np.where(np.isfinite(out), out, self._level(name, k, rows, own))
        everything = _mean(self._all[k] - own.all)
        out = np.where(np.isfinite(out), out, everything)
        return np.where(np.isfinite(out), out, np.float32(0))

    def _level(self, name: str, k: int, rows: Codes, own: Sums) -> Floats:
        return _mean(self._of(name, self._month[name], k, rows, own.month))

    def _of(self, name: str, sums: Doubles, k: int, rows: Codes, own: Doubles) -> Doubles:
        """The sums of each series' group without its own; of no group, nothing."""
        codes = self._groups[name][rows]
        found = sums[codes, k] - own
        found[codes < 0] = 0
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
        pooled = np.stack([z.sum(axis=0, dtype=np.float64), seen.sum(axis=0)], axis=-1)
        so_far = np.cumsum(pooled, axis=0)[origins][None]
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
    if CATEGORY in panel.static:
        return _pairs(codes_of(panel, STORE_ID), panel.static[CATEGORY].codes)
    attributes = [k for k in panel.static if k not in (STORE_ID, ITEM_ID)]
    if ITEM_ID not in panel.static and attributes:
        return panel.static[attributes[0]].codes.astype(np.intp) + 1
    return codes_of(panel, STORE_ID)


def _attribute_groups(panel: Panel, name: str) -> Codes:
    """[S] of an attribute of items: the items in the store that share it; of stores: the item in the stores that share
    it. -1 where the attribute is unknown."""
    store, item = codes_of(panel, STORE_ID), codes_of(panel, ITEM_ID)
    attribute = panel.static[name].codes
    of_stores = int(_pairs(store, attribute).max()) == int(store.max())
    return np.where(attribute < 0, -1, _pairs(item if of_stores else store, attribute))


def _pairs(first: Codes, second: NDArray[np.integer]) -> Codes:
    """A code per pair that occurs."""
    _, pair = np.unique(np.stack([first, second.astype(np.intp)]), axis=1, return_inverse=True)
    return pair.reshape(-1)


def codes_of(panel: Panel, key: str) -> Codes:
    """[S] the store (or item) of each series, as a number from 0."""
    ids = panel.store_ids if key == STORE_ID else panel.item_ids
    return np.unique(ids, return_inverse=True)[1].reshape(-1)
