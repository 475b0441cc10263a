"""What starts by itself when there is something to do. Off until somebody turns it on in the UI."""

import dagster as dg

from shelfops_pipeline.data.source import Live
from shelfops_pipeline.defs.jobs import ingest, partition_range
from shelfops_pipeline.defs.partitions import first_period
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.ingestion.watermark import find_changes


@dg.sensor(
    job=ingest,
    minimum_interval_seconds=300,
    description="Every five minutes: ingest what the source says and the warehouse does not. A live simulated retailer "
    "(SHELFOPS_SIMULATED_LIVE) trades one more day each time.",
)
def new_data(
    context: dg.SensorEvaluationContext, retailer: Retailer, warehouse: Warehouse
) -> dg.RunRequest | dg.SkipReason:
    """One run over the periods that changed; asked for once per change."""
    if isinstance(source := retailer.source, Live):
        context.log.info(f"the simulated retailer trades on {source.advance()}")
    first, _ = first_period(retailer.settings)
    with warehouse.engine() as engine:
        plan = find_changes(retailer.settings, source, engine, first)
    if plan is None:
        return dg.SkipReason("the warehouse says what the source says")
    return dg.RunRequest(run_key=plan.key, tags=partition_range(plan.start, plan.end))
