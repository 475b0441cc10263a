"""A fitted tier becomes a candidate: bundle written, parity checked, registered."""

from typing import Any

from shelfops_pipeline.contracts.bundle import BACKTEST_FORECASTS, RegistryEntry
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.report import headline, metrics_table, version_forecasts
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import Trained, write_bundle
from shelfops_pipeline.models.fit import members_of
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.models.serve import origin_state
from shelfops_pipeline.monitoring.reference import training_reference


def register_candidate(
    registry: Registry, panel: Panel, backtest: Backtest, recipe: Recipe, booster: Any, network: Any, run_id: str
) -> RegistryEntry:
    """Write the bundle of a tier's members, fitted on all of `panel`, with its backtest's forecasts, and register it.

    A run that has registered the tier's candidate already, and is repeated because its worker died, gets that one.
    Raises BundleError when an ONNX graph differs from its model, PromotionError when the backtest has no MAE.
    """
    tier = recipe.spec.tier
    registered = registry.of_run(run_id, tier)
    if registered is not None:
        return registered
    metrics = headline(metrics_table(backtest), tier)
    members = members_of(panel, recipe, booster, network)
    reference = training_reference(panel, members, backtest, tier).model_dump_json()
    trained = Trained(recipe, members, backtest.calibrations[tier], metrics, reference)
    version = registry.next_version()
    state = origin_state(panel, trained.members, panel.n_observed - 1)
    manifest = write_bundle(registry.models / version, version, panel, trained, state)
    forecasts = version_forecasts(panel, backtest, tier)
    forecasts.to_parquet(registry.models / version / BACKTEST_FORECASTS, index=False, compression="zstd")
    mae = metrics["mae"]
    return registry.register(manifest, float("nan") if mae is None else mae, "trained", run_id)
