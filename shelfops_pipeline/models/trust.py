"""How far to trust the totals' own forecast: fitted on folds, by horizon block and member."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.features.totals import Groups, sum_by
from shelfops_pipeline.models.fold import FoldForecast

Doubles = NDArray[np.float64]

_PRIOR = 0.5  # two forecasts of which nothing is known deserve equal weights
_PRIOR_FOLDS = 0.5  # how many folds' evidence the prior is worth


def fit_trust(folds: Sequence[FoldForecast], blocks: tuple[int, ...]) -> Doubles:
    """[B, M] the share of its shift by which each member comes closest to the totals that were observed: least squares
    on the log error of totals, by volume, shrunk towards one half, within 0 and 1; 0 where no fold has totals.
    """
    moments = [_moments(fold, fold.groups, blocks) for fold in folds if fold.groups is not None]
    if not moments:
        return np.zeros((len(blocks), len(MEMBERS)))
    explained, squared = (np.sum(part, axis=0) for part in zip(*moments, strict=True))
    prior = _PRIOR_FOLDS * squared / len(moments)
    total = squared + prior
    return np.clip(np.divide(explained + _PRIOR * prior, total, out=np.zeros_like(total), where=total > 0), 0, 1)


def _moments(fold: FoldForecast, of: Groups, blocks: tuple[int, ...]) -> tuple[Doubles, Doubles]:
    """([B, M], [B, M]) sums of shift x log error and of shift squared over the totals of a fold; `of` is the total of
    each of its series."""
    _, first, groups = np.unique(of, return_index=True, return_inverse=True)
    actual = sum_by(np.where(fold.scored, fold.actual, 0), groups)
    block = np.searchsorted(blocks, np.arange(1, actual.shape[1] + 1))
    explained, squared = np.zeros((2, len(blocks), len(MEMBERS)))
    for m, name in enumerate(MEMBERS):
        expected = sum_by(np.where(fold.scored, fold.members[name], 0), groups)
        usable = (actual > 0) & (expected > 0)
        error = np.log(np.divide(actual, expected, out=np.ones_like(actual), where=usable), dtype=np.float64)
        shift = np.where(usable, fold.state.shift[first, m], 0)
        np.add.at(explained[:, m], block, (expected * shift * error).sum(axis=0))
        np.add.at(squared[:, m], block, (expected * shift**2).sum(axis=0))
    return explained, squared
