"""The model card of a version: `models/model_card_template.md`, filled from the run."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from string import Template
from typing import Any, Final

import pandas as pd

from shelfops_pipeline.charts.numbers import METRIC_LABELS, UNDEFINED, defined, number
from shelfops_pipeline.charts.theme import BASELINES, model_label, sort_models
from shelfops_pipeline.contracts.bundle import Manifest
from shelfops_pipeline.contracts.columns import MODEL, ORIGIN, SCORE_COLUMNS, TIER, Grain, Tier
from shelfops_pipeline.contracts.decision import GateDecision
from shelfops_pipeline.evaluation.groups import ALL, BY_BLOCK, BY_CATEGORY, BY_CLASS, BY_STORE, PAIR
from shelfops_pipeline.lifecycle.card_decision import decision_section, objection
from shelfops_pipeline.lifecycle.card_tables import by_fold, by_group, by_model, cell, overall, table
from shelfops_pipeline.lifecycle.parameters import flat
from shelfops_pipeline.shipped import shipped_file

TEMPLATE: Final = "models/model_card_template.md"
WORST: Final = 10
"""Stores and categories shown: those that are forecast worst."""
_TIER_TEXTS: Final = {
    Tier.COLD_START: "It serves series with a short history, and items without any, from calendar, promotions, "
    "static attributes and the behaviour of similar series.",
    Tier.PRODUCTION: "It serves series with enough history for long windows; the others get the cold-start champion.",
}


def render_card(
    manifest: Manifest,
    metrics: pd.DataFrame,
    importance: Sequence[Mapping[str, Any]],
    decision: GateDecision | None,
    notes: Sequence[str] = (),
    scores: pd.DataFrame | None = None,
    network: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The card as Markdown.

    `metrics` is a `metrics_table`; `importance` the rows of feature_importance.json; `notes` are added to the caveats;
    `scores` (SCORE_COLUMNS) give the errors by group, which are undefined without it; `network` the inputs of
    lstm_importance.json.
    """
    own = metrics[metrics[TIER].astype(str) == str(manifest.tier)]
    return Template(shipped_file(TEMPLATE).read_text(encoding="utf-8")).substitute(
        version=manifest.version,
        summary=_summary(manifest, own),
        details=_details(manifest),
        verdict=_verdict(decision),
        decision=decision_section(decision),
        dataset=manifest.dataset,
        horizon=_periods(manifest.horizon, manifest.grain),
        tier=manifest.tier,
        tier_text=_TIER_TEXTS[manifest.tier],
        channels=_names(manifest.spec.channels),
        past_channels=_names(manifest.spec.past_channels),
        static=_names(manifest.spec.static),
        training_data=_training_data(manifest),
        evaluation_data=_evaluation_data(manifest, own),
        by_model=by_model(metrics, manifest.grain),
        by_fold=by_fold(own),
        **_groups(scores, manifest.tier),
        importance=_importance(importance),
        network=_network(network),
        caveats=_bullets([*_findings(own, manifest.grain), *_objections(decision), *_standing(manifest), *notes]),
        configuration=_pairs({**flat(manifest.recipe), "seed": manifest.seed}),
        libraries=_pairs(manifest.library_versions),
    )


def _summary(manifest: Manifest, own: pd.DataFrame) -> str:
    main = _main(own)
    figures = [f"{METRIC_LABELS[m]} {cell(own, str(manifest.tier), main, m)}" for m in ("wape", "mae", "coverage_90")]
    return (
        f"Demand forecast for `{manifest.dataset}`, {manifest.tier.replace('_', ' ')} tier, "
        f"{_periods(manifest.horizon, manifest.grain)} ahead. Backtest: {'; '.join(figures)}."
    )


def _details(manifest: Manifest) -> str:
    rows = {
        "Version": f"`{manifest.version}`",
        "Made": f"{manifest.created_at:%Y-%m-%d %H:%M %Z}".strip(),
        "Data set": manifest.dataset,
        "Feature tier": manifest.tier,
        "Horizon": _periods(manifest.horizon, manifest.grain),
        "Features": len(manifest.features),
        "Quantiles": ", ".join(f"{q:g}" for q in manifest.quantiles),
        "Learns": "log1p(demand) less its base, by squared error"
        if manifest.transform == "log"
        else "expected demand, by a count-aware (Tweedie) loss",
        "Licence of the code": "Apache-2.0",
    }
    return table(["", ""], [[k, str(v)] for k, v in rows.items()])


def _training_data(manifest: Manifest) -> str:
    grain = manifest.grain
    last = manifest.training_cutoff + timedelta(days=grain.days - 1)
    periods = ((last - manifest.training_start).days + 1) // grain.days
    return (
        f"Sales of `{manifest.dataset}` from {manifest.training_start} to {last} ({periods:,} "
        f"{grain}s), one row per series and {grain}. The version that ships is the recipe refitted on all of "
        "these data. A period on sale without a sale is demand 0; closed, not on sale, or known out of stock is "
        "missing and not learnt."
    )


