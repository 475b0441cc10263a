"""Prices that nobody wrote down: a price holds until another one is known."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ON_PROMOTION
from shelfops_pipeline.data.panel import Floats

_BLOCK: Final = 1 << 22  # cells that are looked at together: memory stays flat


def last_prices(price: Floats, on: NDArray[np.bool_], start: int) -> Floats:
    """`price` [S, T] with what is unknown from period `start` on taken from the last known price of the series: in a
    promotion (`on` [S, T]) from one in a promotion, else from one outside, and from any where there was none. Before
    the first it stays unknown.

    Where transactions are the only source of prices, none is known of a day without a sale, and of no day ahead. Left
    so, "unknown" would mean "nothing was sold" to the models.
    """
    out = np.array(price)
    rows = max(_BLOCK // max(price.shape[1], 1), 1)
    for low in range(0, len(price), rows):
        block = slice(low, low + rows)
        known, promotion = price[block], on[block]
        last = np.where(promotion, _last(np.where(promotion, known, np.nan)), _last(np.where(promotion, np.nan, known)))
        last = np.where(np.isfinite(last), last, _last(known))
        out[block, start:] = np.where(np.isfinite(known), known, last)[:, start:]
    return out


def promoted(channels: Mapping[str, Floats], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """[S, T] the cells with a promotion; unknown is none."""
    return channels[ON_PROMOTION] > 0 if ON_PROMOTION in channels else np.zeros(shape, dtype=bool)


def _last(values: Floats) -> Floats:
    """[n, T] the last known value up to each period; NaN before the first."""
    at = np.where(np.isfinite(values), np.arange(values.shape[1]), -1)
    at = np.maximum.accumulate(at, axis=1)
    return np.where(at >= 0, np.take_along_axis(values, np.maximum(at, 0), axis=1), np.float32(np.nan))
