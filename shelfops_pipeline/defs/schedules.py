"""Training starts only by schedule or by hand; the schedules are off until somebody turns them on in the UI."""

import dagster as dg

from shelfops_pipeline.defs.jobs import maintenance, refresh, train

weekly_retrain = dg.ScheduleDefinition(
    name="weekly_retrain",
    job=train,
    cron_schedule="0 3 * * 1",
    tags={"trigger": "weekly"},
    description="Every Monday at 03:00 UTC: a candidate is trained, and promoted if it is better.",
)
daily_refresh = dg.ScheduleDefinition(
    name="daily_refresh",
    job=refresh,
    cron_schedule="0 5 * * *",
    description="Every day at 05:00 UTC: new forecasts and alerts by the present champion.",
)
nightly_maintenance = dg.ScheduleDefinition(
    name="nightly_maintenance",
    job=maintenance,
    cron_schedule="0 2 * * *",
    description="Every night at 02:00 UTC: compression and retention of the warehouse.",
)
