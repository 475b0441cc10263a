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


class Scratch:
    """Arrays to work in, used again for block after block; the system would hand out new ones page by page."""

    def __init__(self) -> None:
        self._arrays: list[Floats] = []
        self._used = 0

    def take(self, size: int) -> Floats:
        """[size] of whatever was there before. No later block is larger than the first."""
        if self._used == len(self._arrays):
            self._arrays.append(np.empty(size, dtype=np.float32))
        self._used += 1
        return self._arrays[self._used - 1][:size]

    def release(self) -> None:
        """All arrays may be taken again."""
        self._used = 0


class WindowSums:
    """Sums over the w periods before each period of [S, T] rows, for any w, in O(log w) additions per period."""

    def __init__(self, shape: tuple[int, int], longest: int, scratch: Scratch) -> None:
        """`rows` is to be filled before the first sum is asked for.

        `longest` zeros are put before each row, for its first windows to reach into instead of its neighbour.
        """
        self.shape, self._longest, self._scratch = shape, longest, scratch
        flat = scratch.take(shape[0] * (longest + shape[1]))
        self._sums = {1: flat}
        padded = flat.reshape(shape[0], -1)
        padded[:, :longest] = 0
        self.rows = padded[:, longest:]

    def before(self, window: int) -> Floats:
        """[S, T] sums over periods t - window to t - 1; 0 where all of them lie before the first."""
        return self._over(window).reshape(self.shape[0], -1)[:, self._longest - 1 : -1]

    def _over(self, window: int) -> Floats:
        if window not in self._sums:
            far = window // 2
            near = window - far
            recent, earlier = self._over(near), self._over(far)
            out = self._scratch.take(recent.size)
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

    def fill(blocks: list[slice]) -> None:
        scratch = Scratch()
        for block in blocks:
            _lags(values[block], lags, out[: len(lags), block])
            _windows(values[block], means, stds, out[len(lags) :, block], scratch)
            scratch.release()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, [blocks[i::threads] for i in range(threads)]))
    return out


def _lags(values: Floats, lags: Sequence[int], out: Floats) -> None:
    for lag, column in zip(lags, out, strict=True):
        column[:, :lag] = np.nan
        column[:, lag:] = values[:, :-lag]


def _windows(values: Floats, means: Sequence[int], stds: Sequence[int], out: Floats, scratch: Scratch) -> None:
    seen = np.isfinite(values)
    dense = bool(seen.all())
    # The first value, so that no future moves even the last digit; whole, so that sums of squares of whole numbers are
    # exact.
    center = np.rint(np.take_along_axis(values, seen.argmax(axis=1)[:, None], axis=1))
    # One row of counts is enough where they are the same for every series.
    shapes = (values.shape, values.shape, (1, values.shape[1]) if dense else values.shape)
    totals, squares, counts = (WindowSums(shape, max(*means, *stds), scratch) for shape in shapes)
    totals.rows[:] = values
    np.subtract(values, center, out=squares.rows)
    np.square(squares.rows, out=squares.rows)
    counts.rows[:] = seen[: len(counts.rows)]
    if not dense:
        totals.rows[~seen] = squares.rows[~seen] = 0
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
