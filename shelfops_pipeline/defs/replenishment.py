"""What to order and what to look at, from the forecasts: the plan of every series, orders, alerts."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from shelfops_pipeline.contracts.columns import ON_HAND, ON_ORDER, QUANTITY
from shelfops_pipeline.contracts.messages import alerts_channel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.defs.automation import CARRIED
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.defs.partitions import PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.replenishment import alerts, plan, purchase
from shelfops_pipeline.replenishment.position import ROLLED
from shelfops_pipeline.store.accepted import accepted_lines
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.alerts import alert_message
from shelfops_pipeline.store.bus import announce
from shelfops_pipeline.store.item_flags import list_flags
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.reorder import replace_plan
from shelfops_pipeline.store.replenishment_tables import ACCEPTED, COUNTED_ON

log = logging.getLogger(__name__)

OWNERS = ["team:supply-chain"]


@dg.asset(
    group_name="replenishment",
    owners=OWNERS,
    kinds={"postgres"},
    io_manager_key="frames",
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def reorder_plan(
    retailer: Retailer,
    warehouse: Warehouse,
    panel: Panel,
    demand_forecasts: pd.DataFrame,
    raw_inventory: Partitions,
    raw_reference: Reference,
) -> dg.MaterializeResult[pd.DataFrame]:
    """What every series needs and why; order-up-to levels alone where the stock is not known."""
    serving, days = retailer.serving, retailer.settings.count_days
    since = plan.first_day(demand_forecasts) - timedelta(days=days)
    counts, correlation = raw_inventory.since(since).read(), retailer.error_correlation
    with warehouse.engine() as engine:
        flags = list_flags(engine, serving.dataset)
        accepted = accepted_lines(engine, serving.dataset, after=since)
        known = plan.Known(panel, raw_reference, counts, accepted, flags, correlation, days)
        table = plan.plan_table(demand_forecasts, known, retailer.settings.service_level, retailer.economics)
        replace_plan(engine, serving.release, pa.Table.from_pandas(table, preserve_index=False))
    facts: dict[str, Any] = {"dagster/row_count": len(table), "flags": len(flags), "correlation of errors": correlation}
    return dg.MaterializeResult(value=table, metadata=facts | _stock_facts(table))


def _stock_facts(table: pd.DataFrame) -> dict[str, Any]:
    """How much of the plan rests on which counts."""
    stale, last = int(table[ROLLED].sum()), table[COUNTED_ON].max()
    if stale:
        log.warning("%d series have no count of the last period: older counts less sales since are used", stale)
    return {
        "series to order": int((table[QUANTITY] > 0).sum()),
        "stock unknown": int((table[ON_HAND] + table[ON_ORDER]).isna().sum()),
        "last count": "none" if last is pd.NaT else f"{last:%Y-%m-%d}",
        "counts older than the last period": stale,
        "units accepted since the counts": float(table[ACCEPTED].sum()),
    }


@dg.asset(group_name="replenishment", owners=OWNERS, kinds={"postgres"}, automation_condition=CARRIED, pool=PANEL_POOL)
def purchase_orders(retailer: Retailer, warehouse: Warehouse, reorder_plan: pd.DataFrame) -> dg.MaterializeResult[None]:
    """Proposals by supplier and order day; what people have decided or edited is left alone."""
    serving, today = retailer.serving, reorder_plan[plan.PLANNED_ON].max().date()
    lines = pa.Table.from_pandas(purchase.order_lines(reorder_plan), preserve_index=False)
    assessed = pa.Table.from_pandas(purchase.assessed_lines(reorder_plan), preserve_index=False)
    with warehouse.engine() as engine:
        this = (engine, serving.dataset, serving.release, lines)
        found = propose_orders(*this, today=today, as_of=_accepted_until(reorder_plan), assessed=assessed)
    return dg.MaterializeResult(metadata={"for": str(today), "orders": len(found), "lines": sum(found.values())})


@dg.asset(group_name="replenishment", owners=OWNERS, kinds={"postgres"}, automation_condition=CARRIED, pool=PANEL_POOL)
def stock_alerts(retailer: Retailer, warehouse: Warehouse, reorder_plan: pd.DataFrame) -> dg.MaterializeResult[None]:
    """Stockout risk, reorder now, overstock, suspected phantom stock; none where the retailer gives no inventory."""
    serving, found, at = retailer.serving, alerts.stock_alerts(reorder_plan), datetime.now(UTC)
    assessed = pa.Table.from_pandas(alerts.assessed(reorder_plan), preserve_index=False)
    patience = timedelta(days=retailer.settings.count_days)
    with warehouse.engine() as engine:
        this = (engine, serving.dataset, serving.release, found)
        happened = sync_alerts(*this, at=at, as_of=_accepted_until(reorder_plan), assessed=assessed, patience=patience)
    messages = (alert_message(event, alert) for event, alert in happened)
    told = announce(retailer.redis_url, alerts_channel(serving.dataset), messages)
    kinds, events = Counter(a.kind for a in found), Counter(event.value for event, _ in happened)
    return dg.MaterializeResult(metadata={"alerts": len(found), **dict(kinds), **dict(events), "announced": told})


def _accepted_until(reorder_plan: pd.DataFrame) -> datetime:
    """The moment up to which the plan counts with accepted orders."""
    until: datetime = reorder_plan[plan.ACCEPTED_UNTIL].max().tz_localize(UTC).to_pydatetime()
    return until
