"""A fold as it would have been served: each series by the tier that its history at the origin allowed."""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.evaluation.backtest import Backtest, ScoredFold
from shelfops_pipeline.inference.predict import Forecast

Floats = NDArray[np.float32]


def served_fold(backtest: Backtest, k: int) -> ScoredFold:
    """The fold as it would have been served: each series by the tier that its history at the origin allowed."""
    tiers = list(backtest.folds)
    if len(tiers) == 1:
        return backtest.folds[tiers[0]][k]
    production, cold = backtest.folds[Tier.PRODUCTION][k], backtest.folds[Tier.COLD_START][k]
    use = production.history >= backtest.recipes[Tier.PRODUCTION].spec.min_history
    return ScoredFold(
        production.origin,
        production.origin_date,
        production.dates,
        production.actual,
        choose(use, production.forecast, cold.forecast),
        production.history,
        np.where(use, production.classes, cold.classes),
    )


def choose(use: NDArray[np.bool_], first: Forecast, second: Forecast) -> Forecast:
    """[S] row by row: the first forecast where `use`, else the second."""

    def pick(a: Floats, b: Floats) -> Floats:
        return np.where(use.reshape(-1, *([1] * (a.ndim - 1))), a, b)

    return Forecast(
        dates=first.dates,
        mean=pick(first.mean, second.mean),
        point=pick(first.point, second.point),
        points={k: pick(v, second.points[k]) for k, v in first.points.items()},
        quantiles=pick(first.quantiles, second.quantiles),
        members={k: pick(v, second.members[k]) for k, v in first.members.items()},
    )
