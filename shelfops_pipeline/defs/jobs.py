"""The jobs that people and schedules start."""

from datetime import date
from typing import Final

import dagster as dg

INGESTED: Final = dg.AssetSelection.groups("ingestion", "warehouse")
SERVED: Final = dg.AssetSelection.assets("online_features", "demand_forecasts", "stock_alerts")

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
    dg.AssetSelection.all() - INGESTED,
    description="Panel, features, models, backtest, gate, explanations, charts, card, forecasts.",
)
refresh = dg.define_asset_job(
    "refresh",
    dg.AssetSelection.assets("training_data", "panel") | SERVED,
    description="New forecasts by the present champion, from what was ingested.",
)


def partition_range(start: date, end: date) -> dict[str, str]:
    """The tags that make a run cover the periods start..end (first days)."""
    return {"dagster/asset_partition_range_start": str(start), "dagster/asset_partition_range_end": str(end)}
