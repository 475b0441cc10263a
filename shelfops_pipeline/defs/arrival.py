"""Has anything arrived? What the sensor `new_data` and the schedule `daily_sync` ask."""

import logging

from shelfops_pipeline.data.source import Live
from shelfops_pipeline.defs.partitions import first_period
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.ingestion.sync import SyncPlan
from shelfops_pipeline.ingestion.watermark import find_changes


def find_arrivals(retailer: Retailer, warehouse: Warehouse, log: logging.Logger) -> SyncPlan | None:
    """The periods of which the source says something else than the warehouse; None: nothing.

    A live simulated retailer (SHELFOPS_SIMULATED_LIVE) trades one more day first.
    """
    if isinstance(source := retailer.source, Live):
        log.info(f"the simulated retailer trades on {source.advance()}")
    first, _ = first_period(retailer.settings)
    with warehouse.engine() as engine:
        return find_changes(retailer.settings, source, engine, first)
