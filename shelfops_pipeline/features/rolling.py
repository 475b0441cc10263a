"""Lags and rolling statistics at every period at once, for whole panels.

`features.state` looks at few origins and reads prefix sums. Where every period is wanted, sums of windows built from
sums of half their length are several times faster: they stay in float32, since nothing is subtracted and so nothing
cancels. Work goes block by block of series, small enough for the processor's cache; memory beyond the result does not
grow with the panel.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BLOCK_BYTES = 400_000


class WindowSums:
    """Sums over the w periods before each period of [S, T] rows, for any w, in O(log w) additions per period."""

    def __init__(self, rows: NDArray[np.generic], longest: int) -> None:
        """`longest`: zeros are put before each row, for its first windows to reach into instead of its neighbour."""
        self.shape, self._pad = rows.shape, longest
        padded = np.zeros((len(rows), longest + rows.shape[1]), dtype=np.float32)
        padded[:, longest:] = rows
        self._sums = {1: padded.reshape(-1)}

    def before(self, window: int) -> Floats:
        """[S, T] sums over periods t - window to t - 1; 0 where all of them lie before the first."""
        return self._over(window).reshape(self.shape[0], -1)[:, self._pad - 1 : -1]

    def _over(self, window: int) -> Floats:
        if window not in self._sums:
            far = window // 2
            near = window - far
            recent, earlier = self._over(near), self._over(far)
            out = np.empty_like(recent)
            out[:near] = recent[:near]
            np.add(recent[near:], earlier[:-near], out=out[near:])
            self._sums[window] = out
        return self._sums[window]


def rolling_features(
    values: Floats, lags: Sequence[int], means: Sequence[int], stds: Sequence[int], threads: int = 1
) -> Floats:
    """[n, S, T] lags, rolling means and rolling sample standard deviations of `values` [S, T], in that order.

    Column t says what was known when period t began: windows end at t - 1. NaN in `values` is missing: it adds
    neither to a window nor to its count. A mean needs one value in its window and a standard deviation two, else NaN.
    A standard deviation is exact where values are small whole numbers, else good to 1e-3 of the distance between the
    window's level and the series' first value.
    """
    S, T = values.shape
    out = np.empty((len(lags) + len(means) + len(stds), S, T), dtype=np.float32)
    rows = max(1, _BLOCK_BYTES // (4 * (T + max(*means, *stds))))
    blocks = [slice(low, min(low + rows, S)) for low in range(0, S, rows)]

    def fill(block: slice) -> None:
        _lags(values[block], lags, out[: len(lags), block])
        _windows(values[block], means, stds, out[len(lags) :, block])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, blocks))
    return out


def _lags(values: Floats, lags: Sequence[int], out: Floats) -> None:
    for lag, column in zip(lags, out, strict=True):
        column[:, :lag] = np.nan
        column[:, lag:] = values[:, :-lag]


def _windows(values: Floats, means: Sequence[int], stds: Sequence[int], out: Floats) -> None:
    longest = max(*means, *stds)
    seen = np.isfinite(values)
    dense = bool(seen.all())
    known = values if dense else np.where(seen, values, 0)
    # The first value, so that no future moves even the last digit; whole, so that sums of squares of whole numbers are
    # exact.
    first = seen.argmax(axis=1)[:, None]
    center = np.rint(np.take_along_axis(known, first, axis=1))
    totals = WindowSums(known, longest)
    squares = WindowSums(np.square(known - center if dense else np.where(seen, known - center, 0)), longest)
    # One row is enough where counts are the same for every series.
    counts = WindowSums(seen[:1] if dense else seen, longest)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0: an empty window has no mean
        for window, column in zip(means, out, strict=False):
            np.divide(totals.before(window), counts.before(window), out=column)
        for window, column in zip(stds, out[len(means) :], strict=True):
            _std(totals.before(window), squares.before(window), counts.before(window), center, column)


def _std(total: Floats, square: Floats, n: Floats, center: Floats, out: Floats) -> None:
    """sum (x - mean)^2 = sum (x - c)^2 - (sum (x - c))^2 / n; a center c near the level keeps both terms small."""
    np.multiply(n, -center, out=out)
    out += total
    np.square(out, out=out)
    out /= n
    np.subtract(square, out, out=out)
    out /= np.where(n > 1, n - 1, np.nan)
    np.maximum(out, np.zeros(out.shape[1], out.dtype), out=out)  # with a bare 0 NumPy takes a slow path
    np.sqrt(out, out=out)
