"""The panel of a fold: what would have been known at its origin, had it been served then."""

from dataclasses import replace

import numpy as np

from shelfops_pipeline.contracts.columns import OPEN, PRICE
from shelfops_pipeline.data.panel import Panel, with_expected_opening
from shelfops_pipeline.data.prices import last_prices, promoted


def as_served(panel: Panel, origin: int, horizon: int) -> Panel:
    """`panel.as_of(origin, horizon)` without what a forecast of today does not know of the periods ahead of it.

    Promotions, prices and flags that stand in the sales alone are known of every day of the past and of none to come; a
    plan for two weeks is known for two weeks. A fold that knew more would be scored, and calibrated, on what cannot be
    served. After that, opening and prices go on as before and all else is unknown. A panel that has no future at all
    says nothing of its plans: there it is `as_of`.
    """
    known = panel.as_of(origin, horizon)
    if panel.n_periods == panel.n_observed:
        return known
    reach = panel.periods_ahead
    channels = dict(known.channels)
    for name in (name for name, periods in reach.items() if periods < horizon):
        channels[name] = np.array(channels[name])
        channels[name][:, origin + 1 + reach[name] :] = np.nan
    if reach.get(OPEN, horizon) < horizon and OPEN in panel.planned:
        opening, season = channels[OPEN], panel.grain.season
        channels[OPEN] = with_expected_opening(opening, np.isfinite(opening), known.n_observed, season)
    if reach.get(PRICE, horizon) < horizon and PRICE in panel.planned:
        channels[PRICE] = last_prices(channels[PRICE], promoted(channels, known.demand.shape), known.n_observed)
    totals = panel.store_totals
    shown = None if totals is None else as_served(totals, origin + totals.n_observed - panel.n_observed, horizon)
    planned = {name: reach[name] for name in panel.planned}
    return replace(known, channels=channels, planned=planned, store_totals=shown)
