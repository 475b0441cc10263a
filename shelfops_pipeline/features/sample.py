"""Which (series, origin, horizon) are trained on: drawn before anything is computed, so that the sample depends on the
seed and on what was observed alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.arrays import Bools, Floats
from shelfops_pipeline.features.likes import NEW_ITEM, NEW_SERIES, NEW_STORE, Marks
from shelfops_pipeline.features.recent import cut
from shelfops_pipeline.features.state import Request

# Shares of the cold-start tier's training rows that are shown as if the series, its item or its store were new.
_FORGET = {NEW_SERIES: 0.05, NEW_ITEM: 0.04, NEW_STORE: 0.02}
_BLOCK = 2_048


@dataclass(frozen=True)
class Draw:
    """The sample at one origin, n series."""

    request: Request
    demand: Floats
    """[n, H] after the origin, NaN where not observed"""
    chosen: Bools
    """[n, H] the targets in the sample, all of them observed"""

    def within(self, series: slice) -> Self:
        """The part of the sample that lies in some of the panel's series."""
        low, high = np.searchsorted(self.request.rows, [series.start, series.stop])
        part = slice(int(low), int(high))
        request = replace(self.request, rows=self.request.rows[part], new=self.request.new[part])
        return replace(self, request=request, demand=self.demand[part], chosen=self.chosen[part])


def draw_rows(panel: Panel, spec: TierSpec, origins: NDArray[np.intp], max_rows: int, seed: int) -> list[Draw]:
    """About `max_rows` observed targets, by origin; origins without one are left out."""
    share = min(1.0, max_rows / max(_targets(panel, origins, spec.horizon), 1))
    series_share = min(1.0, 2 * share)  # half of a series' targets, so that each origin shows many series
    rng = np.random.default_rng(seed)
    draws = []
    for request in _requests(panel, spec, origins, series_share, rng):
        demand = _demand(panel, request, spec.horizon)
        chosen = np.isfinite(demand) & (rng.random(demand.shape) < share / series_share)
        if chosen.any():
            draws.append(Draw(request, demand, chosen))
    return draws


def draw_windows(panel: Panel, spec: TierSpec, origins: NDArray[np.intp], max_windows: int, seed: int) -> list[Draw]:
    """Of about `max_windows` (series, origin), those with an observed target; all of their targets are chosen."""
    share = min(1.0, max_windows / max(len(origins) * panel.n_series, 1))
    rng = np.random.default_rng(seed)
    draws = []
    for request in _requests(panel, spec, origins, share, rng):
        demand = _demand(panel, request, spec.horizon)
        use = np.isfinite(demand).any(axis=1)
        if use.any():
            kept = replace(request, rows=request.rows[use], new=request.new[use])
            draws.append(Draw(kept, demand[use], np.isfinite(demand[use])))
    return draws


def _requests(
    panel: Panel, spec: TierSpec, origins: NDArray[np.intp], share: float, rng: np.random.Generator
) -> Iterator[Request]:
    """For each origin a random sample of series, some of the cold-start tier's to be shown as new."""
    for origin in origins:
        rows = np.flatnonzero(rng.random(panel.n_series) < share)
        if len(rows):
            cold = spec.tier is Tier.COLD_START
            new = draw_new(panel, _FORGET, len(rows), rng) if cold else np.zeros(len(rows), dtype=np.uint8)
            yield Request(int(origin), rows, new)


def draw_new(panel: Panel, shares: Mapping[int, float], n: int, rng: np.random.Generator) -> Marks:
    """[n] what of each series is to look new: a mark by its share, 0 by what the shares leave."""
    possible = ways_to_be_new(panel)
    marks = [mark if mark in possible else NEW_SERIES for mark in shares]
    at = np.searchsorted(np.cumsum(list(shares.values())), rng.random(n), side="right")
    return np.array([*marks, 0], dtype=np.uint8)[at]


def ways_to_be_new(panel: Panel) -> tuple[int, ...]:
    """What of a series can look new: itself, its item, its store. The only item (or store) of a retailer is always
    known: without it there would be none to be like."""
    several = {NEW_ITEM: len(np.unique(panel.item_ids)) > 1, NEW_STORE: len(np.unique(panel.store_ids)) > 1}
    return (NEW_SERIES, *(mark for mark, possible in several.items() if possible))


def _targets(panel: Panel, origins: NDArray[np.intp], horizon: int) -> int:
    """Number of observed targets of all series and origins."""
    n = panel.n_observed
    observed = np.zeros(n, dtype=np.int64)
    for low in range(0, panel.n_series, _BLOCK):
        observed += np.isfinite(panel.demand[low : low + _BLOCK, :n]).sum(axis=0)
    before = np.concatenate([[0], np.cumsum(observed)])
    return int((before[np.minimum(origins + 1 + horizon, n)] - before[origins + 1]).sum())


def _demand(panel: Panel, request: Request, horizon: int) -> Floats:
    """[n, H] demand after the origin, NaN where not observed."""
    return cut(panel.demand[:, : panel.n_observed], request.rows, request.origin + 1, request.origin + 1 + horizon)
