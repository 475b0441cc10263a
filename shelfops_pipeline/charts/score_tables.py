"""What charts read off a table of scores (contracts.columns.SCORE_COLUMNS). Frames in, small frames and words out."""

from typing import Final

import pandas as pd

from shelfops_pipeline.charts.numbers import percent
from shelfops_pipeline.charts.theme import BASELINES, ENSEMBLE, sort_models
from shelfops_pipeline.contracts.columns import BY, COUNT, GROUP, METRIC, MODEL, TIER, VALUE, Tier

_CLASS_WORDS: Final = {
    "new": "No demand so far",
    "new_item": "New items",
    "new_store": "New stores",
    "dormant": "No demand of late",
}
_TIERS: Final = ("served", Tier.PRODUCTION.value, Tier.COLD_START.value)


def main_tier(scores: pd.DataFrame) -> str | None:
    """The tier a chart is about: what would have been served, or the only one there is; None for an empty table."""
    found = set(scores[TIER].astype(str))
    return next((tier for tier in _TIERS if tier in found), None)


def wide(scores: pd.DataFrame, tier: str, by: str, metric: str) -> pd.DataFrame:
    """[group, model] values of one metric, groups in the table's order."""
    rows = scores[(scores[TIER] == tier) & (scores[BY] == by) & (scores[METRIC] == metric)]
    table = rows.pivot(index=GROUP, columns=MODEL, values=VALUE)
    return table.reindex(index=rows[GROUP].drop_duplicates(), columns=sort_models(table.columns))


def tier_words(tier: str) -> str:
    """A tier as a subtitle names it."""
    if tier == "served":
        return "served as each series' history allows"
    return f"{tier.replace('_', ' ')} tier"


def class_words(name: str) -> str:
    """A demand class as a reader sees it."""
    return _CLASS_WORDS.get(name, f"{name.capitalize()} demand")


def best_baseline(scores: pd.DataFrame, tier: str) -> str | None:
    """The baseline with the lowest WAPE over all rows."""
    overall = wide(scores, tier, "all", "wape").reindex(columns=list(BASELINES)).iloc[0].dropna()
    return str(overall.idxmin()) if len(overall) else None


def beside_best_baseline(scores: pd.DataFrame, tier: str, by: str) -> pd.DataFrame:
    """WAPE by group, the largest first: columns ours, theirs, who (the group's best baseline), n.

    Groups without a WAPE of the ensemble are left out.
    """
    values = wide(scores, tier, by, "wape")
    if ENSEMBLE not in values:
        return pd.DataFrame()
    values = values[values[ENSEMBLE].notna()]
    baselines = values.reindex(columns=list(BASELINES))
    known = baselines.dropna(how="all")
    counts = scores[
        (scores[TIER] == tier) & (scores[BY] == by) & (scores[MODEL] == ENSEMBLE) & (scores[METRIC] == "wape")
    ]
    return pd.DataFrame(
        {
            "ours": values[ENSEMBLE],
            "theirs": baselines.min(axis=1),
            "who": known.idxmin(axis=1).reindex(values.index),
            "n": counts.set_index(GROUP)[COUNT].reindex(values.index),
        }
    ).sort_values("ours", ascending=False, kind="stable")


def subtitle(scores: pd.DataFrame, tier: str) -> str:
    """What was scored, for a chart's subtitle."""
    folds = scores.loc[scores[BY] == "origin", GROUP].nunique()
    counts = scores[
        (scores[TIER] == tier) & (scores[BY] == "all") & (scores[MODEL] == ENSEMBLE) & (scores[METRIC] == "mae")
    ]
    n = int(counts[COUNT].max()) if len(counts) else 0
    return f"{n:,} scored forecasts in {folds} fold{'s' * (folds != 1)}, {tier_words(tier)}"


def groups_markdown(scores: pd.DataFrame, by: str, most: int = 10) -> str:
    """The groups with the largest WAPE, each beside its best baseline, in Markdown; empty where there is none."""
    tier = main_tier(scores)
    table = pd.DataFrame() if tier is None else beside_best_baseline(scores, tier, by)
    if tier is None or table.empty:
        return ""
    coverage = wide(scores, tier, by, "coverage_90")[ENSEMBLE]
    lines = [[by, "rows", "WAPE", "best baseline", "90 % coverage"], ["---"] * 5]
    for group, ours, theirs, _, n in table.head(most).itertuples(name=None):
        shares = (percent(ours), percent(theirs), percent(coverage[group]))
        lines.append([str(group).replace("|", "/"), f"{n:,.0f}", *shares])
    left = f"\n\n{len(table) - most:,} more" if len(table) > most else ""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + left
