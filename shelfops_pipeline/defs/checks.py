"""Asset checks: what a person looks for in the UI after a run."""

from typing import Any

import dagster as dg

from shelfops_pipeline.data.panel import Panel, State


@dg.asset_check(asset="champion", description="Was a candidate promoted? Passes when one was; the figures say why not.")
def promotion_gate(champion: dict[str, Any]) -> dg.AssetCheckResult:
    """Warns when every candidate was refused."""
    promoted = any(bool(decision["promote"]) for decision in champion.values())
    return dg.AssetCheckResult(passed=promoted, severity=dg.AssetCheckSeverity.WARN, metadata=champion)


@dg.asset_check(asset="panel", description="Is the feed silent for less than a tenth of the cells on sale?")
def feed_gaps(panel: Panel) -> dg.AssetCheckResult:
    """Warns when much demand is unknown because the feed is silent."""
    observed, unknown = (int((panel.state == s).sum()) for s in (State.OBSERVED, State.UNKNOWN))
    share = unknown / max(observed + unknown, 1)
    facts = {"unknown cells": unknown, "share": share}
    return dg.AssetCheckResult(passed=share < 0.1, severity=dg.AssetCheckSeverity.WARN, metadata=facts)
