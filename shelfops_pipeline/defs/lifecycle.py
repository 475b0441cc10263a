"""From fitted members to a champion: bundle, gate, explanation, card."""

from typing import Any

import dagster as dg

from shelfops_pipeline.contracts.bundle import BACKTEST_METRICS, FEATURE_IMPORTANCE, LSTM_IMPORTANCE, MODEL_CARD
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.decision import GateDecision
from shelfops_pipeline.contracts.trigger import TRIGGER, Trigger
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.partitions import ML_QUEUE
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.training import OWNERS
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.report import per_fold
from shelfops_pipeline.evaluation.scores import scores_table
from shelfops_pipeline.explain.importance import read_importance, write_importance
from shelfops_pipeline.explain.recurrent_importance import read_lstm_importance
from shelfops_pipeline.explain.version import (
    VersionExplanation,
    explain_version,
    write_lstm,
    write_summary,
    write_waterfalls,
)
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.lifecycle.candidate import register_candidate
from shelfops_pipeline.lifecycle.card import render_card
from shelfops_pipeline.lifecycle.files import write_atomically
from shelfops_pipeline.lifecycle.promotion import run_gate
from shelfops_pipeline.models.bundle import read_manifest

Versions = dict[str, str]
"""tier -> version"""


@dg.asset(group_name="lifecycle", owners=OWNERS, kinds={"onnx"}, op_tags=ML_QUEUE, io_manager_key="json")
def model_candidates(
    context: dg.AssetExecutionContext,
    retailer: Retailer,
    panel: Panel,
    backtest: Backtest,
    cold_start_xgboost: Any,
    cold_start_lstm: Any,
    production_xgboost: Any,
    production_lstm: Any,
) -> dg.MaterializeResult[Versions]:
    """A bundle per tier: native and ONNX models (parity checked), calibration, manifest; registered as candidates."""
    fitted = {
        Tier.COLD_START: (cold_start_xgboost, cold_start_lstm),
        Tier.PRODUCTION: (production_xgboost, production_lstm),
    }
    plan, run_id = retailer.plan(panel), first_run(context.instance, context.run)
    versions = {
        tier.value: register_candidate(retailer.registry, panel, backtest, recipe, *fitted[tier], run_id).version
        for tier, recipe in plan.recipes.items()
    }
    tuning = {f"{tier} tuning": note for tier, note in plan.notes.items()}
    return dg.MaterializeResult(
        value=versions, metadata={**versions, **tuning, "models": str(retailer.settings.models)}
    )


def first_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The run that a chain of re-executions from the point of failure goes back to: all of them make one candidate."""
    while run.is_resume_retry and run.parent_run_id is not None:
        parent = instance.get_run_by_id(run.parent_run_id)
        if parent is None:  # deleted, being old
            return run.parent_run_id
        run = parent
    return run.run_id


@dg.asset(
    group_name="lifecycle",
    owners=OWNERS,
    kinds={"python"},
    io_manager_key="json",
)
def champion(
    context: dg.AssetExecutionContext, retailer: Retailer, panel: Panel, backtest: Backtest, model_candidates: Versions
) -> dg.MaterializeResult[dict[str, Any]]:
    """The gate: a candidate is promoted only if it is better than the champion (or the baselines) on the same folds."""
    by = f"gate ({context.run.tags.get(TRIGGER, Trigger.MANUAL)})"
    decisions = {t: run_gate(retailer.registry, panel, backtest, Tier(t), v, by) for t, v in model_candidates.items()}
    value = {tier: decision.model_dump(mode="json") for tier, decision in decisions.items()}
    pointer = retailer.registry.champion()
    facts: dict[str, Any] = {f"{tier} decision": d.reason for tier, d in decisions.items()}
    facts["serving"] = "nothing yet" if pointer is None else pointer.release
    return dg.MaterializeResult(value=value, metadata=facts)


@dg.multi_asset(
    group_name="explain",
    op_tags=ML_QUEUE,
    outs={
        name: dg.AssetOut(description=text, dagster_type=dg.Nothing, owners=OWNERS, kinds={kind})
        for name, text, kind in (
            ("shap_summary", "Beeswarm of the top 20 features of each new version.", "shap"),
            ("feature_importance", "Features by mean absolute SHAP value, as JSON.", "json"),
            ("shap_local", "Five representative predictions, explained feature by feature in units.", "shap"),
            ("lstm_attribution", "What drives the LSTM of each new version: expected gradients by input.", "keras"),
        )
    },
)
def explain(retailer: Retailer, panel: Panel, backtest: Backtest, model_candidates: Versions):  # type: ignore[no-untyped-def]
    """What drives every new version, on forecasts of the last backtest fold; additive to 1e-4 or it fails."""
    said: dict[str, Any] = {}
    lstm: dict[str, Any] = {}
    results: dict[str, VersionExplanation] = {}
    for version in model_candidates.values():
        folder = retailer.settings.models / version
        model, manifest = ServedModel.load_native(folder), read_manifest(folder)
        result = results[version] = explain_version(panel, model, manifest, backtest.origins[-1])
        write_summary(result, folder)
        write_importance(folder / FEATURE_IMPORTANCE, result.importance, len(result.explanation.values))
        lstm[version] = write_lstm(result, folder)
        said |= {f"{version} {kind}": text for kind, text in write_waterfalls(result, folder).items()}
    top = {v: [row["feature"] for row in r.importance[:5]] for v, r in results.items()}
    yield dg.Output(None, "shap_summary", metadata={"folder": str(retailer.settings.models), "top features": top})
    yield dg.Output(None, "feature_importance", metadata=top)
    yield dg.Output(None, "shap_local", metadata=said)
    yield dg.Output(None, "lstm_attribution", metadata=lstm)


@dg.asset(group_name="lifecycle", owners=OWNERS, kinds={"markdown"}, deps=["feature_importance", "lstm_attribution"])
def model_card(
    retailer: Retailer, panel: Panel, backtest: Backtest, model_candidates: Versions, champion: dict[str, Any]
) -> dg.MaterializeResult[None]:
    """A model card per version: intended use, data, metrics by group, limits, ethics, configuration."""
    scores = scores_table(backtest, panel)
    table, facts = per_fold(scores), {}
    for tier, version in model_candidates.items():
        folder = retailer.settings.models / version
        importance = read_importance(folder / FEATURE_IMPORTANCE)
        network = read_lstm_importance(folder / LSTM_IMPORTANCE)
        decision = GateDecision.model_validate(champion[tier])
        card = render_card(read_manifest(folder), table, importance, decision, scores=scores, network=network)
        write_atomically(folder / MODEL_CARD, card)
        table[table["tier"] == tier].to_parquet(folder / BACKTEST_METRICS, index=False)
        facts[version] = dg.MetadataValue.path(str(folder / MODEL_CARD))
    return dg.MaterializeResult(metadata=facts)
