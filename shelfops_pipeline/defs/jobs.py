"""The jobs that people, schedules and sensors start."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.run_retention import delete_old_runs
from shelfops_pipeline.store.alert_sync import prune_alerts
from shelfops_pipeline.store.partitions import maintain
from shelfops_pipeline.store.propose import prune_orders
from shelfops_pipeline.store.runs import prune_runs

INGESTED: Final = dg.AssetSelection.groups("ingestion", "warehouse")
PANEL: Final = dg.AssetSelection.assets("training_data", "panel")
SERVED: Final = dg.AssetSelection.groups("serving", "replenishment")
MONITORED: Final = dg.AssetSelection.groups("monitoring")
FORECAST: Final = PANEL | SERVED | MONITORED
SCORED: Final = dg.AssetSelection.assets("backtest_report")

ingest = dg.define_asset_job(
    "ingest", INGESTED, description="Sync: read, validate and store the chosen periods, and the reference tables."
)
validate_again = dg.define_asset_job(
    "validate_again",
    dg.AssetSelection.assets("validated_transactions", "quarantined_transactions", "transactions_table"),
    description="Judge stored raw rows again, as after a release from the quarantine; reads nothing from the source.",
)
train = dg.define_asset_job(
    "train",
    dg.AssetSelection.all() - INGESTED - SCORED,
    description="Panel, features, models, backtest, gate, explanations, charts, card, forecasts, scores, drift.",
)
score = dg.define_asset_job(
    "backtest_recipes",  # the asset has the shorter name, and Dagster allows it once
    PANEL | dg.AssetSelection.assets("backtest", "totals_calibration") | SCORED,
    description="Score the present recipes on the latest folds, and write forecasts, scores and charts of it. "
    "Registers and promotes nothing.",
)
sync = dg.define_asset_job(
    "sync",
    INGESTED | FORECAST,
    description="Ingest the chosen periods, then new forecasts, orders and alerts; scores of earlier ones, and drift.",
)
refresh = dg.define_asset_job(
    "refresh",
    FORECAST,
    description="New forecasts by the present champion, from what was ingested; scores of earlier ones, and drift.",
)
publish = dg.define_asset_job(
    "publish",
    SERVED | MONITORED,
    description="Forecasts, orders and alerts by another champion, from the panel as it is, and what is watched of it.",
)


@dg.op(description="TimescaleDB's policies where it is there; months that are too old are dropped, if asked for.")
def maintain_warehouse(context: dg.OpExecutionContext, retailer: Retailer, warehouse: Warehouse) -> None:
    """Compression and retention, by SHELFOPS_COMPRESS_AFTER_DAYS and SHELFOPS_RETENTION_DAYS."""
    settings = retailer.settings
    with warehouse.engine() as engine:
        dropped = maintain(
            engine, today=date.today(), compress_after=settings.compress_after_days, keep=settings.retention_days
        )
    context.log.info(f"dropped {len(dropped)} partitions" + (f": {', '.join(dropped)}" if dropped else ""))


@dg.op(description="Resolved stock alerts, settled purchase orders and records of runs go when they are old enough.")
def prune_history(context: dg.OpExecutionContext, retailer: Retailer, warehouse: Warehouse) -> None:
    """By SHELFOPS_HISTORY_DAYS; before anything serves there is no history."""
    days, pointer = retailer.settings.history_days, retailer.registry.champion()
    if days is None or pointer is None:
        return
    before = datetime.now(UTC) - timedelta(days=days)
    with warehouse.engine() as engine:
        prunes = (prune_alerts, prune_orders, prune_runs)
        alerts, orders, runs = (prune(engine, pointer.dataset, before) for prune in prunes)
    of = f"{alerts} stock alerts, {orders} purchase orders and {runs} records of runs"
    context.log.info(f"deleted {of} of before {before:%Y-%m-%d}")


@dg.op(description="Dagster's own runs that ended go when they are old enough, but those that made what is there.")
def prune_dagster_runs(context: dg.OpExecutionContext, retailer: Retailer) -> None:
    """By SHELFOPS_RUN_DAYS."""
    days = retailer.settings.run_days
    if days is None:
        return
    before = datetime.now(UTC) - timedelta(days=days)
    deleted, kept = delete_old_runs(context.instance, before)
    context.log.info(f"deleted {deleted} runs of before {before:%Y-%m-%d}; {kept} are kept for what they made")


@dg.job(name="maintenance", description="Compression and retention in the warehouse, and of Dagster's runs.")
def maintenance() -> None:
    """Tables by age, what people have settled, and what Dagster remembers."""
    maintain_warehouse()
    prune_history()
    prune_dagster_runs()


def partition_range(start: date, end: date) -> dict[str, str]:
    """The tags that make a run cover the periods start..end (first days)."""
    return {"dagster/asset_partition_range_start": str(start), "dagster/asset_partition_range_end": str(end)}
