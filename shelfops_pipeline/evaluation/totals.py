"""Totals of the backtest and of the served forecast: by store, by category, by both, and of the whole retailer."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import TotalLevel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.groups import BY_CATEGORY, BY_STORE, SeriesDimension, panel_dimensions
from shelfops_pipeline.evaluation.served import served_fold
from shelfops_pipeline.features.totals import Groups
from shelfops_pipeline.models.calibrate import horizon_blocks
from shelfops_pipeline.models.total_intervals import SummedForecast, TotalIntervals, fit_total_intervals

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class LevelGroups:
    """The groups of one level."""

    codes: Groups
    """[S] group of each series"""
    store_ids: list[str]
    """[G] empty where the level has no stores"""
    categories: list[str]
    """[G] likewise"""


def level_groups(panel: Panel) -> dict[TotalLevel, LevelGroups]:
    """The groups of every level that the retailer has: without categories of items there are none by category."""
    dimensions = {d.name: d for d in panel_dimensions(panel, 1)}
    store, category = dimensions[BY_STORE], dimensions.get(BY_CATEGORY)
    nothing = SeriesDimension("", ("",), (np.zeros(panel.n_series, dtype=np.intp),))
    parts = {TotalLevel.ALL: (nothing, nothing), TotalLevel.STORE: (store, nothing)}
    if category is not None:
        parts |= {TotalLevel.CATEGORY: (nothing, category), TotalLevel.STORE_CATEGORY: (store, category)}
    found = {}
    for level, (one, other) in parts.items():
        n = len(other.labels)
        present, codes = np.unique(one.codes[0] * n + other.codes[0], return_inverse=True)
        at = [divmod(int(p), n) for p in present]
        found[level] = LevelGroups(codes.reshape(-1), [one.labels[s] for s, _ in at], [other.labels[k] for _, k in at])
    return found


def total_intervals(panel: Panel, backtest: Backtest) -> TotalIntervals:
    """Intervals from how far the backtest's totals were off, each series by the tier that would have served it."""
    groups = level_groups(panel)
    folds: dict[TotalLevel, list[SummedForecast]] = {level: [] for level in groups}
    for k in range(len(backtest.origins)):
        fold = served_fold(backtest, k)
        for level, of in groups.items():
            folds[level].append(SummedForecast.of(fold.forecast.mean, fold.forecast.quantiles, of.codes, fold.actual))
    spec = next(iter(backtest.recipes.values())).spec
    return fit_total_intervals(folds, horizon_blocks(spec.horizon, spec.short))


def totals_table(panel: Panel, forecasts: pd.DataFrame, intervals: TotalIntervals) -> pa.Table:
    """Totals of the forecast table at every level: level, store_id, category, date, mean and quantiles; sorted."""
    dates, mean, quantiles = _dense(panel, forecasts)
    tables = []
    for level, of in level_groups(panel).items():
        totals = SummedForecast.of(mean, quantiles, of.codes)
        columns = {
            c.LEVEL: np.full(totals.mean.size, level.value),
            c.STORE_ID: np.repeat(np.array(of.store_ids), len(dates)),
            c.CATEGORY: np.repeat(np.array(of.categories), len(dates)),
            c.DATE: np.tile(dates, len(totals.mean)),
            c.MEAN: totals.mean.reshape(-1),
        }
        bounds = intervals.quantiles(level, totals).reshape(-1, len(c.QUANTILES))
        columns |= {name: bounds[:, i] for i, name in enumerate(c.QUANTILE_COLUMNS)}
        tables.append(pa.table(columns))
    return pa.concat_tables(tables).sort_by([(n, "ascending") for n in (c.LEVEL, c.STORE_ID, c.CATEGORY, c.DATE)])


def _dense(panel: Panel, forecasts: pd.DataFrame) -> tuple[NDArray[np.datetime64], Doubles, Doubles]:
    """([H] dates, [S, H] mean, [S, H, 5] quantiles) in the panel's order of series; 0 where nothing is forecast.

    Raises DataError for a series that the panel does not have."""
    series = pd.MultiIndex.from_arrays([panel.store_ids, panel.item_ids])
    row = series.get_indexer(pd.MultiIndex.from_frame(forecasts[[c.STORE_ID, c.ITEM_ID]].astype(str)))
    if (row < 0).any():
        raise DataError("the forecasts have series that the panel lacks; materialize `demand_forecasts` again")
    dates, column = np.unique(forecasts[c.DATE].to_numpy("datetime64[D]"), return_inverse=True)
    mean = np.zeros((panel.n_series, len(dates)))
    quantiles = np.zeros((*mean.shape, len(c.QUANTILES)))
    mean[row, column] = forecasts[c.MEAN]
    quantiles[row, column] = forecasts[list(c.QUANTILE_COLUMNS)]
    return dates, mean, quantiles
