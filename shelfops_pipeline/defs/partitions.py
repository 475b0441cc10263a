"""One table: for every asset its grain, partition mapping upstream, IO manager, and where it runs.

| asset                                              | partitions | reads upstream | IO manager | queue   |
|----------------------------------------------------|------------|----------------|------------|---------|
| raw_transactions, validated_transactions           | period     | same period    | frames     | default |
| quarantined_transactions                           | period     | same period    | none (warehouse) | default |
| raw_reference, raw_inventory                       | none       |                | reference, frames | default |
| training_data                                      | none       | all periods    | frames     | default |
| panel                                              | none       |                | panels     | default |
| cold_start_features, production_features           | none       |                | arrays     | ml      |
| *_xgboost, *_lstm, backtest, model_candidates      | none       |                | models, backtest, json | ml |
| champion, shap_*, charts, model_card               | none       |                | json, explanations | ml |
| online_features, demand_forecasts, stock_alerts    | none       |                | none (warehouse) | default |

A period is a day or a week, the retailer's grain. The first one is SHELFOPS_START_DATE, or the first of the data set.
"""

from datetime import date
from typing import Final

import dagster as dg

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.settings import Settings

ML_QUEUE: Final = {"dagster-celery/queue": "ml"}
"""op_tags of heavy steps, for the Celery executor."""

# First date of each published data set, so that definitions load without reading a file.
_FIRST: Final = {
    "favorita": date(2013, 1, 1),
    "m5": date(2011, 1, 29),
    "online_retail": date(2010, 12, 1),
    "rossmann": date(2013, 1, 1),
    "simulated": date(2024, 1, 1),
}
_DEFAULT_FIRST: Final = date(2020, 1, 6)


def periods(settings: Settings, grain: Grain = Grain.DAY) -> dg.PartitionsDefinition:
    """The retailer's periods from the first one to now."""
    start = settings.start_date or _FIRST.get(settings.dataset, _DEFAULT_FIRST)
    if grain is Grain.WEEK:
        return dg.WeeklyPartitionsDefinition(start_date=start.isoformat(), day_offset=1)
    return dg.DailyPartitionsDefinition(start_date=start.isoformat())


PERIODS: Final = periods(Settings())
"""Every adapter of this release is daily."""
ONE_RUN: Final = dg.BackfillPolicy.single_run()
