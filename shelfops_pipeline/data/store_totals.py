"""What whole stores sold, known for longer than their items: the covariate `store_total` as a panel of its own."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.keys import days_of, first_day
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import EVERYWHERE, Reference

_LEAST_LONGER = 364  # days: what a total adds is the year that the items do not have
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
    totals = build(demand, described)
    return totals if totals.dates[totals.n_observed - 1] == panel.dates[panel.n_observed - 1] else None


def _name(frame: pd.DataFrame) -> str:
    return "" if frame.empty else str(frame[c.NAME].iloc[0])


def _demand(panel: Panel, reference: Reference) -> pd.DataFrame | None:
    """Date, store, item and quantity of the totals, as `aggregate.daily_demand` has them."""
    given = [f for f in reference.covariates if _name(f) == c.STORE_TOTAL]
    if not given:
        return None
    rows = given[0]
    rows = rows[np.isin(rows[c.STORE_ID].astype(str), panel.store_ids) & rows[c.VALUE].notna()]
    day = first_day(days_of(rows[c.DATE].to_numpy()), panel.grain).astype("datetime64[D]")
    if not _longer(day, panel):
        return None
    known = (day >= _first_whole(rows, panel.grain)) & (day <= panel.dates[panel.n_observed - 1])
    frame = pd.DataFrame(
        {
            c.DATE: day[known].astype("datetime64[ns]"),
            c.STORE_ID: rows.loc[known, c.STORE_ID].astype(str).astype("category"),
            c.ITEM_ID: pd.Categorical([EVERYWHERE] * int(known.sum())),
            c.QUANTITY: rows.loc[known, c.VALUE].to_numpy(np.float64),
        }
    )
