"""The one entry from which Dagster loads ShelfOps. No work is done, and nothing connects, while it loads."""

import dagster as dg

from shelfops_pipeline.defs import checks, feed, ingestion, lifecycle, panel, reports, serving, training, warehousing
from shelfops_pipeline.defs.feed import feed_gap
from shelfops_pipeline.defs.jobs import ingest, maintenance, refresh, train, validate_again
from shelfops_pipeline.defs.resources import resources
from shelfops_pipeline.defs.schedules import daily_refresh, nightly_maintenance, weekly_retrain
from shelfops_pipeline.defs.sensors import new_data


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, jobs, schedules and resources of this retailer."""
    modules = [ingestion, warehousing, panel, training, lifecycle, reports, serving]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        asset_checks=dg.load_asset_checks_from_modules([checks, feed]),
        jobs=[ingest, validate_again, train, refresh, maintenance],
        schedules=[weekly_retrain, daily_refresh, nightly_maintenance],
        sensors=[new_data, feed_gap],
        resources=resources(),
    )
