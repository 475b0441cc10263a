"""The sums that metrics are made of, by group, in one pass over the rows.

Every metric is a ratio of two sums over rows, so rows are added up to the finest groups once (a cell: series that no
grouping tells apart), and cells to each grouping. Series come in blocks: memory is bounded at any number of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import QUANTILE_COLUMNS, QUANTILES, Metric
from shelfops_pipeline.evaluation.groups import Codes, Grouping, SeriesDimension
from shelfops_pipeline.evaluation.metrics import MEAN_LOSSES, pinball_loss

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Sums = dict[str, Doubles]

CELLS, ROWS, NON_ZERO, DEMAND = "cells", "rows", "non_zero", "demand"
"""Cells of the panel, rows that are scored, those with demand, and the demand of them all."""
MASE, MASE_SERIES = "mase", "mase_series"
"""Sum over series of each one's own MASE, and how many have one."""
_BLOCK: Final = 4096  # series


@dataclass(frozen=True)
class FoldRows:
    """One model's forecasts of a fold beside what happened; S series, H periods."""

    actual: Floats
    """[S, H] NaN where not observed: not scored"""
    points: Mapping[Metric, Floats]
    """[S, H] what each metric is scored on"""
    quantiles: Floats | None
    """[S, H, 5]"""
    naive_error: Floats
    """[S] scale of MASE"""


def grouped_sums(
    folds: Sequence[FoldRows], dimensions: Sequence[SeriesDimension], groupings: Sequence[Grouping]
) -> list[Sums]:
    """Sums of each grouping, [groups] each, in the order of `Grouping.labels`; NaN where a forecast is no number."""
    periods = {g.period.name: g.period.starts for g in groupings}
    totals: list[Doubles] = []
    names: list[str] = []
    for k, fold in enumerate(folds):
        for series, starts in _blocks(k, dimensions):
            with np.errstate(invalid="ignore", over="ignore"):  # a forecast that is no number becomes NaN, and is told
                losses = _losses(fold, series)
                cells = {name: _cells(losses, fold.naive_error[series], starts, p) for name, p in periods.items()}
            if not totals:
                names = [*losses, MASE, MASE_SERIES]
                totals = [np.zeros((len(names), g.n_series_groups, len(g.period.starts))) for g in groupings]
            for total, grouping in zip(totals, groupings, strict=True):
                _add(total, cells[grouping.period.name], grouping.codes(k, series[starts]))
    return [dict(zip(names, total.reshape(len(names), -1), strict=True)) for total in totals]


def _blocks(fold: int, dimensions: Sequence[SeriesDimension]) -> Iterator[tuple[Codes, Codes]]:
    """([n] series, [c] where each cell begins among them), a bounded number of series at a time."""
    cell = np.ravel_multi_index([d.codes[fold] for d in dimensions], [len(d.labels) for d in dimensions])
    order = np.argsort(cell, kind="stable")
    for at in range(0, len(order), _BLOCK):
        series = order[at : at + _BLOCK]
        yield series, np.flatnonzero(np.diff(cell[series], prepend=-1))


def _losses(fold: FoldRows, series: Codes) -> Sums:
    """[n, H] loss of each row by name; 0 where it is not scored."""
    y = fold.actual[series].astype(np.float64)
    seen = np.isfinite(y)
    non_zero = seen & (y > 0)
    out = {CELLS: np.ones(y.shape), ROWS: seen.astype(float), NON_ZERO: non_zero.astype(float)}
    out[DEMAND] = np.where(seen, y, 0)
    points = {metric: fold.points[metric][series] for metric in Metric}
    for name, metric in MEAN_LOSSES.items():
        use = non_zero if metric.non_zero else seen
        out[name] = metric.loss(np.where(use, y, 1), np.where(use, points[metric.column], 1))
    out["bias"] = np.where(seen, points[Metric.RMSE] - y, 0)
    if fold.quantiles is not None:
        out |= _quantile_losses(y, seen, fold.quantiles[series].astype(np.float64))
    return out


def _quantile_losses(y: Doubles, seen: NDArray[np.bool_], q: Doubles) -> Sums:
    level = np.array(QUANTILES)
    actual = np.where(seen, y, 1)[..., None]
    q = np.where(seen[..., None], np.where(np.isfinite(q), q, np.nan), 1)
    unknown = np.where(np.isnan(q), np.nan, seen[..., None])  # times a hit: NaN without a quantile, 0 if not scored
    below: Doubles = np.multiply(actual < q, unknown)
    at_or_below: Doubles = np.multiply(actual <= q, unknown)
    low, high = q[..., 0], q[..., -1]
    inside = ((actual[..., 0] >= low) & (actual[..., 0] <= high)) * (unknown[..., 0] + unknown[..., -1]) / 2
    out: Sums = {"pinball": pinball_loss(actual, q, level).mean(axis=-1), "coverage_90": inside}
    for i, column in enumerate(QUANTILE_COLUMNS):
        out |= {f"below_{column}": below[..., i], f"at_or_below_{column}": at_or_below[..., i]}
    return out


def _cells(losses: Sums, naive_error: Floats, starts: Codes, periods: Codes) -> Doubles:
    """[names, cells, groups of periods]: losses added up; MASE as a sum over series of each one's own."""
    out = [np.add.reduceat(np.add.reduceat(v, starts, axis=0), periods, axis=1) for v in losses.values()]
    error, rows = (np.add.reduceat(losses[name], periods, axis=1) for name in ("mae", ROWS))
    use = (rows > 0) & (np.isfinite(naive_error) & (naive_error > 0))[:, None]
    scale = np.where(use, rows * naive_error[:, None], 1)
    out += [np.add.reduceat(v, starts, axis=0) for v in (np.where(use, error / scale, 0), use.astype(float))]
    return np.stack(out)


def _add(totals: Doubles, part: Doubles, codes: Codes) -> None:
    """totals[:, codes[i]] += part[:, i]"""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    totals[:, present] += np.add.reduceat(part[:, order], starts, axis=1)
