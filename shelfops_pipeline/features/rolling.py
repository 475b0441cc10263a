"""Lags and rolling statistics at every period of every series, block by block.

Sums of windows are built from sums of half their length: O(log w) additions per period, and they stay in float32, since
nothing is subtracted and so nothing cancels. A block of series fits the processor's cache, and the next block reuses
its memory: what a panel of any size needs beyond itself is a few MB. `features.history` reads the levels and deviations
of its origins from here; `shelfops bench features` measures it.
"""

from collections.abc import Iterator, Sequence
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
        """[size] of whatever was there before."""
        if self._used == len(self._arrays):
            self._arrays.append(np.empty(size, dtype=np.float32))
        if self._arrays[self._used].size < size:
            self._arrays[self._used] = np.empty(size, dtype=np.float32)
        self._used += 1
        return self._arrays[self._used - 1][:size]

    def release(self) -> None:
        """All arrays may be taken again."""
        self._used = 0


class WindowSums:
    """Sums over windows of w periods of [S, T] rows, for any w, in O(log w) additions per period."""

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

    def ending(self, window: int, gap: int) -> Floats:
        """[S, T] sums over periods t - gap - window + 1 to t - gap; 0 where all of them lie before the first."""
        first = self._longest - gap
        return self._over(window).reshape(self.shape[0], -1)[:, first : first + self.shape[1]]

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


def rolling_blocks(
    values: Floats, lags: Sequence[int], means: Sequence[int], stds: Sequence[int], gap: int = 1, threads: int = 1
) -> Iterator[tuple[slice, Floats]]:
    """Lags, rolling means and rolling sample standard deviations of `values` [S, T]: (rows, [n, block, T]) by block.

    Results are in the order lags, means, stds, and lie in memory that a later block uses again: copy what is to stay.
    With a gap of 1, column t says what was known when period t began (windows end at t - 1); with 0, what was known
    when it had ended. A lag counts from t either way. NaN in `values` is missing: it adds neither to a window nor to
    its count. A mean needs one value in its window and a standard deviation two, else NaN. A standard deviation is
    exact where values are small whole numbers, else good to 1e-3 of the distance between the window's level and the
    series' first value.
    """
    S, T = values.shape
    n, longest = len(lags) + len(means) + len(stds), max(*means, *stds, 0)
    rows = max(1, _BLOCK_BYTES // (4 * (T + longest + gap)))
    blocks = [slice(low, min(low + rows, S)) for low in range(0, S, rows)]
    benches = [(Scratch(), np.empty((n, min(rows, S), T), dtype=np.float32)) for _ in blocks[:threads]]

    def work(i: int) -> Floats:
        scratch, out = benches[i % threads]
        block = values[blocks[i]]
        out = out[:, : len(block)]
        _lags(block, lags, out[: len(lags)])
        if longest:
            _windows(block, means, stds, gap, out[len(lags) :], scratch)
        scratch.release()
        return out

    with ThreadPoolExecutor(threads) as pool:
        ahead = [pool.submit(work, i) for i in range(len(benches))]
        for i, block in enumerate(blocks):
            yield block, ahead[i].result()
            if i + threads < len(blocks):  # the caller is done with this block's memory
                ahead.append(pool.submit(work, i + threads))


def rolling_at(
    values: Floats, means: Sequence[int], stds: Sequence[int], periods: NDArray[np.intp]
) -> tuple[dict[int, Floats], dict[int, Floats]]:
    """(window -> means, window -> sample standard deviations), [S, n] each, over windows that end with `periods`."""
    out = np.empty((len(means) + len(stds), len(values), len(periods)), dtype=np.float32)
    for rows, block in rolling_blocks(values, (), means, stds, gap=0):
        out[:, rows] = block[:, :, periods]
    return dict(zip(means, out, strict=False)), dict(zip(stds, out[len(means) :], strict=True))


def _lags(values: Floats, lags: Sequence[int], out: Floats) -> None:
    for lag, column in zip(lags, out, strict=True):
        column[:, :lag] = np.nan
        column[:, lag:] = values[:, :-lag]


def _windows(
    values: Floats, means: Sequence[int], stds: Sequence[int], gap: int, out: Floats, scratch: Scratch
) -> None:
    seen = np.isfinite(values)
    dense = bool(seen.all())
    # The first value, so that no future moves even the last digit; whole, so that sums of squares of whole numbers are
    # exact.
    center = np.rint(np.take_along_axis(values, seen.argmax(axis=1)[:, None], axis=1))
    # One row of counts is enough where they are the same for every series.
    shapes = (values.shape, values.shape, (1, values.shape[1]) if dense else values.shape)
    totals, squares, counts = (WindowSums(shape, max(*means, *stds, 0) + gap, scratch) for shape in shapes)
    totals.rows[:] = values
    if stds:
        np.subtract(values, center, out=squares.rows)
        np.square(squares.rows, out=squares.rows)
    counts.rows[:] = seen[: len(counts.rows)]
    if not dense:
        totals.rows[~seen] = squares.rows[~seen] = 0
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0: an empty window has no mean
        for window, column in zip(means, out, strict=False):
            np.divide(totals.ending(window, gap), counts.ending(window, gap), out=column)
        for window, column in zip(stds, out[len(means) :], strict=True):
            total, square, count = (sums.ending(window, gap) for sums in (totals, squares, counts))
            _std(total, square, count, center, column)


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
