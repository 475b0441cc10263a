"""Metric tables in Markdown, for the model card and the report index."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from shelfops_pipeline.charts.aggregate import MAE, WAPE
from shelfops_pipeline.charts.numbers import (
    METRIC_LABELS,
    METRIC_ORDER,
    UNDEFINED,
    WHY_UNDEFINED,
    defined,
    metric_value,
    percent,
)
from shelfops_pipeline.charts.score_tables import wide
from shelfops_pipeline.charts.theme import BASELINES, model_label, sort_models
from shelfops_pipeline.contracts.columns import BY, COUNT, GROUP, METRIC, MODEL, ORIGIN, TIER, VALUE, WHY, Grain
from shelfops_pipeline.evaluation.groups import ALL, BY_BLOCK

_BY_GROUP: Final = (WAPE, MAE, "bias", "coverage_90")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are aligned as they come."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(value.replace("|", "\\|") for value in line) + " |" for line in lines)


def overall(metrics: pd.DataFrame, metric: str) -> dict[str, float]:
    """Model → value over all folds, for one tier's rows."""
    rows = metrics[(metrics[ORIGIN].astype(str) == ALL) & (metrics[METRIC] == metric)]
    return {str(m): float(v) for m, v in zip(rows[MODEL], rows[VALUE], strict=True)}


def cell(metrics: pd.DataFrame, tier: str, model: str, metric: str, origin: str = ALL) -> str:
    """One value with its unit, or `undefined (reason)`."""
    rows = metrics[
        (metrics[TIER].astype(str) == tier)
        & (metrics[MODEL] == model)
        & (metrics[METRIC] == metric)
        & (metrics[ORIGIN].astype(str) == origin)
    ]
    if rows.empty:
        return f"{UNDEFINED} (not computed)"
    value = float(rows[VALUE].iloc[0])
    if defined(value):
        return metric_value(metric, value)
    why = str(rows[WHY].iloc[0]) if WHY in rows and pd.notna(rows[WHY].iloc[0]) else ""
    return f"{UNDEFINED} ({why or WHY_UNDEFINED.get(metric, 'no scored rows')})"


def by_model(metrics: pd.DataFrame, grain: Grain) -> str:
    """Every metric of every model and baseline in each tier, over all folds."""
    tiers = sorted(metrics[TIER].astype(str).unique(), reverse=True)
    rows = [
        [f"{tier} · {model_label(model, grain)}", *(cell(metrics, tier, model, m) for m in METRIC_ORDER)]
        for tier in tiers
        for model in sort_models(metrics.loc[metrics[TIER].astype(str) == tier, MODEL].unique())
    ]
    if not rows:
        return f"{UNDEFINED} (the run had no backtest)"
    return table(["Tier · model", *(METRIC_LABELS[m] for m in METRIC_ORDER)], rows)


def by_fold(own: pd.DataFrame) -> str:
    """The main model's metrics in each fold; `own` are one tier's rows."""
    folds = sorted(o for o in own[ORIGIN].astype(str).unique() if o != ALL)
    models = sort_models(own[MODEL].unique())
    if not folds or not models:
        return f"{UNDEFINED} (the run had no backtest)"
    tier = str(own[TIER].iloc[0])
    rows = [[fold, *(cell(own, tier, models[0], m, fold) for m in METRIC_ORDER)] for fold in folds]
    return table([f"{model_label(models[0])}, origin", *(METRIC_LABELS[m] for m in METRIC_ORDER)], rows)


def by_group(scores: pd.DataFrame, by: str, worst: int | None = None) -> str:
    """The main model's metrics by group, each beside the best baseline of that group; `scores` are one tier's rows.

    With `worst`, only so many groups, those with the largest WAPE.
    """
    rows = scores[scores[BY] == by]
    models = sort_models(rows[MODEL].unique())
    if rows.empty:
        return f"{UNDEFINED} (nothing to group by, or too many groups)"
    tier = str(rows[TIER].iloc[0])
    values = {metric: wide(rows, tier, by, metric) for metric in _BY_GROUP}
    counts = rows[(rows[MODEL] == models[0]) & (rows[METRIC] == MAE)].set_index(GROUP)[COUNT]
    wape = values[WAPE]
    order = wape[models[0]].sort_values(ascending=False, kind="stable").index[:worst] if worst else wape.index
    baseline = wape.reindex(columns=list(BASELINES)).min(axis=1)
    lines = [
        [
            str(group),
            f"{counts[group]:,}",
            percent(baseline[group]),
            *(metric_value(metric, values[metric].loc[group, models[0]]) for metric in _BY_GROUP),
        ]
        for group in order
    ]
    head = [
        by.replace(BY_BLOCK, "periods ahead").capitalize(),
        "Rows",
        "WAPE of the best baseline",
        *(METRIC_LABELS[m] for m in _BY_GROUP),
    ]
    left = f"\n\nThe {len(order)} with the largest WAPE, of {len(wape):,}." if len(order) < len(wape) else ""
    return table(head, lines) + left
