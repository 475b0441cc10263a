"""How far the errors of neighbouring periods go together, from what the champion forecast on the backtest's folds."""

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.replenishment.demand import ERROR_CORRELATION, Demand, error_correlation


def backtest_correlation(backtest: pd.DataFrame, period_days: int) -> float:
    """Correlation of the errors of a model's backtest (contracts.columns.BACKTEST_COLUMNS, one model's rows).

    ERROR_CORRELATION where no series was observed in two periods one after the other.
    """
    row = backtest.groupby([c.STORE_ID, c.ITEM_ID, c.ORIGIN], observed=True, sort=False).ngroup().to_numpy()
    days = (pd.to_datetime(backtest[c.DATE]) - pd.to_datetime(backtest[c.ORIGIN])).dt.days.to_numpy()
    step = (days - days.min()) // period_days
    shape = (int(row.max()) + 1, int(step.max()) + 1)
    actual, mean = np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32)
    quantiles = np.zeros((*shape, len(c.QUANTILES)), np.float32)
    actual[row, step], mean[row, step] = backtest[c.ACTUAL], backtest[c.MEAN]
    quantiles[row, step] = backtest[list(c.QUANTILE_COLUMNS)]
    try:
        return error_correlation(actual, Demand(mean, quantiles))
    except ValueError:
        return ERROR_CORRELATION
