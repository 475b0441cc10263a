"""Series that have gone quiet: for how long nothing was sold, and how likely that is if the forecast is right."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.replenishment import counts
from shelfops_pipeline.replenishment.demand import Demand, demand_between
from shelfops_pipeline.replenishment.inputs import IDS

Doubles = NDArray[np.float64]


def in_order_of(keys: pd.DataFrame, panel: Panel, values: Doubles) -> Doubles:
    """Values of the panel's series as those of `keys`; 0 for series that the panel does not have."""
    panel_keys = pd.MultiIndex.from_arrays([panel.store_ids.astype(str), panel.item_ids.astype(str)])
    row = panel_keys.get_indexer(pd.MultiIndex.from_frame(keys[IDS]))
    return np.where(row >= 0, values[row], 0)


def observed_periods(panel: Panel) -> Doubles:
    """[S] periods in which the series was on sale, as far as the panel goes back."""
    return np.asarray(np.isfinite(panel.demand[:, : panel.n_observed]).sum(axis=1), dtype=np.float64)


def quiet_periods(panel: Panel, most: int) -> Doubles:
    """[S] periods on sale since the last with a sale, at most those among the last `most`. Periods when the store was
    closed or the shelf known to be empty do not count and do not end it."""
    recent = np.asarray(panel.demand[:, max(panel.n_observed - most, 0) : panel.n_observed])[:, ::-1]
    since = np.cumsum(recent > 0, axis=1) == 0
    return np.asarray((since & np.isfinite(recent)).sum(axis=1), dtype=np.float64)


def no_sale_probability(demand: Demand, periods: Doubles) -> Doubles:
    """[n] probability of no sale in so many periods of demand like that of the forecast."""
    total = demand_between(demand, np.zeros_like(periods), periods)
    return counts.at_most(np.zeros_like(periods), total.mean, total.variance)
