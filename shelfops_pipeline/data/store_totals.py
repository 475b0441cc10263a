"""What whole stores sold, known for longer than their items: the covariate `store_total` as a panel of its own."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import EVERYWHERE, Reference
from shelfops_pipeline.data.tables import between, constant
from shelfops_pipeline.data.weeks import whole_weeks

_LEAST_LONGER = np.timedelta64(364, "D")  # what a total adds is the year that the items do not have
_LEAST_KNOWN = 0.5  # of the periods of that year: what is mostly holes adds little


def store_totals(panel: Panel, reference: Reference, build: Callable[[pd.DataFrame, Reference], Panel]) -> Panel | None:
    """The panel of store totals up to the panel's last observed period; None where the retailer gives none, where they
    do not reach back a year further than the items, or do not reach the last observed period.

    `build` makes a panel of (demand, reference) as the items' was made.
    """
    demand = _demand(panel, reference)
    if demand is None:
        return None
    whole = [f for f in reference.covariates if c.ITEM_ID not in f and _name(f) != c.STORE_TOTAL]
    described = Reference(
        stores=reference.stores,
        items=pd.DataFrame({c.ITEM_ID: [EVERYWHERE]}),
        calendar=reference.calendar,
        covariates=whole,
    )
    return build(demand, described)


def _name(frame: pd.DataFrame) -> str:
    return "" if frame.empty else str(frame[c.NAME].iloc[0])


def _demand(panel: Panel, reference: Reference) -> pd.DataFrame | None:
    """Date, store, item and quantity of the totals, as `aggregate.daily_demand` has them."""
    given = next((f for f in reference.covariates if _name(f) == c.STORE_TOTAL), None)
    if given is None:
        return None
    store = given[c.STORE_ID].astype(str)
    known = (store.isin(panel.store_ids) & given[c.VALUE].notna()).to_numpy()
    sold = pd.DataFrame(
        {
            c.TS: given.loc[known, c.DATE],
            c.STORE_ID: store[known].astype("category"),
            c.ITEM_ID: constant(EVERYWHERE, int(known.sum())),
            c.QUANTITY: given.loc[known, c.VALUE].astype(np.float64),
        }
    )
    days = sold[c.TS].to_numpy("datetime64[D]")
    if not _adds_a_year(days, panel):
        return None
    if panel.grain is Grain.WEEK:
        sold = between(sold, *whole_weeks(days))
    demand = daily_demand(sold, panel.grain)
    last = panel.dates[panel.n_observed - 1]
    demand = demand[demand[c.DATE].to_numpy() <= last].reset_index(drop=True)
    if demand[c.DATE].max().to_datetime64() != last:
        return None
    return demand.assign(**{c.QUANTITY: demand[c.QUANTITY].clip(lower=0)})


def _adds_a_year(days: NDArray[np.datetime64], panel: Panel) -> bool:
    """Do the totals begin a year or more before the items, and not with holes?"""
    before = np.unique(days[days < panel.dates[0]])
    least = _LEAST_KNOWN * (_LEAST_LONGER.astype(int) / panel.grain.days)
    return len(before) >= least and bool(panel.dates[0] - before[0] >= _LEAST_LONGER)
