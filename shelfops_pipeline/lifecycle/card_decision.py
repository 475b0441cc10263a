"""The gate's decision in Markdown, for the model card and for the check in the UI."""

from typing import Final

from shelfops_pipeline.charts.numbers import UNDEFINED, metric_value, number, percent
from shelfops_pipeline.contracts.decision import Figure, GateDecision, Verdict
from shelfops_pipeline.lifecycle.card_tables import table

_NAMES: Final = {"mae": "MAE of the median", "bias": "Bias of the mean", "coverage_90": "Coverage of the 90 % interval"}
_VERDICTS: Final = {Verdict.FAILED: "**failed**", Verdict.WARNING: "*warning*"}
_HEADER: Final = ("Figure", "This version", "Rival", "Change (90 % interval)", "Asked for", "Verdict")


def decision_section(decision: GateDecision | None) -> str:
    """Verdict, reason, what was compared with what, and every figure with its interval."""
    if decision is None:
        return f"{UNDEFINED} (the gate did not run)"
    verdict = "Promoted" if decision.promote else "Not promoted"
    rival = f"the champion `{decision.rival}`" if decision.rival_is_champion else f"the baseline `{decision.rival}`"
    folds = f"{len(decision.folds)} fold{'s' * (len(decision.folds) > 1)}, origins {', '.join(decision.folds)}"
    paragraphs = [
        f"**{verdict}** by {decision.by}, {decision.decided_at:%Y-%m-%d %H:%M} UTC: {decision.reason}.",
        f"The rival is {rival} ({decision.compared}). Both were scored on the same {decision.rows:,} forecasts, up to"
        f" {decision.periods} periods ahead, of {folds}.",
        decision_table(decision),
        "Change is, of an MAE, this version's over the rival's; of bias and coverage, by how many points this one is"
        f" further off. Its interval is that of a paired block bootstrap over {decision.blocks} blocks of periods; the"
        " intervals of stores and categories hold all together.",
    ]
    return "\n\n".join(paragraphs)


def decision_table(decision: GateDecision) -> str:
    """One row per figure."""
    return table(_HEADER, [_row(figure) for figure in decision.figures])


def objection(figure: Figure) -> str:
    """What stands against a version, in words."""
    if figure.metric == "mae":
        interval = f"{number(figure.low)} to {number(figure.high)}"
        return f"{figure.by} {figure.group}: MAE {number(figure.change)} x the rival's ({interval})"
    if figure.candidate is None:
        return f"{figure.metric} is not a number"
    name = "bias of the mean" if figure.metric == "bias" else "coverage of the 90 % interval"
    signed = figure.metric == "bias"
    rival = "" if figure.rival is None else f", the rival's {percent(figure.rival, signed=signed)}"
    return f"{name} {percent(figure.candidate, signed=signed)}{rival}"


def _row(figure: Figure) -> list[str]:
    name = _NAMES[figure.metric] if figure.by == "all" else f"MAE, {figure.by} {figure.group}"
    verdict = _VERDICTS.get(figure.verdict, str(figure.verdict))
    return [
        name,
        metric_value(figure.metric, figure.candidate),
        metric_value(figure.metric, figure.rival),
        _change(figure),
        figure.limit,
        f"{verdict} ({figure.why})" if figure.why else verdict,
    ]


def _change(figure: Figure) -> str:
    values = (figure.change, figure.low, figure.high)
    if figure.change is None:
        return UNDEFINED
    if figure.metric == "mae":
        change, low, high = map(number, values)
        return f"{change} x ({low} to {high})"
    change, low, high = (percent(v, signed=True).removesuffix(" %") for v in values)
    return f"{change} points ({low} to {high})"
