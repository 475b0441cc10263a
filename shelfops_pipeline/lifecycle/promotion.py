"""The promotion gate: a candidate serves only if it is better than what serves now, on the same folds.

Who the rival is says `rivals`, what is measured `comparison`, and what is asked for `vetoes`.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from shelfops_pipeline.contracts.bundle import DECISION
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.decision import Figure, GateDecision, Verdict
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import PromotionError
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.groups import panel_dimensions
from shelfops_pipeline.lifecycle.card_decision import objection
from shelfops_pipeline.lifecycle.comparison import Comparison, Side, compare_sides
from shelfops_pipeline.lifecycle.files import write_json
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.rivals import Rival, find_rival
from shelfops_pipeline.lifecycle.vetoes import MARGINS, judge

_TOLD = 3


def decide(panel: Panel, backtest: Backtest, tier: Tier, version: str, champion: Path | None, by: str) -> GateDecision:
    """Compare a tier's candidate with its champion's bundle, or with the baselines where there is none yet."""
    rival = find_rival(panel, backtest, tier, champion)
    folds = [backtest.folds[tier][k] for k in rival.folds]
    ours = Side.of([f.forecast for f in folds])
    periods = min(ours.periods, rival.side.periods)  # their horizons may differ
    actual = [f.actual[:, :periods] for f in folds]
    dimensions = panel_dimensions(panel, len(folds))
    found = compare_sides(actual, ours.cut(periods), rival.side.cut(periods), dimensions, MARGINS.group)
    figures = tuple(judge(found, rival.is_champion))
    return GateDecision(
        version=version,
        tier=tier,
        promote=all(f.verdict is not Verdict.FAILED for f in figures),
        reason=_reason(rival, found, figures),
        rival=rival.name,
        rival_is_champion=rival.is_champion,
        compared=rival.how,
        folds=tuple(f.origin_date for f in folds),
        periods=periods,
        rows=found.mae.rows,
        blocks=found.blocks,
        figures=figures,
        decided_at=datetime.now(UTC),
        by=by,
    )


def run_gate(
    registry: Registry, panel: Panel, backtest: Backtest, tier: Tier, version: str, by: str = "gate"
) -> GateDecision:
    """Decide about a candidate and act on it: promoted, or refused with the reason in the registry.

    The decision is left in the version's folder. A version that the gate has made champion already is not judged
    again: it would be compared with itself. Raises PromotionError when somebody else promoted another one meanwhile.
    """
    registry, folder = replace(registry, by=by), registry.models / version
    holder = registry.champion_of(tier)
    if holder == version:
        return recorded_decision(folder)
    decision = decide(panel, backtest, tier, version, None if holder is None else registry.models / holder, by)
    write_json(folder / DECISION, decision.model_dump(mode="json"))
    if decision.promote:
        registry.promote(version, decision.reason, over=holder or "")
    else:
        registry.refuse(version, decision.reason)
    return decision


def recorded_decision(folder: Path) -> GateDecision:
    """What the gate said about a version. Raises PromotionError when it was never asked."""
    path = folder / DECISION
    if not path.is_file():
        raise PromotionError(f"{folder.name} serves already and was not promoted by the gate; train a new version")
    return GateDecision.model_validate_json(path.read_text())


def _reason(rival: Rival, found: Comparison, figures: tuple[Figure, ...]) -> str:
    """One line: the rule, and what stands against the version."""
    ratio = MARGINS.ratio if rival.is_champion else MARGINS.first_ratio
    better = figures[0].verdict is Verdict.PASSED
    whose = f"champion {rival.name}" if rival.is_champion else f"best baseline, {rival.name}"
    mine, theirs = f"MAE {found.mae.candidate:.4g}", f"{ratio:g} x {found.mae.rival:.4g}"
    said = f"{mine} {'is' if better else 'is not'} below {theirs} of the {whose}, on the same folds"
    if rival.is_tie:
        return f"{said}: {rival.how}"
    failed = [objection(f) for f in figures[1:] if f.verdict is Verdict.FAILED]
    warned = [objection(f) for f in figures[1:] if f.verdict is Verdict.WARNING]
    if better and failed:
        return f"{said}, but vetoed: {_list(failed)}"
    return f"{said}; warning: {_list(warned)}" if better and warned else said


def _list(objections: list[str]) -> str:
    more = len(objections) - _TOLD
    return "; ".join(objections[:_TOLD]) + (f"; and {more} more" if more > 0 else "")
