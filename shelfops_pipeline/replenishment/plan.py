"""The reorder plan as a table: one row per series, from forecast, stock, terms and what people said."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date
from typing import Final

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import SUPPLIER_ID, Reference
from shelfops_pipeline.replenishment.flags import borrowed, flagged, with_new_items
from shelfops_pipeline.replenishment.inputs import demand_of, suppliers_of, terms_of
from shelfops_pipeline.replenishment.position import position_of
from shelfops_pipeline.replenishment.quiet import in_order_of, no_sale_probability, observed_periods, quiet_periods
from shelfops_pipeline.replenishment.reorder import Economics, Reason, plan_orders
from shelfops_pipeline.store.accepted import Accepted
from shelfops_pipeline.store.replenishment_records import ItemFlag
from shelfops_pipeline.store.replenishment_tables import LIKE_ITEM, UNIT_COST

DISCONTINUED: Final = "discontinued"
"""Reason of a series that is not ordered any more, whatever its stock."""
PLANNED_ON: Final = "planned_on"
"""The day on which the orders of a plan are placed, if the supplier takes orders then."""
ACCEPTED_UNTIL: Final = "accepted_until"
"""The moment (UTC) up to which accepted orders count as on order."""
QUIET_PERIODS: Final = "quiet_periods"
NO_SALE_PROBABILITY: Final = "no_sale_probability"
_REASONS: Final = np.array([reason.name.lower() for reason in Reason], dtype=object)
_MOST_QUIET: Final = 400  # periods


@dataclass(frozen=True)
class Known:
    """What a plan is made from, beside the forecast."""

    panel: Panel
    reference: Reference
    inventory: pd.DataFrame | None
    """the counts of the last `count_days` at least; None where the retailer gives none"""
    accepted: Accepted
    """what was accepted and placed in these days"""
    flags: Sequence[ItemFlag]
    correlation: float
    """of the forecast errors of neighbouring periods"""
    count_days: int
    """age up to which a count holds"""


def first_day(forecasts: pd.DataFrame) -> date:
    """The day of a plan: the first one of its forecast."""
    return pd.Timestamp(forecasts[c.DATE].min()).date()


def plan_table(forecasts: pd.DataFrame, known: Known, service_level: float, economics: Economics) -> pd.DataFrame:
    """The columns of `store.replenishment_tables.reorder_plan`, and how long each series has been quiet.

    Orders are those of the first day of the forecast. Without inventory there are order-up-to levels and no quantities.
    """
    keys, demand = with_new_items(*demand_of(forecasts, known.correlation), known.flags)
    said, period_days = flagged(known.flags, keys), known.panel.grain.days
    past_days = in_order_of(keys, known.panel, observed_periods(known.panel)) * period_days
    demand = borrowed(demand, keys, said.like_item, past_days.astype(np.float32))
    terms, today = terms_of(known.reference.items, known.reference.suppliers, keys), first_day(forecasts)
    position = position_of(
        known.inventory, keys, demand, known.panel, known.accepted.lines, today=today, count_days=known.count_days
    )
    plan = plan_orders(
        demand,
        position.stock,
        terms,
        service_level=service_level,
        today=today,
        period_days=period_days,
        economics=economics,
    )
    quiet = in_order_of(keys, known.panel, quiet_periods(known.panel, _MOST_QUIET))
    columns = {f.name: getattr(plan, f.name) for f in fields(plan)}
    columns |= {
        **position.columns(),
        SUPPLIER_ID: suppliers_of(known.reference.items, keys),
        UNIT_COST: terms.unit_cost,
        c.REASON: np.where(said.discontinued, DISCONTINUED, _REASONS[plan.reason]),
        LIKE_ITEM: said.like_item,
        QUIET_PERIODS: quiet,
        PLANNED_ON: np.datetime64(today, "s"),
        ACCEPTED_UNTIL: np.datetime64(known.accepted.as_of.astimezone(UTC).replace(tzinfo=None), "us"),
        NO_SALE_PROBABILITY: no_sale_probability(demand, quiet),
    }
    for name in (c.QUANTITY, "unconstrained_quantity"):
        columns[name] = np.where(said.discontinued, 0.0, columns[name])
    return keys.assign(**columns)
