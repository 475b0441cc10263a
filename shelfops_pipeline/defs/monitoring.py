"""What is watched of the champion: a challenger in its shadow, scores as demand comes in, drift, and what follows."""

from datetime import timedelta
from typing import Any, Final

import dagster as dg
import pandas as pd

from shelfops_pipeline.charts.drift import drift_over_time as draw_drift
from shelfops_pipeline.charts.write import write_figure
from shelfops_pipeline.contracts.columns import ORIGIN
from shelfops_pipeline.contracts.trigger import Trigger
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.defs.automation import CARRIED
from shelfops_pipeline.defs.jobs import train
from shelfops_pipeline.defs.partitions import ML_QUEUE, PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.serving import keep_issued
from shelfops_pipeline.defs.training import OWNERS
from shelfops_pipeline.defs.turns import UNDER_WAY
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.lifecycle.run_page import write_run_pages
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.monitoring import report as reports
from shelfops_pipeline.monitoring.drift import DRIFTED
from shelfops_pipeline.monitoring.history import History
from shelfops_pipeline.monitoring.issued import ROLE, Role
from shelfops_pipeline.monitoring.reference import read_reference
from shelfops_pipeline.monitoring.scoring import VERSION, VERSUS, score_cells, score_table, versus_table
from shelfops_pipeline.monitoring.shadow import find_challengers, shadow_table

REPORT: Final = dg.AssetKey("drift_report")
COOL_DOWN: Final = timedelta(days=7)
"""After a training for drift: what it learned from has to be sold first, before another one can learn more."""


