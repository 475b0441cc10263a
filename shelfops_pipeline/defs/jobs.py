"""The jobs that people and schedules start."""

from typing import Final

import dagster as dg

INGESTED: Final = dg.AssetSelection.assets("raw_transactions", "validated_transactions", "quarantined_transactions")
REFERENCE: Final = dg.AssetSelection.assets("raw_reference", "raw_inventory")
SERVED: Final = dg.AssetSelection.assets("online_features", "demand_forecasts", "stock_alerts")

ingest = dg.define_asset_job("ingest", INGESTED, description="Read and validate transactions of the chosen periods.")
train = dg.define_asset_job(
    "train",
    dg.AssetSelection.all() - INGESTED - REFERENCE,
    description="Panel, features, models, backtest, gate, explanations, charts, card, forecasts.",
)
refresh = dg.define_asset_job(
    "refresh",
    REFERENCE | dg.AssetSelection.assets("training_data", "panel") | SERVED,
    description="New forecasts by the present champion.",
)
