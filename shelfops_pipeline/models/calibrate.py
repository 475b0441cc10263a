"""Fit a `Calibration` on forecasts of folds that no member was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.inference.calibration import (
    CLASSES,
    LEVELS,
    NEW_CLASSES,
    Calibration,
    blend,
    demand_class,
    offset,
    reconciled,
    whole_units,
)
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.trust import fit_trust

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_GRID = np.linspace(0, 1, 21)
_WEIGHT_PRIOR = 3_000  # rows at which the pooled ensemble weight counts as much as equal ones
_CELL_PRIOR = 30_000  # rows at which a cell's own weight counts as much as the pooled one
_BIAS_PRIOR = 5_000
_QUANTILE_PRIOR = 150
_ROWS_PER_KNOT = 2_000
_MOST_KNOTS = 12
_LEVEL_DEVIATION = 0.1  # typical level error of one fold, log units
_BIAS_RANGE = (0.7, 1.5)  # beyond it something else is wrong; a factor must not hide it
_NEW_BIAS_RANGE = (0.4, 2.5)  # of new series: their level is a guess, and the mean lies far from the typical


def horizon_blocks(horizon: int, short: int) -> tuple[int, ...]:
    """Last period of each block: one, two and four short windows, then the rest."""
    ends = [e for e in (short, 2 * short, 4 * short) if e < horizon]
    return (*ends, horizon)


def fit_calibration(
    folds: Sequence[FoldForecast], transform: Transform, integer: bool, blocks: tuple[int, ...]
) -> Calibration:
    """Ensemble weights, bias factors and quantile ratios by horizon block and demand class, each shrunk towards what
    all rows say, since a cell may hold few.

    A fold's level error, by which its whole retailer sold more or less than forecast, widens the distribution but moves
    it only as far as it is larger than what one period differs from the next (a James-Stein shrinkage): carried over
    in full, it made MAE on five rossmann folds 12 % worse.

    The classes of new series are fitted on series that were forecast as if they were new, where the folds have them.

    Raises NotEnoughHistoryError when the folds hold no observed demand.
    """
    trust = fit_trust(folds, blocks)
    rows = _flatten(folds, blocks, trust, integer)
    if len(rows.actual) == 0:
        raise NotEnoughHistoryError("no observed demand in the backtest folds; use fewer folds or a shorter horizon")
    centred = _centred(rows, transform)
    weights = _fit_weights(centred, transform, len(blocks))
    weight = weights[rows.block, rows.cls]
    blended = blend(rows.xgboost, rows.lstm, weight, transform)
    levels = _level_errors(rows, blended, transform, len(blocks))
    level = levels.mean(axis=0)
    lasting = level * _trust(level, folds)
    shape = _fit_bias(rows, blended * np.exp(levels[rows.fold, rows.block]), len(blocks))
    bias = np.clip(shape * np.exp(lasting)[:, None], *_BIAS_RANGE)
    mean = blended * bias[rows.block, rows.cls]
    knots = _knots(mean)
    ratio = _ratio(rows, mean)
    if transform == "log":  # what is not lasting must not come back through the median
        ratio = _of_typical_spread(ratio * np.exp(lasting - level)[rows.block], rows.fold)
    ratios = _fit_quantiles(rows, ratio, mean, knots, len(blocks))
    calibration = Calibration(blocks, transform, integer, trust, weights, bias, knots, ratios)
    return _with_new_classes(calibration, folds, levels, lasting)


def _with_new_classes(
    calibration: Calibration, folds: Sequence[FoldForecast], levels: Doubles, lasting: Doubles
) -> Calibration:
    """The calibration with its tables of new series fitted on the folds' fresh forecasts. The level errors of the folds
    [K, B] are those of all series: what new ones are off beyond them is a property of new series, and so is kept."""
    found = ((k, fold.as_new()) for k, fold in enumerate(folds))
    forecasts = {k: fold for k, fold in found if fold is not None and fold.scored.any()}
    if not forecasts:
        return calibration
    blocks, transform = calibration.blocks, calibration.transform
    rows = _flatten(list(forecasts.values()), blocks, calibration.trust, calibration.integer)
    error = levels[np.array(list(forecasts))[rows.fold], rows.block]
    weights = _fit_weights(_centred(rows, transform), transform, len(blocks))
    blended = blend(rows.xgboost, rows.lstm, weights[rows.block, rows.cls], transform)
    shape = _fit_bias(rows, blended * np.exp(error), len(blocks), _NEW_BIAS_RANGE)
    bias = np.clip(shape * np.exp(lasting)[:, None], *_NEW_BIAS_RANGE)
    mean = blended * bias[rows.block, rows.cls]
    ratio = _ratio(rows, mean)
    if transform == "log":
        ratio = ratio * np.exp(lasting - levels.mean(axis=0))[rows.block]
    ratios = _fit_quantiles(rows, ratio, mean, calibration.log_share, len(blocks))
    new = np.isin(CLASSES, NEW_CLASSES)
    return replace(
        calibration,
        weights=np.where(new, weights, calibration.weights),
        bias=np.where(new, bias, calibration.bias),
        ratios=np.where(new[:, None, None], ratios, calibration.ratios),
    )


def _of_typical_spread(ratio: Doubles, fold: NDArray[np.intp]) -> Doubles:
    """The ratios with each fold's spread around its median brought to that of the typical (median) fold: a window full
    of holidays must not make every interval wide. Where nothing was sold the ratio stays 0."""
    sold = ratio > 0
    if not sold.any():
        return ratio
    logs = np.log(ratio[sold])
    quartiles = np.array([np.quantile(logs[fold[sold] == k], [0.25, 0.5, 0.75]) for k in np.unique(fold[sold])])
    of = np.searchsorted(np.unique(fold[sold]), fold[sold])
    spread = np.maximum(quartiles[:, 2] - quartiles[:, 0], 1e-6)
    centre = quartiles[of, 1]
    out = ratio.copy()
    out[sold] = np.exp(centre + (logs - centre) * (np.median(spread) / spread)[of])
    return out


def _trust(level: Doubles, folds: Sequence[FoldForecast]) -> Doubles:
    """Share of a mean level error to believe. Overlapping folds are one piece of evidence, and one is none."""
    origins = [f.origin for f in folds]
    horizon = folds[0].actual.shape[1]
    repeats = min((max(origins) - min(origins)) / horizon, len(folds) - 1)
    signal = level**2 * repeats
    return signal / (signal + _LEVEL_DEVIATION**2)


@dataclass(frozen=True)
class _Rows:
    xgboost: Floats
    lstm: Floats
    actual: Floats
    block: NDArray[np.intp]
    cls: NDArray[np.intp]
    whole: NDArray[np.bool_]
    fold: NDArray[np.intp]


def _ratio(rows: _Rows, mean: Doubles) -> Doubles:
    """(demand + jitter) / (mean + offset): of whole units a smooth variable, see `Calibration.levels`."""
    return (rows.actual + rows.whole * np.random.default_rng(0).random(len(mean))) / (mean + offset(rows.whole))


def _flatten(folds: Sequence[FoldForecast], blocks: tuple[int, ...], trust: Doubles, integer: bool) -> _Rows:
    parts = []
    for k, fold in enumerate(folds):
        S, H = fold.actual.shape
        ahead = np.searchsorted(blocks, np.arange(1, H + 1))
        block = np.broadcast_to(ahead, (S, H))
        moved = reconciled(fold.members, fold.state.shift, trust, ahead)
        cls = np.broadcast_to(demand_class(fold.state)[:, None], (S, H))
        whole = np.broadcast_to(whole_units(fold.state, integer)[:, None], (S, H))
        use = fold.scored
        members = (moved["xgboost"][use], moved["lstm"][use])
        parts.append((*members, fold.actual[use], block[use], cls[use], whole[use], np.full(int(use.sum()), k)))
    return _Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _centred(rows: _Rows, transform: Transform) -> _Rows:
    """The rows with each member's level error of each fold and block taken out: a member that happened to stand at
    the right level in one fold is not the better one."""
    n = int(rows.block.max()) + 1

    def centre(member: Floats) -> Floats:
        factor = np.exp(_level_errors(rows, member, transform, n))[rows.fold, rows.block]
        return (member * factor).astype(np.float32)

    return replace(rows, xgboost=centre(rows.xgboost), lstm=centre(rows.lstm))


def _level_errors(rows: _Rows, forecast: Floats, transform: Transform, n_blocks: int) -> Doubles:
    """[K, B] log of actual over forecast of each fold and block: mean log error (log), or ratio of sums (count)."""
    n_folds = int(rows.fold.max()) + 1
    group, size = rows.fold * n_blocks + rows.block, n_folds * n_blocks
    if transform == "log":
        error = np.log1p(rows.actual) - np.log1p(forecast)
        total, count = np.bincount(group, error, size), np.bincount(group, minlength=size)
        level = np.divide(total, count, out=np.zeros(size), where=count > 0)
    else:
        actual, expected = np.bincount(group, rows.actual, size), np.bincount(group, forecast, size)
        usable = (actual > 0) & (expected > 0)
        level = np.log(np.divide(actual, expected, out=np.ones(size), where=usable))
    return np.clip(level, *np.log(_BIAS_RANGE)).reshape(n_folds, n_blocks)


def _loss(actual: Floats, forecast: Floats, transform: Transform) -> Doubles:
    """Per row: squared log error, or half the Poisson deviance."""
    if transform == "log":
        return np.square(np.log1p(actual) - np.log1p(forecast), dtype=np.float64)
    safe = np.maximum(forecast, 1e-3).astype(np.float64)
    return safe - actual + actual * np.log(np.maximum(actual, 1e-9) / safe)


def _fit_weights(rows: _Rows, transform: Transform, n_blocks: int) -> Doubles:
    """[B, C] weight of XGBoost with the least loss on the rows, every fold counting alike: where demand is hard to
    forecast for both members, in a window full of holidays, there is little to learn about which is better."""
    shape = (n_blocks, len(CLASSES))
    cell, n_cells, n_folds = rows.block * len(CLASSES) + rows.cls, int(np.prod(shape)), int(rows.fold.max()) + 1
    count = np.bincount(cell, minlength=n_cells).astype(np.float64)

    def fold_losses(weight: float) -> Doubles:
        blended = blend(rows.xgboost, rows.lstm, np.array(weight), transform)
        loss = _loss(rows.actual, blended, transform)
        sums = np.bincount(rows.fold * n_cells + cell, loss, n_folds * n_cells).astype(np.float64)
        return sums.reshape(n_folds, n_cells)

    by_fold = np.stack([fold_losses(w) for w in _GRID])
    best = np.maximum(by_fold.sum(axis=2).min(axis=0), 1e-9)
    losses = (by_fold * (best.mean() / best)[:, None]).sum(axis=1)
    pooled = _GRID[losses.sum(axis=1).argmin()]
    own = _GRID[losses.argmin(axis=0)]
    pooled = (pooled * count.sum() + 0.5 * _WEIGHT_PRIOR) / (count.sum() + _WEIGHT_PRIOR)
    weight = (own * count + pooled * _CELL_PRIOR) / (count + _CELL_PRIOR)
    # Where the blend does not beat the better single model, that model serves alone.
    at = np.rint(weight * (len(_GRID) - 1)).astype(np.intp)
    blended = losses[at, np.arange(len(at))]
    single = np.where(losses[-1] <= losses[0], 1.0, 0.0)
    helps = (blended <= np.minimum(losses[0], losses[-1])) | (count < _WEIGHT_PRIOR)
    return np.where(helps, weight, single).reshape(shape)


def _fit_bias(rows: _Rows, blended: Floats, n_blocks: int, limits: tuple[float, float] = _BIAS_RANGE) -> Doubles:
    shape = (n_blocks, len(CLASSES))
    cell = rows.block * len(CLASSES) + rows.cls
    actual = np.bincount(cell, rows.actual, np.prod(shape))
    forecast = np.bincount(cell, blended, np.prod(shape))
    count = np.bincount(cell, minlength=np.prod(shape))
    overall = np.clip(actual.sum() / max(forecast.sum(), 1e-9), *limits)
    prior = _BIAS_PRIOR * forecast.sum() / max(count.sum(), 1)
    factor = (actual + overall * prior) / (forecast + prior) if prior > 0 else np.ones(len(actual))
    return np.clip(factor, *limits).reshape(shape)


def _knots(mean: Doubles) -> Doubles:
    n = int(np.clip(len(mean) // _ROWS_PER_KNOT, 1, _MOST_KNOTS))
    return np.unique(np.quantile(np.log1p(mean), (np.arange(n) + 0.5) / n).round(6))


def _fit_quantiles(rows: _Rows, ratio: Doubles, mean: Doubles, knots: Doubles, n_blocks: int) -> Doubles:
    """[B, C, K, L] each cell's quantiles blended with its knot's, those with all rows', by number of rows."""
    edges = (knots[1:] + knots[:-1]) / 2
    knot = np.searchsorted(edges, np.log1p(mean))
    everything = np.quantile(ratio, LEVELS)
    out = np.empty((n_blocks, len(CLASSES), len(knots), len(LEVELS)))
    for k in range(len(knots)):
        at = knot == k
        by_knot = _shrunk(ratio[at], everything)
        for cls in range(len(CLASSES)):
            of_class = at & (rows.cls == cls)
            by_class = _shrunk(ratio[of_class], by_knot)
            for block in range(n_blocks):
                out[block, cls, k] = _shrunk(ratio[of_class & (rows.block == block)], by_class)
    return out


def _shrunk(values: Doubles, parent: Doubles) -> Doubles:
    if len(values) == 0:
        return parent
    share = len(values) / (len(values) + _QUANTILE_PRIOR)
    return share * np.quantile(values, LEVELS) + (1 - share) * parent
