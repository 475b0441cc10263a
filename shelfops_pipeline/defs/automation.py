"""What follows by itself when new periods have arrived: features, forecasts, orders. Never a training."""

import dagster as dg

CARRIED = (
    # eager() would wait until every partition that a period could have is there. Of the raw assets only what comes
    # last in an ingest counts, the validated transactions: the others would start a run in the middle of it.
    dg.AutomationCondition.any_deps_updated()
    .ignore(dg.AssetSelection.assets("raw_reference", "raw_inventory"))
    .since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("something that it is made of is new, and nothing of it is in progress")
"""Of every asset from `training_data` to `stock_alerts`."""

carry_forward = dg.AutomationConditionSensorDefinition(
    "carry_forward",
    target=dg.AssetSelection.assets("training_data", "panel") | dg.AssetSelection.groups("serving", "replenishment"),
    description="Twice a minute: what was ingested since is carried forward to features, forecasts, orders and alerts, "
    "by the present champion. Never trains.",
)
