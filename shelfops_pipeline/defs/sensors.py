"""What starts by itself when there is something to do.

On from the start is what only finishes something that a person has begun; the rest is off until somebody turns it on.

A run_key is remembered for ever: each holds what changed, so that a later change is another one.
"""

from collections.abc import Sequence

import dagster as dg

from shelfops_pipeline.contracts.trigger import Trigger
from shelfops_pipeline.defs.arrival import find_arrivals
from shelfops_pipeline.defs.jobs import ingest, partition_range, publish, train
from shelfops_pipeline.defs.partitions import PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.retraining import REQUEST, settle
from shelfops_pipeline.defs.turns import run_in_progress
from shelfops_pipeline.store.reads import latest_release
from shelfops_pipeline.store.requests import claim_requests


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
    plan = find_arrivals(retailer, warehouse, context.log)
    if plan is None:
        return dg.SkipReason("the warehouse says what the source says")
    return dg.RunRequest(run_key=plan.key, tags=partition_range(plan.start, plan.end) | Trigger.NEW_DATA.tags)


@dg.sensor(
    job=train,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every 30 seconds: each request for retraining in the warehouse becomes one training, and is told "
    "how that went.",
)
def retrain_requests(
    context: dg.SensorEvaluationContext, retailer: Retailer, warehouse: Warehouse
) -> Sequence[dg.RunRequest] | dg.SkipReason:
    """One run per request, tagged with it; a request that was asked for twice is one request."""
    dataset = retailer.source.name
    with warehouse.engine() as engine:
        settle(context.instance, engine, dataset)
        claimed = claim_requests(engine, dataset)
    if not claimed:
        return dg.SkipReason("nobody asks for a training")
    return [
        dg.RunRequest(run_key=request.request_id, tags=Trigger.API.tags | {REQUEST: request.request_id})
        for request in claimed
    ]


@dg.sensor(
    job=publish,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every 30 seconds: is the champion that of the latest release? After `shelfops models promote` or "
    "`rollback` it is not; its forecasts are published then.",
)
def champion_changed(
    context: dg.SensorEvaluationContext, retailer: Retailer, warehouse: Warehouse
) -> dg.RunRequest | dg.SkipReason:
    """One run per change. A run that trains or refreshes publishes by itself when it comes to its end."""
    champion = retailer.registry.champion()
    if champion is None:
        return dg.SkipReason("there is no champion yet")
    with warehouse.engine() as engine:
        announced = latest_release(engine, champion.dataset)
    if announced is not None and announced.release == champion.release:
        return dg.SkipReason(f"{champion.release} is published")
    if (run := run_in_progress(context.instance, PANEL_POOL)) is not None:
        return dg.SkipReason(f"{champion.release} is not published; run {run.run_id[:8]} ({run.job_name}) may do it")
    before = "nothing" if announced is None else f"{announced.release} {announced.published_at.isoformat()}"
    return dg.RunRequest(run_key=f"{champion.release} {champion.promoted_at.isoformat()} after {before}")
