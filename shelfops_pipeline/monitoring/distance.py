"""How far two distributions of one number lie apart, by two measures that need no assumption about their shape."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

BINS: Final = 10
_LEAST_SHARE: Final = 1e-4  # stands for an empty bin, whose logarithm there is none


def bin_edges(values: NDArray[Any]) -> Doubles:
    """Upper edges of all bins but the last: deciles of what is known of `values`, each once."""
    known = values[np.isfinite(values)].astype(np.float64)
    return (
        np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")) if len(known) else np.empty(0)
    )


def bin_shares(values: NDArray[Any], edges: Doubles) -> Doubles:
    """[bins + 1] share of `values` in each bin, up to and with its edge; the last is the share of unknown ones."""
    known = np.isfinite(values)
    bins = np.where(known, np.searchsorted(edges, np.where(known, values, 0), side="left"), len(edges) + 1)
    return np.bincount(bins, minlength=len(edges) + 2) / max(len(values), 1)


def psi(expected: Doubles, actual: Doubles) -> float:
    """Population stability index of two sets of shares: sum of (a - e) ln(a / e) (Siddiqi 2006, chapter 9); an empty
    bin counts as 0.0001."""
    e, a = np.maximum(expected, _LEAST_SHARE), np.maximum(actual, _LEAST_SHARE)
    return float(((a - e) * np.log(a / e)).sum())


def ks(sample: NDArray[Any], values: NDArray[Any]) -> float | None:
    """Two-sample Kolmogorov-Smirnov statistic of what is known of both; None where one is empty."""
    from scipy.stats import ks_2samp

    first, second = (np.asarray(v, np.float64)[np.isfinite(v)] for v in (sample, values))
    if not len(first) or not len(second):
        return None
    return float(ks_2samp(first, second, method="asymp").statistic)


def systematic_sample(values: NDArray[Any], size: int) -> Doubles:
    """At most `size` of the known values, evenly through their order: their distribution in bounded space."""
    known = np.sort(values[np.isfinite(values)].astype(np.float64))
    if len(known) <= size:
        return known
    return known[((np.arange(size) + 0.5) * len(known) / size).astype(np.intp)]
