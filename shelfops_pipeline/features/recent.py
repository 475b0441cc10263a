"""The last periods of some series up to one origin, and means over windows of them.

Values are in double precision: means over any window come out the same whatever block of series they are computed in.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.features.arrays import Bools, Doubles, Floats, ratio


def cut(values: NDArray[np.generic], rows: NDArray[np.intp], low: int, high: int) -> Floats:
    """[n, high - low] columns low to high - 1 of these rows; NaN outside of the array."""
    start, stop = max(low, 0), min(high, values.shape[1])
    if (start, stop) == (low, high):
        return np.asarray(values[rows, low:high], dtype=np.float32)
    out = np.full((len(rows), high - low), np.nan, dtype=np.float32)
    if start < stop:
        out[:, start - low : stop - low] = values[rows, start:stop]
    return out


@dataclass(frozen=True)
class Recent:
    """The last W periods of n series; `among` of a method narrows what counts, [n, W]."""

    values: Doubles
    """[n, W], 0 where missing"""
    seen: Bools

    @classmethod
    def of(cls, values: Floats, rows: NDArray[np.intp], origin: int, periods: int) -> Self:
        """The last `periods` up to and including the origin; missing before the first period."""
        found = cut(values, rows, origin + 1 - periods, origin + 1)
        seen = np.isfinite(found)
        return cls(np.where(seen, found, 0).astype(np.float64), seen)

    def sums(self, window: int, among: Bools | None = None) -> tuple[Doubles, Doubles]:
        """([n] sum, [n] count) over the last `window` periods."""
        values, counted = self._window(window, among)
        return values.sum(axis=1), counted.sum(axis=1, dtype=np.float64)

    def mean(self, window: int, among: Bools | None = None) -> Floats:
        """[n] mean of the last `window` periods; NaN where nothing is known."""
        return ratio(*self.sums(window, among))

    def season_sums(self, window: int, season: int, among: Bools | None = None) -> tuple[Doubles, Doubles]:
        """([n, season] sums, counts) by position in the season over the last `window` periods, at least one season; the
        last column has the position of the origin."""
        window = max(window // season, 1) * season
        values, counted = self._window(window, among)
        shape = (len(values), -1, season)
        return values.reshape(shape).sum(axis=1), counted.reshape(shape).sum(axis=1, dtype=np.float64)

    def quantiles(self, window: int, shares: tuple[float, ...]) -> Floats:
        """[n, len(shares)] quantiles of what is known of the last `window` periods, interpolated linearly; NaN where
        nothing is known."""
        values, seen = self.values[:, -window:], self.seen[:, -window:]
        ordered = np.sort(np.where(seen, values, np.inf), axis=1)
        place = np.outer(np.maximum(seen.sum(axis=1) - 1, 0), shares)
        below = np.floor(place).astype(np.intp)
        above = np.ceil(place).astype(np.intp)
        low, high = (np.take_along_axis(ordered, at, axis=1) for at in (below, above))
        known = np.isfinite(ordered[:, :1])
        low, high = (np.where(known, v, np.nan) for v in (low, high))
        return (low + (high - low) * (place - below)).astype(np.float32)

    def _window(self, window: int, among: Bools | None) -> tuple[Doubles, Bools]:
        values, seen = self.values[:, -window:], self.seen[:, -window:]
        if among is None:
            return values, seen
        counted = seen & among[:, -window:]
        return np.where(counted, values, 0), counted
