"""The one entry from which Dagster loads ShelfOps. No work is done, and nothing connects, while it loads."""

import dagster as dg

from shelfops_pipeline.defs import checks, ingestion, lifecycle, reports, serving, training
from shelfops_pipeline.defs.jobs import ingest, refresh, train
from shelfops_pipeline.defs.resources import resources
from shelfops_pipeline.defs.schedules import daily_refresh, weekly_retrain


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, jobs, schedules and resources of this retailer."""
    modules = [ingestion, training, lifecycle, reports, serving]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        jobs=[ingest, train, refresh],
        schedules=[weekly_retrain, daily_refresh],
        resources=resources(),
    )
