"""Is the feed complete? An asset check after each ingest, and the same by a sensor while nothing is ingested."""

from datetime import timedelta
from typing import Any, Final

import dagster as dg
import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, STORE_ID, Grain
from shelfops_pipeline.data.feed import LAST, feed_gaps, silent_periods
from shelfops_pipeline.data.source import Source
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.ingestion.watermark import last_over
from shelfops_pipeline.store.history import rows_per_store
from shelfops_pipeline.store.ingested import watermark

CHECK: Final = "feed_complete"
_LOOKED_AT: Final = {Grain.DAY: timedelta(days=84), Grain.WEEK: timedelta(days=364)}
_RECENT: Final = {Grain.DAY: timedelta(days=28), Grain.WEEK: timedelta(days=84)}
_SHOWN: Final = 20


def feed_state(source: Source, warehouse: Warehouse) -> tuple[bool, dict[str, Any], int]:
    """Has no store been missing lately? With the gaps as metadata, and the periods since anything was heard."""
    with warehouse.engine() as engine:
        end = watermark(engine, source.name)
        if end is None:
            return True, {"stores": 0}, 0
        rows = pd.DataFrame(rows_per_store(engine, source.name, end - _LOOKED_AT[source.grain]))
    rows[DATE] = rows[DATE].astype("datetime64[ns]")
    gaps = feed_gaps(rows, source.grain)
    recent = gaps[gaps[LAST] > pd.Timestamp(end - _RECENT[source.grain])]
    silent = silent_periods(rows, last_over(source), source.grain)
    facts: dict[str, Any] = {"stores": int(rows[STORE_ID].nunique()), "last period": str(end), "gaps": len(recent)}
    if len(recent):
        facts["missing"] = dg.MetadataValue.md(recent.head(_SHOWN).astype(str).to_markdown(index=False))
    return recent.empty, facts, silent


@dg.asset_check(
    asset="transactions_table",
    name=CHECK,
    description="Is no store silent that should have traded in the last four weeks (of weekly data: twelve)?",
)
def feed_complete(retailer: Retailer, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Warns of stores whose feed has a gap."""
    complete, facts, _ = feed_state(retailer.source, warehouse)
    return dg.AssetCheckResult(passed=complete, severity=dg.AssetCheckSeverity.WARN, metadata=facts)


@dg.sensor(
    minimum_interval_seconds=3600,
    description="Every hour: has the feed stopped, or has a store fallen silent? It sets the check feed_complete.",
)
def feed_gap(context: dg.SensorEvaluationContext, retailer: Retailer, warehouse: Warehouse) -> dg.SensorResult:
    """Evaluates the check when the answer changes: for live feeds, so also when nothing at all arrives."""
    complete, facts, silent = feed_state(retailer.source, warehouse)
    state = f"{facts.get('last period')}:{facts.get('gaps')}:{silent}"
    if state == context.cursor:
        return dg.SensorResult(skip_reason=f"unchanged: {silent} periods silent, {facts.get('gaps', 0)} gaps")
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("transactions_table"),
        check_name=CHECK,
        passed=complete and silent == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=facts | {"periods without any row": silent},
    )
    return dg.SensorResult(asset_events=[evaluation], cursor=state)
