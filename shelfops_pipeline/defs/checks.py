"""Asset checks: what a person looks for in the UI after a run."""

from typing import Any

import dagster as dg

from shelfops_pipeline.contracts.decision import GateDecision
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.lifecycle.card_decision import decision_section


@dg.asset_check(asset="champion", description="Was a candidate promoted? Passes when one was; the figures say why not.")
def promotion_gate(champion: dict[str, Any]) -> dg.AssetCheckResult:
    """Warns when every candidate was refused."""
    decisions = {tier: GateDecision.model_validate(decision) for tier, decision in champion.items()}
    facts: dict[str, Any] = {tier: dg.MetadataValue.md(decision_section(d)) for tier, d in decisions.items()}
    for tier, decision in decisions.items():
        numbers = {"MAE": decision.mae.candidate, "rival MAE": decision.mae.rival, "MAE ratio": decision.mae.change}
        facts |= {f"{tier} {name}": value for name, value in numbers.items() if value is not None}
    promoted = any(d.promote for d in decisions.values())
    return dg.AssetCheckResult(passed=promoted, severity=dg.AssetCheckSeverity.WARN, metadata=facts)


@dg.asset_check(asset="panel", description="Is the feed silent for less than a tenth of the cells on sale?")
def feed_gaps(panel: Panel) -> dg.AssetCheckResult:
    """Warns when much demand is unknown because the feed is silent."""
    observed, unknown = (int((panel.state == s).sum()) for s in (State.OBSERVED, State.UNKNOWN))
    share = unknown / max(observed + unknown, 1)
    facts = {"unknown cells": unknown, "share": share}
    return dg.AssetCheckResult(passed=share < 0.1, severity=dg.AssetCheckSeverity.WARN, metadata=facts)
