"""What scores are grouped by: the fold, the period ahead, and what kind of series it is; and pairs of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import CATEGORY
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import ScoredFold
from shelfops_pipeline.inference.calibration import CLASSES

Codes = NDArray[np.intp]

ALL: Final = "all"
BY_ORIGIN: Final = "origin"
BY_HORIZON: Final = "horizon"
"""Each period ahead."""
BY_BLOCK: Final = "block"
"""Periods ahead in the blocks that are calibrated together, such as 1-7, 8-14, 15-28."""
BY_CLASS: Final = "class"
BY_STORE: Final = "store"
BY_CATEGORY: Final = "category"
PAIR: Final = " x "
_MOST_IN_PAIRS: Final = 400  # groups of a pair of dimensions; more would be a table that nobody reads
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class SeriesDimension:
    """Groups of series."""

    name: str
    labels: tuple[str, ...]
    codes: tuple[Codes, ...]
    """[S] group of each series, one array per fold"""


@dataclass(frozen=True)
class PeriodDimension:
    """Groups of consecutive periods ahead."""

    name: str
    labels: tuple[str, ...]
    starts: Codes
    """first period of each group, counted from 0"""


@dataclass(frozen=True)
class Grouping:
    """Rows that are scored together: those of one group of each of its dimensions (none: all rows)."""

    series: tuple[SeriesDimension, ...]
    period: PeriodDimension

    @property
    def by(self) -> str:
        """Name of the grouping, such as `all`, `store` or `block x class`."""
        return PAIR.join(d.name for d in self._dimensions) or ALL

    @property
    def labels(self) -> list[str]:
        """Names of its groups, the series' dimensions varying slowest."""
        names = [ALL] if not self._dimensions else [""]
        for at, dimension in enumerate(self._dimensions):
            names = [f"{name}{PAIR if at else ''}{label}" for name in names for label in dimension.labels]
        return names

    @property
    def n_series_groups(self) -> int:
        return int(np.prod([len(d.labels) for d in self.series]))

    def codes(self, fold: int, series: Codes) -> Codes:
        """[n] group of each of the series given, in a fold."""
        out = np.zeros(len(series), dtype=np.intp)
        for dimension in self.series:
            out = out * len(dimension.labels) + dimension.codes[fold][series]
        return out

    @property
    def _dimensions(self) -> list[SeriesDimension | PeriodDimension]:
        return [*self.series, *([self.period] if self.period.name != ALL else [])]


def groupings(
    folds: Sequence[ScoredFold], blocks: tuple[int, ...], panel: Panel | None
) -> tuple[list[SeriesDimension], list[Grouping]]:
    """(every dimension of series, every grouping). Without a panel: all rows, and each fold.

    A pair of dimensions is a grouping where it has few groups and both have more than one.
    """
    whole, horizon, block = _period_dimensions(folds[0].actual.shape[1], blocks)
    origin = _origins(folds)
    plain = [Grouping((), whole), Grouping((origin,), whole)]
    if panel is None:
        return [origin], plain
    kinds = [_classes(folds), *panel_dimensions(panel, len(folds))]
    dimensions = [origin, *kinds]
    pairs = [Grouping(pair, whole) for pair in combinations(dimensions, 2)]
    pairs += [Grouping((dimension,), block) for dimension in dimensions]
    single = [Grouping((), horizon), Grouping((), block), *(Grouping((d,), whole) for d in kinds)]
    return dimensions, [*plain, *single, *(p for p in pairs if _worth_reading(p))]


def _worth_reading(pair: Grouping) -> bool:
    sizes = [len(d.labels) for d in pair.series] + [len(pair.period.labels)] * (pair.period.name != ALL)
    return min(sizes) > 1 and int(np.prod(sizes)) <= _MOST_IN_PAIRS


def _period_dimensions(horizon: int, blocks: tuple[int, ...]) -> tuple[PeriodDimension, ...]:
    starts = (0, *(end for end in blocks if end < horizon))
    ends = (*starts[1:], horizon)
    names = tuple(
        str(end) if end == start + 1 else f"{start + 1}-{end}" for start, end in zip(starts, ends, strict=True)
    )
    every = np.arange(horizon)
    return (
        PeriodDimension(ALL, (ALL,), every[:1]),
        PeriodDimension(BY_HORIZON, tuple(map(str, every + 1)), every),
        PeriodDimension(BY_BLOCK, names, np.array(starts)),
    )


def _origins(folds: Sequence[ScoredFold]) -> SeriesDimension:
    codes = tuple(np.full(len(fold.actual), k, dtype=np.intp) for k, fold in enumerate(folds))
    return SeriesDimension(BY_ORIGIN, tuple(fold.origin_date for fold in folds), codes)


def _classes(folds: Sequence[ScoredFold]) -> SeriesDimension:
    return SeriesDimension(BY_CLASS, CLASSES, tuple(fold.classes for fold in folds))


def panel_dimensions(panel: Panel, folds: int) -> list[SeriesDimension]:
    """Stores and, where the items have one, categories; the same in every fold."""
    stores, codes = np.unique(panel.store_ids, return_inverse=True)
    found = [SeriesDimension(BY_STORE, tuple(stores.tolist()), (codes.reshape(-1),) * folds)]
    if CATEGORY in panel.static:
        static = panel.static[CATEGORY]
        own = static.codes.astype(np.intp)
        named = (own >= 0).all() or _UNKNOWN in static.categories  # a retailer may have a category of that name
        labels = static.categories if named else (*static.categories, _UNKNOWN)
        if (own < 0).any():
            own = np.where(own < 0, labels.index(_UNKNOWN), own)
        found.append(SeriesDimension(BY_CATEGORY, labels, (own,) * folds))
    return found
