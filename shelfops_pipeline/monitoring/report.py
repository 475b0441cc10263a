"""The drift report: every figure, what is undefined and why, and whether the champion should be trained again."""

from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.bundle import Manifest
from shelfops_pipeline.contracts.columns import DATE, ORIGIN, Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.groups import BY_BLOCK
from shelfops_pipeline.monitoring import limits
from shelfops_pipeline.monitoring.drift import (
    DRIFTED,
    FEATURE,
    coverage_drift,
    error_drift,
    input_drift,
    recent_cells,
)
from shelfops_pipeline.monitoring.reference import Reference
from shelfops_pipeline.monitoring.scoring import ROWS

INPUTS, ERRORS, COVERED = "inputs", "errors", "coverage"
NO_CHAMPION: Final = "nothing serves yet"
NO_REFERENCE: Final = "no reference: a release of ShelfOps without drift reports wrote the champion's bundle"
NO_SCORES: Final = "none of the champion's forecasts came due lately"
Report = dict[str, Any]


def no_champion(panel: Panel) -> Report:
    """The report where nothing serves: everything is undefined."""
    return _report(panel, None, dict.fromkeys((INPUTS, ERRORS, COVERED), NO_CHAMPION), {})


def drift_report(panel: Panel, manifest: Manifest, reference: Reference | None, cells: pd.DataFrame) -> Report:
    """The report of the champion `manifest` at the panel's last period; `cells` are of `scoring.score_cells`."""
    undefined: dict[str, str] = {}
    found: dict[str, Any] = {}
    recent = recent_cells(cells, manifest.version, panel, limits.JUDGED[panel.grain])
    longer = recent_cells(cells, manifest.version, panel, limits.COVERED[panel.grain])
    if reference is None:
        undefined |= dict.fromkeys((INPUTS, ERRORS), NO_REFERENCE)
    else:
        inputs = input_drift(panel, manifest, reference)
        found[INPUTS] = _records(inputs)
        if not inputs["psi"].notna().any():
            undefined[INPUTS] = f"fewer than {limits.LEAST_VALUES} series are on sale"
        found[ERRORS] = _records(error_drift(recent, reference, panel.grain))
        if not any(row["judged"] for row in found[ERRORS]):
            undefined[ERRORS] = _too_few(recent, panel.grain)
    if why := _too_few(longer, panel.grain):
        undefined[COVERED] = why
    else:
        found[COVERED] = coverage_drift(longer)
    return _report(panel, manifest.version, undefined, found)


def _too_few(scored: pd.DataFrame, grain: Grain) -> str:
    """Why so much is not judged; empty where it can be."""
    if scored.empty:
        return NO_SCORES
    periods, rows = scored[DATE].nunique(), int(scored[ROWS].sum())
    if periods >= limits.LEAST_PERIODS[grain] and rows >= limits.LEAST_ROWS:
        return ""
    needed = f"at least {limits.LEAST_PERIODS[grain]} and {limits.LEAST_ROWS} are needed"
    return f"{periods} {grain}s with {rows} rows have been scored; {needed}"


def _report(panel: Panel, version: str | None, undefined: dict[str, str], figures: dict[str, Any]) -> Report:
    reasons = _reasons(figures)
    return {
        DRIFTED: bool(reasons),
        "reasons": reasons,
        "version": version,
        ORIGIN: panel.last_observed.isoformat(),
        "undefined": undefined,
        INPUTS: figures.get(INPUTS, []),
        ERRORS: figures.get(ERRORS, []),
        COVERED: figures.get(COVERED),
    }


def _reasons(figures: dict[str, Any]) -> list[str]:
    reasons = []
    moved = [row for row in figures.get(INPUTS, []) if row[DRIFTED]]
    if len(moved) >= limits.LEAST_FEATURES:
        named = ", ".join(f"{row[FEATURE]} (PSI {row['psi']:.2f}, KS {row['ks']:.2f})" for row in moved[:5])
        reasons.append(f"{len(moved)} features are far from what was trained on: {named}")
    for row in figures.get(ERRORS, []):
        if row[DRIFTED]:
            reasons.append(
                f"{row[BY_BLOCK]} periods ahead: WAPE {row['wape']:.2f}, the backtest promised"
                f" {row['wape promised']:.2f}; forecasts are {np.exp(row['level']):.2f} times the demand"
            )
    coverage = figures.get(COVERED)
    if coverage is not None and coverage[DRIFTED]:
        reasons.append(
            f"the 90 % interval holds {coverage['coverage']:.0%} of demand, less than {coverage['lowest']:.0%}"
        )
    return reasons


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; None where undefined."""
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain
