"""Behaviour of similar series: the store, the item in other stores, and the category within the store."""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.prefix import Prefix, group_prefix
from shelfops_pipeline.inference.matrix import season_position

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

CATEGORY = "category"


class Likes:
    """Group levels at any origin. Groups are formed by attributes only, so a series without history has them too."""

    def __init__(self, panel: Panel, z: Floats, mask: Bools, spec: TierSpec) -> None:
        self._spec = spec
        self._position = season_position(spec, panel.dates)
        self._groups = {
            "store": _codes(panel, STORE_ID),
            "item": _codes(panel, ITEM_ID),
            "category": category_groups(panel),
        }
        self._sums = {k: group_prefix(z, mask, g, int(g.max()) + 1) for k, g in self._groups.items()}
        category = self._groups["category"]
        self._seasonal = group_prefix(z, mask, category, int(category.max()) + 1, spec.season)
        self._all = Prefix.of(*_pooled(z, mask))

    def scalars(self, t: int) -> dict[str, Floats]:
        """Level and recent trend of each group, [S] each."""
        short, month = self._spec.short, self._spec.month
        out: dict[str, Floats] = {}
        for name, sums in self._sums.items():
            level = sums.mean(t, month)
            of = self._groups[name]
            out[f"{name}_level_{month}"] = level[of]
            out[f"{name}_trend"] = (sums.mean(t, short) - level)[of]
        return out

    def seasonal(self, t: int) -> Floats:
        """[S, season] the category's deviation from its level by season position."""
        season, month = self._spec.season, self._spec.month
        level = self._sums["category"].mean(t, month)
        out = np.full((len(level), season), np.nan, dtype=np.float32)
        for back in range(min(season, t + 1)):
            out[:, self._position[t - back]] = self._seasonal.mean(t - back, max(month // season, 1)) - level
        return out[self._groups["category"]]

    def level(self, t: int) -> Floats:
        """[S] what a new series can be expected to sell: like its category here, else the item, the store, anything."""
        month = self._spec.month
        out = np.full(len(self._groups["store"]), np.nan, dtype=np.float32)
        for name in ("category", "item", "store"):
            group = self._sums[name].mean(t, month)[self._groups[name]]
            out = np.where(np.isfinite(out), out, group)
        everything = self._all.mean(t, t + 1)[0]
        return np.where(np.isfinite(out), out, everything if np.isfinite(everything) else 0).astype(np.float32)


def category_groups(panel: Panel) -> NDArray[np.intp]:
    """[S] store x category; a retailer of one item is grouped by the first attribute of its stores instead."""
    if CATEGORY in panel.static:
        category = panel.static[CATEGORY].codes.astype(np.intp)
        _, pair = np.unique(np.stack([_codes(panel, STORE_ID), category]), axis=1, return_inverse=True)
        return pair.reshape(-1)
    attributes = [k for k in panel.static if k not in (STORE_ID, ITEM_ID)]
    if ITEM_ID not in panel.static and attributes:
        return panel.static[attributes[0]].codes.astype(np.intp) + 1
    return _codes(panel, STORE_ID)


def _codes(panel: Panel, key: str) -> NDArray[np.intp]:
    ids = panel.store_ids if key == STORE_ID else panel.item_ids
    return np.unique(ids, return_inverse=True)[1].reshape(-1)


def _pooled(z: Floats, mask: Bools) -> tuple[Floats, Bools]:
    """All series as one: the mean of each period."""
    count = mask.sum(axis=0)
    total = np.where(mask, z, 0).sum(axis=0, dtype=np.float64)
    mean = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
    return mean[None].astype(np.float32), (count > 0)[None]
