"""Grain and start of everything that is partitioned, and the queue of heavy steps.

| assets | partitions | read and written by | run by |
|---|---|---|---|
| raw_transactions, raw_inventory, validated_transactions, quarantined_transactions, transactions_table, inventory_table | the retailer's periods (day or week), a range is one run | `partitions` (Parquet by period), PostgreSQL | any worker |
| raw_reference, reference_tables, training_data, panel | none: all periods of what is above | `references`, `frames`, `panels` | any worker |
| features, models, backtest, totals_calibration, and what is made of them | none: training rows are a bounded sample, made in `SHELFOPS_SHARDS` shards of series | `arrays`, `boosters`, `networks`, `backtests`, `json` | the `ml` queue |
| online_features, demand_forecasts, forecast_explanations, forecast_totals, reorder_plan, purchase_orders, stock_alerts | none: every series of the champion's release; online_features, with what the members expect, in shards of series | `inputs`, `frames`, PostgreSQL | any worker; online_features, forecasts and their explanations on the `ml` queue |
"""  # noqa: E501

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import dagster as dg

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.contracts.queues import ML
from shelfops_pipeline.data.mapping import load_mapping
from shelfops_pipeline.defs.executor import QUEUE_TAG, executor
from shelfops_pipeline.ingestion.sync import periods_between
from shelfops_pipeline.settings import Settings

ML_QUEUE: Final = {QUEUE_TAG: ML}
"""op_tags of heavy steps: the queue they go to on many machines; on one they take turns, as the executor says."""
EXECUTOR: Final = executor(Settings())
"""Celery where SHELFOPS_CELERY_BROKER_URL is set, else processes of this machine."""
SHARDS: Final = Settings().shards
"""Parts that features and forecasts are made in, by series (`defs/shards.py`)."""
PANEL_POOL: Final = f"panel_{Path(Settings().dataset).stem}"
"""The pool of whatever writes the retailer's panel, trains on it or forecasts from it: one run at a time."""

# First date of each published data set, so that definitions load without reading a file.
_FIRST: Final = {
    "favorita": date(2013, 1, 1),
    "m5": date(2011, 1, 29),
    "online_retail": date(2010, 12, 1),
    "rossmann": date(2013, 1, 1),
    "simulated": date(2024, 1, 1),
}
_DEFAULT_FIRST: Final = date(2020, 1, 6)


def first_period(settings: Settings) -> tuple[date, Grain]:
    """The first period that is partitioned (its first day), and the retailer's grain."""
    start, grain = _FIRST.get(settings.dataset, _DEFAULT_FIRST), Grain.DAY
    if Path(settings.dataset).suffix in (".yaml", ".yml"):
        mapping = load_mapping(Path(settings.dataset))
        start, grain = mapping.start_date or start, mapping.grain
    return periods_between(settings.start_date or start, settings.start_date or start, grain)[0], grain


def periods(settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """The retailer's periods from the first one to the last that is over."""
    start, grain = first_period(settings)
    if grain is Grain.WEEK:
        return dg.WeeklyPartitionsDefinition(start_date=start.isoformat(), day_offset=1)
    return dg.DailyPartitionsDefinition(start_date=start.isoformat())


PERIODS: Final = periods(Settings())
FRESH: Final = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(days=2 if first_period(Settings())[1] is Grain.DAY else 9),
    fail_window=timedelta(days=4 if first_period(Settings())[1] is Grain.DAY else 16),
)
"""How old raw data may grow: a period and a day's delay, and twice that."""
ONE_RUN: Final = dg.BackfillPolicy.single_run()
