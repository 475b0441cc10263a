"""What is logged about the training of a version: from its bundle, the gate's decision and the time that it took."""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import BACKTEST_METRICS, Manifest
from shelfops_pipeline.contracts.decision import GateDecision
from shelfops_pipeline.evaluation.groups import ALL
from shelfops_pipeline.evaluation.scores import ENSEMBLE
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.run_record import BUNDLE, Param, RunRecord

REPORTS: Final = "reports"
TRAINING_SECONDS: Final = "training_seconds"
BACKTEST: Final = "backtest"
_OTHERS: Final = ("mae", "rmse", "wape", "bias", "mase")
"""Metrics of the ensemble's members and of the baselines; the ensemble has all."""


def training_run(
    settings: Settings,
    version: str,
    *,
    trigger: str,
    decision: GateDecision,
    seconds: Mapping[str, float | None],
    dagster_run_id: str,
) -> RunRecord:
    """The record of a version's training, with its bundle and its charts.

    `seconds` is what each of features, xgboost, lstm and backtest took: their sum without the backtest is
    `training_seconds`, undefined when a part is.
    """
    folder = settings.models / version
    manifest, table = read_manifest(folder), pd.read_parquet(folder / BACKTEST_METRICS)
    parts = {name: s for name, s in seconds.items() if name != BACKTEST}
    known = [s for s in parts.values() if s is not None]
    total = sum(known) if parts and len(known) == len(parts) else None
    times = {TRAINING_SECONDS: total} | {f"seconds/{name}": s for name, s in seconds.items()}
    figures = {f"gate/{k}": v for k, v in decision.numbers.items()}
    return RunRecord(
        version=version,
        dataset=manifest.dataset,
        tier=manifest.tier.value,
        trigger=trigger,
        params=_params(manifest, settings, table),
        metrics={**manifest.metrics, **_others(table), **figures, **times},
        fold_metrics=_per_fold(table),
        artifacts={BUNDLE: folder, REPORTS: settings.reports / "runs" / version},
        made_at=manifest.created_at,
        seconds=total,
        dagster_run_id=dagster_run_id,
        tags={"gate": "promoted" if decision.promote else "refused", "gate_reason": decision.reason},
    )


def _params(manifest: Manifest, settings: Settings, table: pd.DataFrame) -> dict[str, Param]:
    origins = _origins(table)
    return {
        **Recipe.model_validate(manifest.recipe).parameters(),
        "integer_demand": manifest.integer_demand,
        "seed": manifest.seed,
        "folds": len(origins),
        "fold_origins": ", ".join(origins),
        "metric": settings.metric.value,
        "effort": settings.effort,
        "features": len(manifest.features),
        "quantiles": ", ".join(map(str, manifest.quantiles)),
        "training_start": str(manifest.training_start),
        "training_cutoff": str(manifest.training_cutoff),
    }


def _origins(table: pd.DataFrame) -> list[str]:
    """The folds' origins, the earliest first."""
    return sorted(o for o in table[c.ORIGIN].unique() if o != ALL)


def _per_fold(table: pd.DataFrame) -> dict[str, list[float | None]]:
    """The ensemble's metrics on each fold, the earliest first; None where undefined."""
    own = table[(table[c.MODEL] == ENSEMBLE) & (table[c.ORIGIN] != ALL)]
    wide = own.pivot(index=c.ORIGIN, columns=c.METRIC, values=c.VALUE).loc[_origins(table)]
    return {str(name): [None if pd.isna(v) else float(v) for v in wide[name]] for name in wide.columns}


def _others(table: pd.DataFrame) -> dict[str, float | None]:
    """Over all folds, `model/metric` of each member and baseline; None where undefined."""
    rest = table[(table[c.MODEL] != ENSEMBLE) & (table[c.ORIGIN] == ALL) & table[c.METRIC].isin(_OTHERS)]
    names = rest[c.MODEL].astype(str) + "/" + rest[c.METRIC].astype(str)
    return {name: None if pd.isna(v) else float(v) for name, v in zip(names, rest[c.VALUE], strict=True)}
