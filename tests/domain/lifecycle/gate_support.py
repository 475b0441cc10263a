"""Backtests made by hand: what a candidate and its rivals forecast is said in units."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.evaluation.backtest import Backtest, Baselines, ScoredFold
from shelfops_pipeline.inference.calibration import CLASSES, LEVELS, Calibration
from shelfops_pipeline.inference.predict import Forecast
from shelfops_pipeline.models.recipe import Recipe

H = 14
TIER = Tier.COLD_START
Floats = NDArray[np.float32]


def forecast(median: Floats, mean: Floats | None = None, half_width: float = 5) -> Forecast:
    """An interval of this half width around the median."""
    mean = median if mean is None else mean
    points = dict.fromkeys(Metric, median) | {Metric.RMSE: mean}
    quantiles = median[..., None] + np.array([-half_width, -1, 0, 1, half_width], np.float32)
    return Forecast(np.datetime64("2025-01-01") + np.arange(median.shape[1]), mean, median, points, quantiles, {})


def scored(origin: int, actual: Floats, made: Forecast) -> ScoredFold:
    history, classes = np.full(len(actual), 99, np.int32), np.zeros(len(actual), np.intp)
    return ScoredFold(origin, f"2025-01-{origin % 28 + 1:02d}", made.dates, actual, made, history, classes)


def a_backtest(recipe: Recipe, actual: Sequence[Floats], made: Sequence[Forecast], **baselines: float) -> Backtest:
    """Folds of a candidate; each baseline is off by a constant."""
    cells = (1, len(CLASSES))
    ratios = np.ones((*cells, 1, len(LEVELS)))
    unit = Calibration((H,), "count", True, np.zeros((1, 2)), np.ones(cells), np.ones(cells), np.ones(1), ratios)
    origins = tuple(100 + H * k for k in range(len(actual)))
    naive = [Baselines({n: y + e for n, e in baselines.items()}, np.ones(len(y), np.float32)) for y in actual]
    folds = [scored(*parts) for parts in zip(origins, actual, made, strict=True)]
    return Backtest(origins, {TIER: recipe}, {TIER: folds}, naive, {TIER: unit})