def _evaluation_data(manifest: Manifest, own: pd.DataFrame) -> str:
    folds = sorted(own.loc[own[ORIGIN].astype(str) != ALL, ORIGIN].astype(str).unique())
    if not folds:
        return f"{UNDEFINED} (the run had no backtest)"
    return (
        f"Rolling-origin backtest with {len(folds)} fold{'s' * (len(folds) > 1)}, origins {', '.join(folds)}. Each "
        f"fold is forecast {_periods(manifest.horizon, manifest.grain)} ahead by a model that saw nothing after its "
        "origin; models and baselines are scored on the same rows. The shipped version itself, trained on all data, is "
        "not what was scored: its recipe is."
    )


def _importance(importance: Sequence[Mapping[str, Any]], top: int = 10) -> str:
    if not importance:
        return f"{UNDEFINED} (no feature importance was computed)"
    rows = [[f"`{r['feature']}`", number(r["mean_abs_shap"]), str(r["definition"])] for r in importance[:top]]
    return table(["Feature", "Mean abs. SHAP (log scale)", "Definition"], rows)


def _network(network: Sequence[Mapping[str, Any]], top: int = 10) -> str:
    if not network:
        return f"{UNDEFINED} (the LSTM was not explained)"
    rows = [[r["input"], r["part"].replace("_", " "), number(r["mean_abs"])] for r in network[:top]]
    return table(["Input of the LSTM", "Part", "Mean abs. change of log demand"], rows)


def _main(own: pd.DataFrame) -> str:
    models = sort_models(own[MODEL].unique())
    return models[0] if models else ""


def _findings(own: pd.DataFrame, grain: Grain) -> list[str]:
    """What the numbers of this run say against it."""
    found = []
    main = _main(own)
    scores = overall(own, "wape")
    if not defined(scores.get(main)):
        return ["The backtest gives no WAPE for this version: do not promote it on trust."]
    baselines = {b: scores[b] for b in BASELINES if defined(scores.get(b))}
    for baseline, score in sorted(baselines.items(), key=lambda pair: pair[1]):
        if score <= scores[main]:
            found.append(f"The baseline {model_label(baseline, grain)} has no larger WAPE than this version.")
    if not baselines:
        found.append("No baseline could be scored, so the gain over a simple rule is not known.")
    coverage = overall(own, "coverage_90").get(main)
    if coverage is not None and defined(coverage) and abs(coverage - 0.9) > 0.03:
        found.append(f"The 90 % interval holds {100 * coverage:.1f} % of actuals: more than 3 points off.")
    bias = overall(own, "bias").get(main)
    if bias is not None and defined(bias) and abs(bias) > 0.05:
        found.append(f"The mean is {100 * abs(bias):.1f} % too {'high' if bias > 0 else 'low'} over all folds.")
    return found


def _groups(scores: pd.DataFrame | None, tier: Tier) -> dict[str, str]:
    """The template's tables by group."""
    own = pd.DataFrame(columns=list(SCORE_COLUMNS)) if scores is None else scores[scores[TIER] == tier]
    return {
        "by_block": by_group(own, BY_BLOCK),
        "by_class": by_group(own, BY_CLASS),
        "by_store": by_group(own, BY_STORE, WORST),
        "by_category": by_group(own, BY_CATEGORY, WORST),
        "by_class_and_block": by_group(own, f"{BY_CLASS}{PAIR}{BY_BLOCK}", 2 * WORST),
    }


def _verdict(decision: GateDecision | None) -> str:
    if decision is None:
        return f"{UNDEFINED} (the gate did not run)"
    return f"{'promoted' if decision.promote else 'not promoted'}: {decision.reason}"


def _objections(decision: GateDecision | None) -> list[str]:
    """What the gate had against the version beside its MAE; also where it only warned."""
    return [] if decision is None else [f"Gate, {f.verdict}: {objection(f)}." for f in decision.objections]


def _standing(manifest: Manifest) -> list[str]:
    return [
        f"Not tested beyond {_periods(manifest.horizon, manifest.grain)}, on new stores, or under events that the "
        "history does not hold.",
        "Promotions, prices and closures are taken as announced; a changed plan needs a new forecast.",
        "Quantiles of single series do not add up to quantiles of a sum; use the mean for sums.",
        "Watch the drift checks, and retrain when WAPE of the last periods leaves the range of the folds.",
    ]


def _periods(n: int, grain: Grain) -> str:
    return f"{n} {grain}{'s' * (n > 1)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "none"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line.strip()}" for line in lines)


def _pairs(values: Mapping[str, object]) -> str:
    rows = [[f"`{k}`", f"{UNDEFINED} (not set)" if v is None else str(v)] for k, v in values.items()]
    return table(["Name", "Value"], rows) if rows else f"{UNDEFINED} (not recorded)"
