"""Forecasts of folds that no member was fitted on, together with what then happened: what calibration learns from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.inference.state import SeriesState

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FoldForecast:
    """Members' forecasts of one fold and what then happened; S series, H periods."""

    origin: int
    state: SeriesState
    members: dict[str, Floats]
    actual: Floats
    """[S, H] NaN where not observed"""
    groups: NDArray[np.intp] | None = None
    """[S] the total that each series is part of, where `state.shift` comes from totals; None: there are none"""
    fresh: "Fresh | None" = None
    """some of the series forecast a second time, as if they were new"""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """[S, H] periods that were open and observed."""
        return np.isfinite(self.actual) & ~self.state.closed()

    def take(self, rows: NDArray[np.intp]) -> "FoldForecast":
        members = {k: v[rows] for k, v in self.members.items()}
        groups = None if self.groups is None else self.groups[rows]
        fresh = None if self.fresh is None else self.fresh.take(rows, len(self.actual))
        return FoldForecast(self.origin, self.state.take(rows), members, self.actual[rows], groups, fresh)

    def as_new(self) -> "FoldForecast | None":
        """The second forecasts as a fold of their own, with what then happened; None where there are none."""
        if self.fresh is None:
            return None
        return FoldForecast(self.origin, self.fresh.state, self.fresh.members, self.actual[self.fresh.rows])


@dataclass(frozen=True)
class Fresh:
    """Members' forecasts of R series of a fold, made as if they, their items or their stores had no history."""

    rows: NDArray[np.intp]
    """[R] row in the fold; one may come several times"""
    state: SeriesState
    members: dict[str, Floats]

    def take(self, rows: NDArray[np.intp], n: int) -> "Fresh":
        """Those of some of the fold's n series."""
        place = np.full(n, -1)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.rows] >= 0)
        return Fresh(place[self.rows[kept]], self.state.take(kept), {k: v[kept] for k, v in self.members.items()})
