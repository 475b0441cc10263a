"""Which rows to explain: a stratified sample for the whole, and five predictions worth a closer look."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]
Indices = NDArray[np.int64]

SAMPLE: Final = 1000
"""TreeSHAP takes tens of milliseconds a row with a booster of full size."""
STRATA: Final = 10
KINDS: Final = ("high_volume", "low_volume", "promotion", "cold_start", "worst_error")
STAND_INS: Final = ("median_volume", "upper_quartile_volume")
"""Shown where a kind has no row: no promotion in the data, no known actual."""


def stratified_sample(predicted: Numbers, promo: Numbers | None, size: int = SAMPLE, seed: int = 7) -> Indices:
    """At most `size` row numbers, ascending; each volume decile with and without promotion gets its share.

    The share is proportional, so a mean over the sample estimates the mean over all rows. `predicted` is [n];
    `promo` is [n] of 0/1 (NaN counts as 0), or None where promotions are not known.
    """
    n = len(predicted)
    if n <= size:
        return np.arange(n, dtype=np.int64)
    ranks = np.argsort(np.argsort(predicted, kind="stable"), kind="stable")
    stratum = ranks * STRATA // n * 2 + _flag(promo, n)
    order = np.lexsort((np.random.default_rng(seed).random(n), stratum))
    # Evenly spaced steps through the rows in order of their stratum: each gets its share, within one row.
    return np.sort(order[((np.arange(size) + 0.5) * n / size).astype(np.int64)])


def representatives(
    predicted: Numbers, actual: Numbers, promo: Numbers | None, history: NDArray[np.integer] | Numbers
) -> dict[str, int]:
    """Kind → row number of five different predictions (fewer only where there are fewer rows).

    All arrays are [n]; `actual` may hold NaN, `history` counts observed periods of the row's series at its
    origin.
    """
    n = len(predicted)
    error = np.abs(np.asarray(actual, dtype=np.float64) - predicted)
    slow = np.where(predicted > 0, predicted, np.inf)
    middle = np.abs(predicted - np.median(predicted)) if n else predicted
    wishes: dict[str, tuple[Numbers, NDArray[np.bool_]]] = {  # smallest first, among the rows that qualify
        "high_volume": (-predicted, np.ones(n, dtype=bool)),
        "low_volume": (slow, np.ones(n, dtype=bool)),
        "promotion": (middle, _flag(promo, n) == 1),
        "cold_start": (np.asarray(history, dtype=np.float64), np.ones(n, dtype=bool)),
        "worst_error": (-error, np.isfinite(error)),
    }
    chosen: dict[str, int] = {}
    for kind, (key, allowed) in wishes.items():
        _choose(chosen, kind, key, allowed)
    for kind, share in zip(STAND_INS, (0.5, 0.75), strict=True):
        if len(chosen) < len(KINDS) and n:
            _choose(chosen, kind, np.abs(predicted - np.quantile(predicted, share)), np.ones(n, dtype=bool))
    return chosen


def _flag(promo: Numbers | None, n: int) -> NDArray[np.int64]:
    return np.zeros(n, dtype=np.int64) if promo is None else (np.nan_to_num(promo) > 0.5).astype(np.int64)


def _choose(chosen: dict[str, int], kind: str, key: Numbers, allowed: NDArray[np.bool_]) -> None:
    rows = np.flatnonzero(allowed & ~np.isin(np.arange(len(key)), list(chosen.values())))
    if rows.size:
        chosen[kind] = int(rows[np.argmin(key[rows])])
