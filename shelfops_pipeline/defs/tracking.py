"""Experiment tracking: each training in MLflow, and what had to wait for MLflow sent after it."""

from typing import Any, Final

import dagster as dg

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.decision import GateDecision
from shelfops_pipeline.contracts.trigger import TRIGGER, Trigger
from shelfops_pipeline.defs.lifecycle import Versions
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.shards import SECONDS
from shelfops_pipeline.defs.training import OWNERS
from shelfops_pipeline.defs.turns import UNDER_WAY
from shelfops_pipeline.tracking.probe import why_away
from shelfops_pipeline.tracking.track import is_behind, replay_runs, track_runs
from shelfops_pipeline.tracking.training_run import BACKTEST, training_run

_PARTS: Final = ("features", "xgboost", "lstm")


@dg.asset(
    group_name="lifecycle",
    owners=OWNERS,
    kinds={"mlflow"},
    deps=["model_card", "shap_summary", "shap_local", "lstm_attribution", "training_summary"],
)
def experiment_run(
    context: dg.AssetExecutionContext, retailer: Retailer, model_candidates: Versions, champion: dict[str, Any]
) -> dg.MaterializeResult[None]:
    """The run of each tier in MLflow; while MLflow is away it waits in reports/run_TIMESTAMP.json to be replayed."""
    runs = [
        training_run(
            retailer.settings,
            version,
            trigger=context.run.tags.get(TRIGGER, Trigger.MANUAL.value),
            decision=GateDecision.model_validate(champion[tier]),
            seconds=measured_seconds(context.instance, Tier(tier)),
            dagster_run_id=context.run.run_id,
        )
        for tier, version in model_candidates.items()
    ]
    results = track_runs(retailer.settings, runs)
    return dg.MaterializeResult(metadata={r.version: str(found) for r, found in zip(runs, results, strict=True)})


def measured_seconds(instance: dg.DagsterInstance, tier: Tier) -> dict[str, float | None]:
    """How long each part of a tier's latest training took, as its asset measured it; None where none says so."""
    assets = {part: f"{tier.value}_{part}" for part in _PARTS} | {BACKTEST: BACKTEST}
    found: dict[str, float | None] = {}
    for part, name in assets.items():
        event = instance.get_latest_materialization_event(dg.AssetKey(name))
        made = None if event is None else event.asset_materialization
        value = None if made is None or SECONDS not in made.metadata else made.metadata[SECONDS].value
        found[part] = float(value) if isinstance(value, int | float) else None
    return found


@dg.op(description="Sends every waiting run to MLflow, once, and lets its aliases follow the registry.")
def send_waiting_runs(context: dg.OpExecutionContext, retailer: Retailer) -> None:
    """Fails when MLflow is away again, for what waits stays where it is; or will not have a run."""
    done = replay_runs(retailer.settings)
    context.log.info(f"{len(done.tracked)} runs were sent to MLflow, {len(done.waiting)} wait")
    if done.refused:
        raise dg.Failure("; ".join(map(str, done.refused)), allow_retries=False)
    if done.away:
        raise dg.Failure(done.away, allow_retries=False)


@dg.job(name="sync_tracking", description="What `shelfops models sync-tracking` does: MLflow gets what it missed.")
def sync_tracking() -> None:
    """One op."""
    send_waiting_runs()


@dg.sensor(
    job=sync_tracking,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every two minutes: when runs, or a change of champion, wait for MLflow and it answers, send them. "
    "On from the start: it trains nothing and changes nothing of ours.",
)
def replay_tracking(context: dg.SensorEvaluationContext, retailer: Retailer) -> dg.RunRequest | dg.SkipReason:
    """One run of `sync_tracking` at a time, as long as something waits."""
    settings = retailer.settings
    if not is_behind(settings):
        return dg.SkipReason("MLflow has every run")
    under_way = dg.RunsFilter(job_name=sync_tracking.name, statuses=list(UNDER_WAY))
    if context.instance.get_runs_count(under_way):
        return dg.SkipReason("a sync is under way")
    if why := why_away(settings):
        return dg.SkipReason(f"MLflow is away: {why}")
    return dg.RunRequest()
