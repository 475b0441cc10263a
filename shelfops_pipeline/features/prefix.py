"""Prefix sums: after one pass over the history, the mean of any window at any origin is two look-ups.

All kernels work on [S, T] arrays in which NaN means missing; missing values neither add to a sum nor to its count.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


def ratio(total: Doubles, count: Doubles) -> Floats:
    """total / count as float32, NaN where nothing was counted."""
    out = np.full(np.broadcast_shapes(total.shape, count.shape), np.nan, dtype=np.float32)
    return np.divide(total, count, out=out, where=count > 0, casting="unsafe")


def variance(total: Doubles, square: Doubles, count: Doubles) -> Doubles:
    """Population variance from sums of values and of squares, NaN where nothing was counted.

    In double precision throughout: float32 keeps nothing of the difference of two large means.
    """
    safe = np.where(count > 0, count, np.nan)
    return np.maximum(square / safe - (total / safe) ** 2, 0)


@dataclass(frozen=True)
class Prefix:
    """Sums and counts of a masked array along time, `lag` periods apart (1: every period, 7: same weekday)."""

    total: Doubles
    """[S, T + lag]"""
    count: Doubles
    lag: int

    @classmethod
    def of(cls, values: Floats | Doubles, mask: Bools, lag: int = 1) -> Self:
        return cls(_cumulate(np.where(mask, values, 0), lag), _cumulate(mask, lag), lag)

    def sums(self, end: int, periods: int) -> tuple[Doubles, Doubles]:
        """([S] sum, [S] count) over `periods` steps of `lag`, the last one at period `end` (included)."""
        start = max(end + self.lag - periods * self.lag, (end % self.lag))
        return self.total[:, end + self.lag] - self.total[:, start], self.count[:, end + self.lag] - self.count[
            :, start
        ]

    def mean(self, end: int, periods: int) -> Floats:
        """[S] mean of the window; NaN where it holds nothing."""
        return ratio(*self.sums(end, periods))

    def means(self, ends: NDArray[np.intp], periods: int) -> Floats:
        """[S, n] means of windows that end at each of `ends` (lag 1 only); windows before the start are NaN."""
        high = np.clip(ends + 1, 0, self.total.shape[1] - 1)
        low = np.clip(ends + 1 - periods, 0, self.total.shape[1] - 1)
        return ratio(self.total[:, high] - self.total[:, low], self.count[:, high] - self.count[:, low])


def _cumulate(values: NDArray[np.generic], lag: int) -> Doubles:
    """out[t + lag] = values[t] + out[t], the first `lag` columns 0."""
    S, T = values.shape
    padded = -T % lag
    grid = np.zeros((S, (T + padded) // lag + 1, lag))
    grid[:, 1:] = np.pad(values, ((0, 0), (0, padded))).reshape(S, -1, lag)
    np.cumsum(grid, axis=1, out=grid)
    return grid.reshape(S, -1)[:, : T + lag]


def group_prefix(values: Floats, mask: Bools, groups: NDArray[np.intp], n_groups: int, lag: int = 1) -> Prefix:
    """Prefix sums of groups of series: [G, T + lag]. Series with a negative group belong to none."""
    total, count = np.zeros((n_groups, values.shape[1])), np.zeros((n_groups, values.shape[1]))
    order = np.argsort(groups, kind="stable")
    order = order[groups[order] >= 0]
    if len(order):
        present, starts = np.unique(groups[order], return_index=True)
        total[present] = np.add.reduceat(np.where(mask, values, 0)[order], starts, axis=0, dtype=np.float64)
        count[present] = np.add.reduceat(mask[order], starts, axis=0, dtype=np.float64)
    return Prefix(_cumulate(total, lag), _cumulate(count, lag), lag)
