"""What starts by the clock; off until somebody turns it on in the UI. All times are UTC."""

import dagster as dg

from shelfops_pipeline.contracts.trigger import Trigger
from shelfops_pipeline.defs.arrival import find_arrivals
from shelfops_pipeline.defs.jobs import FORECAST, INGESTED, maintenance, partition_range, score, sync, train
from shelfops_pipeline.defs.resources import Retailer, Warehouse


@dg.schedule(
    name="daily_sync",
    job=sync,
    cron_schedule="0 5 * * *",
    description="Every day at 05:00: ingest what changed, then new forecasts and alerts by the present champion. "
    "A live simulated retailer (SHELFOPS_SIMULATED_LIVE) trades one more day.",
)
def daily_sync(
    context: dg.ScheduleEvaluationContext, retailer: Retailer, warehouse: Warehouse
) -> dg.RunRequest | dg.SkipReason:
    """Ingests nothing where nothing changed, and forecasts nothing where there is no champion yet."""
    plan = find_arrivals(retailer, warehouse, context.log)
    serves = retailer.registry.champion() is not None
    if plan is None and not serves:
        return dg.SkipReason("nothing changed, and there is no champion to forecast with")
    if plan is None:
        return dg.RunRequest(asset_selection=_keys(context, FORECAST))
    return dg.RunRequest(
        asset_selection=None if serves else _keys(context, INGESTED), tags=partition_range(plan.start, plan.end)
    )


def _keys(context: dg.ScheduleEvaluationContext, selection: dg.AssetSelection) -> list[dg.AssetKey]:
    return sorted(selection.resolve(context.repository_def.asset_graph))


weekly_retrain = dg.ScheduleDefinition(
    name="weekly_retrain",
    job=train,
    cron_schedule="0 3 * * 1",
    tags=Trigger.WEEKLY.tags,
    description="Every Monday at 03:00: a candidate is trained, and promoted if it is better.",
)
monthly_backtest = dg.ScheduleDefinition(
    name="monthly_backtest",
    job=score,
    cron_schedule="0 1 1 * *",
    description="On the first of the month at 01:00: the present recipes are scored on the latest folds; registers and "
    "promotes nothing.",
)
nightly_maintenance = dg.ScheduleDefinition(
    name="nightly_maintenance",
    job=maintenance,
    cron_schedule="0 2 * * *",
    description="Every night at 02:00: compression and retention of the warehouse, and of Dagster's runs.",
)
