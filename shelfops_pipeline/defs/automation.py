"""What follows by itself when new periods have arrived: features, forecasts, orders, scores. Never a training."""

import dagster as dg

_RAW = dg.AssetSelection.assets("raw_reference", "raw_inventory")
# eager() would wait until every partition that a period could have is there. Of what an ingest writes only that counts
# which comes last, the validated transactions: the rest would start a run in the middle of it.
CARRIED = (
    dg.AutomationCondition.any_deps_updated().ignore(_RAW).since_last_handled()
    & ~dg.AutomationCondition.any_deps_missing().ignore(dg.AssetSelection.groups("ingestion"))
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("something that it is made of is new, nothing is missing, and nothing is in progress")
"""Of every asset from `training_data` to `stock_alerts`, and of those that watch the forecasts; nothing is forecast
before there is a champion."""

carry_forward = dg.AutomationConditionSensorDefinition(
    "carry_forward",
    target=dg.AssetSelection.assets("training_data", "panel")
    | dg.AssetSelection.groups("serving", "replenishment", "monitoring"),
    description="Twice a minute: what was ingested since is carried forward to features, forecasts, orders and alerts, "
    "by the present champion, and to scores of earlier forecasts and drift. Never trains.",
)
