"""A backtest as one long table of scores: every model and baseline on identical rows, by all that rows differ in."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.contracts.columns import (
    BY,
    COUNT,
    GROUP,
    METRIC,
    MODEL,
    QUANTILE_COLUMNS,
    SCORE_COLUMNS,
    TIER,
    VALUE,
    WHY,
    Metric,
)
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation import sums
from shelfops_pipeline.evaluation.backtest import Backtest, ScoredFold
from shelfops_pipeline.evaluation.groups import groupings
from shelfops_pipeline.evaluation.served import served_fold
from shelfops_pipeline.evaluation.sums import FoldRows, Sums, grouped_sums
from shelfops_pipeline.models.calibrate import horizon_blocks

Doubles = NDArray[np.float64]

ENSEMBLE: Final = "ensemble"
SERVED: Final = "served"
"""In place of a tier: each series as the tier that its history allows forecasts it."""
_HIT_RATES: Final = tuple(f"{side}_{q}" for q in QUANTILE_COLUMNS for side in ("below", "at_or_below"))


def scores_table(backtest: Backtest, panel: Panel | None = None) -> pd.DataFrame:
    """(tier, by, group, model, metric, value, n, why): every model and baseline on identical rows.

    `by` says what rows are grouped by: `all`; `origin` (fold); and, with the backtest's panel, `horizon`, `block` (of
    the horizon), `class` (of demand), `store`, `category`, and pairs with few groups, such as `class x block`. A tier
    `served` is added where there are two: each series as it would have been served. Each metric of the ensemble is
    scored on the column that it defines: mae, mape, wape and mase on the median, rmse and bias on the mean, rmsle and
    rmspe on their own optimal points, pinball, coverage and hit rates on the quantiles. n counts the rows that a value
    rests on (series for mase); undefined is NaN, and `why` says why.
    """
    tiers = {tier.value: folds for tier, folds in backtest.folds.items()}
    if panel is not None and len(tiers) > 1:
        tiers[SERVED] = [served_fold(backtest, k) for k in range(len(backtest.origins))]
    parts = []
    spec = next(iter(backtest.recipes.values())).spec
    for tier, folds in tiers.items():
        dimensions, found = groupings(folds, horizon_blocks(spec.horizon, spec.short), panel)
        for name in (ENSEMBLE, *MEMBERS, *backtest.baselines[0].forecasts):
            rows = [_rows(backtest, fold, k, name) for k, fold in enumerate(folds)]
            for grouping, values in zip(found, grouped_sums(rows, dimensions, found), strict=True):
                parts.append(_frame(values, grouping.labels).assign(**{TIER: tier, BY: grouping.by, MODEL: name}))
    return pd.concat(parts, ignore_index=True)[list(SCORE_COLUMNS)]


def _rows(backtest: Backtest, fold: ScoredFold, k: int, name: str) -> FoldRows:
    baselines, forecast = backtest.baselines[k], fold.forecast
    if name == ENSEMBLE:
        return FoldRows(fold.actual, forecast.points, forecast.quantiles, baselines.naive_error)
    values = forecast.members[name] if name in MEMBERS else baselines.forecasts[name]
    return FoldRows(fold.actual, dict.fromkeys(Metric, values), None, baselines.naive_error)


def _frame(values: Sums, labels: list[str]) -> pd.DataFrame:
    """One row per group and metric; groups that no series belongs to are left out."""
    there = values[sums.CELLS] > 0
    values = {name: v[there] for name, v in values.items()}
    found = metrics_of(values)
    value, n, why = (np.stack([column[i] for column in found.values()], axis=1) for i in range(3))
    group = np.repeat(np.array(labels, dtype=object)[there], len(found))
    metric = np.tile(np.array(list(found), dtype=object), int(there.sum()))
    columns = {GROUP: group, METRIC: metric, VALUE: value.ravel(), COUNT: n.ravel().astype(np.int64), WHY: why.ravel()}
    return pd.DataFrame(columns)


def metrics_of(values: Sums) -> dict[str, tuple[Doubles, Doubles, NDArray[np.object_]]]:
    """Metric → ([G] value, [G] n, [G] why it is undefined, else ""), of G groups' sums; as `metrics` defines them."""
    rows, demand = values[sums.ROWS], values[sums.DEMAND]
    empty = np.where(rows > 0, m.NO_DEMAND, m.NO_ROWS)
    out = {
        "mae": _mean(values, "mae"),
        "wape": _ratio(values["mae"], demand, rows, empty),
        "mape": _mean(values, "mape"),
        "mase": _ratio(values["mase"], values[sums.MASE_SERIES], values[sums.MASE_SERIES], m.NO_NAIVE_ERROR),
        "rmse": _mean(values, "rmse"),
        "bias": _ratio(values["bias"], demand, rows, empty),
        "rmsle": _mean(values, "rmsle"),
        "rmspe": _mean(values, "rmspe"),
    }
    shares = [name for name in ("pinball", "coverage_90", *_HIT_RATES) if name in values]
    return out | {name: _ratio(values[name], rows, rows, m.NO_ROWS) for name in shares}


def _mean(values: Sums, name: str) -> tuple[Doubles, Doubles, NDArray[np.object_]]:
    metric = m.MEAN_LOSSES[name]
    n = values[sums.NON_ZERO if metric.non_zero else sums.ROWS]
    value, n, why = _ratio(values[name], n, n, metric.why)
    return np.sqrt(value) if metric.root else value, n, why


def _ratio(
    total: Doubles, by: Doubles, n: Doubles, empty: str | NDArray[np.str_]
) -> tuple[Doubles, Doubles, NDArray[np.object_]]:
    value = np.divide(total, by, out=np.full(len(by), np.nan), where=by > 0)
    value = np.where(np.isfinite(value), value, np.nan)
    why = np.where(by > 0, np.where(np.isnan(value), m.NOT_A_NUMBER, ""), empty)
    return value, n, why.astype(object)
