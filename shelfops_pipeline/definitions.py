"""The one entry from which Dagster loads ShelfOps. No work is done, and nothing connects, while it loads."""

import dagster as dg

from shelfops_pipeline.defs import (
    checks,
    feed,
    ingestion,
    lifecycle,
    monitoring,
    panel,
    replenishment,
    reports,
    scoring,
    serving,
    tracking,
    training,
    warehousing,
)
from shelfops_pipeline.defs.automation import carry_forward
from shelfops_pipeline.defs.dead_runs import dead_runs
from shelfops_pipeline.defs.failures import run_failures, run_recoveries
from shelfops_pipeline.defs.feed import feed_gap
from shelfops_pipeline.defs.jobs import ingest, maintenance, publish, refresh, score, sync, train, validate_again
from shelfops_pipeline.defs.monitoring import drift
from shelfops_pipeline.defs.partitions import EXECUTOR
from shelfops_pipeline.defs.resources import resources
from shelfops_pipeline.defs.schedules import daily_sync, monthly_backtest, nightly_maintenance, weekly_retrain
from shelfops_pipeline.defs.sensors import champion_changed, new_data, retrain_requests
from shelfops_pipeline.defs.tracking import replay_tracking, sync_tracking


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, jobs, schedules and resources of this retailer."""
    modules = [
        ingestion,
        warehousing,
        panel,
        training,
        lifecycle,
        reports,
        scoring,
        tracking,
        serving,
        replenishment,
        monitoring,
    ]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        asset_checks=dg.load_asset_checks_from_modules([checks, feed, monitoring]),
        jobs=[ingest, validate_again, train, score, sync, refresh, publish, maintenance, sync_tracking],
        schedules=[daily_sync, weekly_retrain, monthly_backtest, nightly_maintenance],
        sensors=[
            new_data,
            feed_gap,
            carry_forward,
            champion_changed,
            drift,
            retrain_requests,
            run_failures,
            run_recoveries,
            dead_runs,
            replay_tracking,
        ],
        resources=resources(),
        executor=EXECUTOR,
    )
