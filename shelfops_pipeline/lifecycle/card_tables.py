"""Metric tables in Markdown, for the model card and the report index."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from shelfops_pipeline.charts.aggregate import HORIZON, MAE, WAPE, errors_by, main_model, scored, with_horizon
from shelfops_pipeline.charts.numbers import (
    METRIC_LABELS,
    METRIC_ORDER,
    UNDEFINED,
    WHY_UNDEFINED,
    defined,
    metric_value,
)
from shelfops_pipeline.charts.theme import model_label, sort_models
from shelfops_pipeline.contracts.columns import MODEL, Grain

ALL: Final = "all"
GROUPS: Final = 6
_GROUP: Final = "group"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are aligned as they come."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(value.replace("|", "\\|") for value in line) + " |" for line in lines)


def overall(metrics: pd.DataFrame, metric: str) -> dict[str, float]:
    """Model → value over all folds, for one tier's rows."""
    rows = metrics[(metrics["origin"].astype(str) == ALL) & (metrics["metric"] == metric)]
    return {str(m): float(v) for m, v in zip(rows["model"], rows["value"], strict=True)}


def cell(metrics: pd.DataFrame, tier: str, model: str, metric: str, origin: str = ALL) -> str:
    """One value with its unit, or `undefined (reason)`."""
    rows = metrics[
        (metrics["tier"].astype(str) == tier)
        & (metrics["model"] == model)
        & (metrics["metric"] == metric)
        & (metrics["origin"].astype(str) == origin)
    ]
    if rows.empty:
        return f"{UNDEFINED} (not computed)"
    value = float(rows["value"].iloc[0])
    if defined(value):
        return metric_value(metric, value)
    why = str(rows["why"].iloc[0]) if "why" in rows and pd.notna(rows["why"].iloc[0]) else ""
    return f"{UNDEFINED} ({why or WHY_UNDEFINED.get(metric, 'no scored rows')})"


def by_model(metrics: pd.DataFrame, grain: Grain) -> str:
    """Every metric of every model and baseline in each tier, over all folds."""
    tiers = sorted(metrics["tier"].astype(str).unique(), reverse=True)
    rows = [
        [f"{tier} · {model_label(model, grain)}", *(cell(metrics, tier, model, m) for m in METRIC_ORDER)]
        for tier in tiers
        for model in sort_models(metrics.loc[metrics["tier"].astype(str) == tier, "model"].unique())
    ]
    if not rows:
        return f"{UNDEFINED} (the run had no backtest)"
    return table(["Tier · model", *(METRIC_LABELS[m] for m in METRIC_ORDER)], rows)


def by_fold(own: pd.DataFrame) -> str:
    """The main model's metrics in each fold; `own` are one tier's rows."""
    folds = sorted(o for o in own["origin"].astype(str).unique() if o != ALL)
    models = sort_models(own["model"].unique())
    if not folds or not models:
        return f"{UNDEFINED} (the run had no backtest)"
    tier = str(own["tier"].iloc[0])
    rows = [[fold, *(cell(own, tier, models[0], m, fold) for m in METRIC_ORDER)] for fold in folds]
    return table([f"{model_label(models[0])}, origin", *(METRIC_LABELS[m] for m in METRIC_ORDER)], rows)


def by_horizon(forecasts: pd.DataFrame | None, grain: Grain) -> str:
    """WAPE and MAE of the main model and the baselines in groups of periods after the origin."""
    if forecasts is None or main_model(forecasts) is None:
        return f"{UNDEFINED} (the backtest's forecasts were not at hand)"
    rows = with_horizon(scored(forecasts), grain)
    if rows.empty:
        return f"{UNDEFINED} (no row has both a forecast and an actual)"
    last = int(rows[HORIZON].max())
    width = -(-last // GROUPS)
    errors = errors_by(rows.assign(**{_GROUP: (rows[HORIZON] - 1) // width}), [_GROUP, MODEL])
    models = sort_models(errors[MODEL].unique())
    lines = []
    for group, part in errors.groupby(_GROUP):
        start, end = int(str(group)) * width + 1, min((int(str(group)) + 1) * width, last)
        own = part.set_index(MODEL)
        name = str(start) if start == end else f"{start} to {end}"
        lines.append([name, *(_errors(own, model) for model in models)])
    return table([f"{grain.capitalize()}s ahead", *(f"{model_label(m, grain)}, WAPE / MAE" for m in models)], lines)


def _errors(own: pd.DataFrame, model: str) -> str:
    if model not in own.index:
        return f"{UNDEFINED} (no scored rows)"
    return " / ".join(metric_value(metric, float(own[metric][model])) for metric in (WAPE, MAE))