@dg.asset(
    kinds={"parquet"},
    deps=["demand_forecasts"],
    op_tags=ML_QUEUE,
    group_name="monitoring",
    owners=OWNERS,
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def shadow_forecasts(retailer: Retailer, panel: Panel) -> dg.MaterializeResult[None]:
    """What the newest challenger of each tier would have served, beside what the champion did; served to nobody."""
    found, archive = find_challengers(retailer.registry), retailer.archive
    facts: dict[str, Any] = {f"no {tier} challenger": why for tier, why in found.why_none.items()}
    facts |= {f"{tier} challenger": version for tier, version in found.versions.items()}
    archive.withdraw(panel.last_observed, Role.CHALLENGER)
    if found.versions:
        try:
            table = shadow_table(panel, retailer.registry, found.versions, retailer.settings.metric)
            facts["dagster/row_count"] = table.num_rows
            if table.num_rows:
                keep_issued(retailer, panel, table, Role.CHALLENGER)
        except DataError as error:
            facts["no forecast"] = str(error)
    return dg.MaterializeResult(metadata=facts | {"origins kept": len(archive.origins())})


@dg.asset(
    kinds={"pandas"},
    deps=["shadow_forecasts"],
    io_manager_key="frames",
    group_name="monitoring",
    owners=OWNERS,
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def forecast_scores(retailer: Retailer, panel: Panel) -> dg.MaterializeResult[pd.DataFrame]:
    """Issued forecasts beside what was sold since: by version, origin and period ahead, both roles on equal rows."""
    cells = score_cells(panel, retailer.archive.pairs())
    alone = cells[cells[VERSUS] == ""]
    tables = {
        "by version": score_table(alone, [ROLE, VERSION]),
        "by block": score_table(alone, [VERSION, "block"]),
        "by origin": score_table(alone, [VERSION, ORIGIN]).tail(30),
        "champion and challenger": versus_table(cells),
    }
    facts: dict[str, Any] = {"dagster/row_count": len(cells), "scored origins": int(cells[ORIGIN].nunique())}
    return dg.MaterializeResult(value=cells, metadata=facts | {k: _markdown(v) for k, v in tables.items()})


@dg.asset(
    kinds={"scipy"},
    io_manager_key="json",
    group_name="monitoring",
    owners=OWNERS,
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def drift_report(
    retailer: Retailer, panel: Panel, forecast_scores: pd.DataFrame
) -> dg.MaterializeResult[dict[str, Any]]:
    """Inputs beside the training reference, errors and coverage beside the backtest's promise; every figure."""
    pointer = retailer.registry.champion()
    if pointer is None:
        value = reports.no_champion(panel)
    else:
        folder = retailer.settings.models / pointer.version
        value = reports.drift_report(panel, read_manifest(folder), read_reference(folder), forecast_scores)
    History(artifact_root(retailer.settings)).write(value)
    facts: dict[str, Any] = {k: value[k] for k in (DRIFTED, "reasons", ORIGIN, "undefined")}
    facts |= {"version": value["version"] or "none", "coverage of the 90 % interval": value[reports.COVERED] or {}}
    facts["errors"] = _markdown(pd.DataFrame(value[reports.ERRORS]))
    facts["inputs"] = _markdown(pd.DataFrame(value[reports.INPUTS]).head(20))
    return dg.MaterializeResult(value=value, metadata=facts)


@dg.asset(
    kinds={"plotly"},
    deps=["drift_report"],
    group_name="monitoring",
    owners=OWNERS,
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def drift_over_time(retailer: Retailer) -> dg.MaterializeResult[None]:
    """The reports of the latest origins as a chart with its thresholds, under reports/ and on the run's page."""
    settings = retailer.settings
    kept = History(artifact_root(settings)).read()
    files = write_figure(draw_drift(kept, retailer.source.grain), settings.reports / "drift_over_time.html")
    write_run_pages(settings.reports, settings.models)
    facts: dict[str, Any] = {file.suffix[1:]: dg.MetadataValue.path(str(file)) for file in files}
    return dg.MaterializeResult(metadata=facts | {"origins": len(kept)})


@dg.asset_check(asset="drift_report", name="drift", description="Is the world still what the champion learned?")
def no_drift(drift_report: dict[str, Any]) -> dg.AssetCheckResult:
    """Warns when it has moved away, with the reasons."""
    facts = {k: drift_report[k] for k in ("reasons", "undefined")}
    return dg.AssetCheckResult(passed=not drift_report[DRIFTED], severity=dg.AssetCheckSeverity.WARN, metadata=facts)


@dg.sensor(
    job=train,
    minimum_interval_seconds=300,
    description="Every five minutes: has the latest drift report found drift? Then a training is asked for, once per "
    "report, not while one is under way, and not within a week after the last one for drift.",
)
def drift(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One training per report that found drift, with the tag trigger=drift."""
    found = context.instance.fetch_materializations(REPORT, limit=1).records
    if not found or found[0].asset_materialization is None:
        return dg.SkipReason("no drift report yet")
    facts = found[0].asset_materialization.metadata
    if not facts[DRIFTED].value:
        return dg.SkipReason(f"no drift at {facts[ORIGIN].value}")
    if why := _why_not_now(context.instance, found[0].timestamp):
        return dg.SkipReason(why)
    return dg.RunRequest(run_key=f"drift:{found[0].storage_id}", tags=Trigger.DRIFT.tags)


def _why_not_now(instance: dg.DagsterInstance, reported_at: float) -> str:
    """Why no training is asked for at this moment; empty when one is."""
    if instance.get_runs(dg.RunsFilter(job_name=train.name, statuses=list(UNDER_WAY)), limit=1):
        return "a training is under way"
    done = [dg.DagsterRunStatus.SUCCESS]
    for_drift = dg.RunsFilter(job_name=train.name, tags=Trigger.DRIFT.tags, statuses=done)
    last = instance.get_run_records(for_drift, limit=1)
    if last and last[0].create_timestamp.timestamp() + COOL_DOWN.total_seconds() > reported_at:
        return f"the last training for drift was on {last[0].create_timestamp:%Y-%m-%d}; a week has to pass"
    return ""


def _markdown(table: pd.DataFrame) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(table.to_markdown(index=False, floatfmt=".4g") if len(table) else "nothing yet")
