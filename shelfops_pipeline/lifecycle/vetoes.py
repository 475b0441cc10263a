"""The promotion gate's rules: one that must hold, and vetoes that can only forbid what it would allow."""

import math
from dataclasses import dataclass
from typing import Final

from shelfops_pipeline.contracts.decision import Figure, Verdict
from shelfops_pipeline.lifecycle.comparison import Comparison, GroupSize, Measure


@dataclass(frozen=True)
class Margins:
    """Every threshold of the gate. docs/decisions/0004 says why."""

    ratio: float = 0.95
    """MAE over the champion's must be below this"""
    first_ratio: float = 1.0
    """MAE over the best baseline's, of a tier's first version"""
    bias: float = 0.05
    """|bias| of the mean up to this share of demand is never a veto"""
    bias_worse: float = 0.02
    """nor is one larger than the champion's by up to this, or whose change has an interval that holds 0"""
    coverage: float = 0.05
    """the 90 % interval may be off by this share of rows"""
    coverage_worse: float = 0.02
    """or by this more than the champion's, or by a change whose interval holds 0"""
    group_ratio: float = 1.10
    """MAE of a large store or category over the champion's, if its interval is above 1 too"""
    group: GroupSize = GroupSize(share=0.05, rows=200)  # noqa: RUF009 - frozen
    blocks: int = 6
    """with fewer blocks of periods, an interval says too little to condemn a group"""


MARGINS: Final = Margins()


def judge(found: Comparison, champion: bool, margins: Margins = MARGINS) -> list[Figure]:
    """Every figure with its verdict, the MAE first.

    Without a champion the vetoes only warn: a baseline is nobody whose loss would be felt, and on a small sample some
    group is always worse than by one of four rules. What is not a number is refused in any case.
    """
    bad = Verdict.FAILED if champion else Verdict.WARNING
    ratio = margins.ratio if champion else margins.first_ratio
    better = Verdict.PASSED if found.mae.change < ratio else Verdict.FAILED
    figures = [_figure("mae", found.mae, better, f"below {ratio:g} x the rival's")]
    figures.append(_bias(found, bad, margins))
    figures.append(_coverage(found.coverage, bad, margins))
    for by, groups in found.groups.items():
        figures += [_group(by, name, m, found.blocks, bad, margins) for name, m in groups.items()]
    return figures


def _bias(found: Comparison, bad: Verdict, margins: Margins) -> Figure:
    limit = f"within {margins.bias:.0%} of demand, or not surely {100 * margins.bias_worse:g} points worse"
    bias = found.bias
    if not math.isfinite(bias.candidate):
        verdict = Verdict.NOT_JUDGED if found.demand == 0 else Verdict.FAILED
        return _figure("bias", bias, verdict, limit, "actuals sum to 0" if found.demand == 0 else "no number")
    return _figure("bias", bias, _off(bias, margins.bias, margins.bias_worse, bad), limit)


def _coverage(coverage: Measure, bad: Verdict, margins: Margins) -> Figure:
    limit = f"off by {100 * margins.coverage:g} points at most, or not surely by {100 * margins.coverage_worse:g} more"
    if not math.isfinite(coverage.candidate):
        verdict, why = (Verdict.FAILED, "no number") if coverage.rows else (Verdict.NOT_JUDGED, "no scored rows")
        return _figure("coverage_90", coverage, verdict, limit, why)
    return _figure("coverage_90", coverage, _off(coverage, margins.coverage, margins.coverage_worse, bad), limit)


def _off(measure: Measure, tolerance: float, worse: float, bad: Verdict) -> Verdict:
    """Beyond the tolerance, and surely further off than the rival, by more than `worse`; a rival without it is no
    excuse: the comparisons are also true of NaN."""
    return bad if measure.off > tolerance and not measure.change <= worse and not measure.low <= 0 else Verdict.PASSED


def _group(by: str, name: str, measure: Measure, blocks: int, bad: Verdict, margins: Margins) -> Figure:
    limit = f"up to {margins.group_ratio:g} x the rival's, or an interval that holds 1"
    if not math.isfinite(measure.change):
        return _figure("mae", measure, Verdict.NOT_JUDGED, limit, "the rival errs nowhere", by, name)
    if blocks < margins.blocks:
        return _figure("mae", measure, Verdict.NOT_JUDGED, limit, f"{blocks} blocks of periods are too few", by, name)
    worse = measure.change > margins.group_ratio and measure.low > 1
    return _figure("mae", measure, bad if worse else Verdict.PASSED, limit, "", by, name)


def _figure(
    metric: str, m: Measure, verdict: Verdict, limit: str, why: str = "", by: str = "all", group: str = "all"
) -> Figure:
    numbers = {"candidate": m.candidate, "rival": m.rival, "change": m.change, "low": m.low, "high": m.high}
    finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return Figure(metric=metric, by=by, group=group, **finite, rows=m.rows, limit=limit, verdict=verdict, why=why)
