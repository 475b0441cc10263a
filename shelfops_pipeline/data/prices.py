"""Prices that nobody wrote down: a price holds until another one is known."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.data.panel import Floats

_BLOCK: Final = 1 << 22  # cells that are looked at together: memory stays flat


def standing_prices(
    price: Floats, promoted: NDArray[np.bool_], n_observed: int, absence: Literal["zero", "missing"]
) -> Floats:
    """`price` [S, T] with what is unknown taken from the last known price of the series: in a promotion from one in a
    promotion, else from one outside (`promoted` [S, T]), and from any where there was none. Before the first it stays
    unknown.

    Where transactions are the only source of prices, none is known of a day without a sale, and of no day ahead. Left
    so, "unknown" would mean "nothing was sold" to the models. With `absence` "missing" no price means not on sale:
    there only the future is filled, if no price at all is known of it.
    """
    start = 0
    if absence == "missing":
        if np.isfinite(price[:, n_observed:]).any():
            return price
        start = n_observed
    out = np.array(price)
    rows = max(_BLOCK // max(price.shape[1], 1), 1)
    for low in range(0, len(price), rows):
        block = slice(low, low + rows)
        known, on = price[block], promoted[block]
        last = np.where(on, _last(np.where(on, known, np.nan)), _last(np.where(on, np.nan, known)))
        last = np.where(np.isfinite(last), last, _last(known))
        out[block, start:] = np.where(np.isfinite(known), known, last)[:, start:]
    return out


def _last(values: Floats) -> Floats:
    """[n, T] the last known value up to each period; NaN before the first."""
    at = np.where(np.isfinite(values), np.arange(values.shape[1]), -1)
    at = np.maximum.accumulate(at, axis=1)
    return np.where(at >= 0, np.take_along_axis(values, np.maximum(at, 0), axis=1), np.float32(np.nan))
