"""Numbers as a reader sees them. What is not defined says so; it is never shown as 0."""

import math
from typing import Final

UNDEFINED: Final = "undefined"

METRIC_LABELS: Final = {
    "wape": "WAPE",
    "mae": "MAE",
    "mape": "MAPE",
    "rmse": "RMSE",
    "rmsle": "RMSLE",
    "rmspe": "RMSPE",
    "bias": "Bias",
    "mase": "MASE",
    "pinball": "Pinball loss",
    "coverage_90": "Coverage of the 90 % interval",
}
METRIC_ORDER: Final = tuple(METRIC_LABELS)
SHORT_LABELS: Final = METRIC_LABELS | {"coverage_90": "Coverage", "pinball": "Pinball"}
SHARES: Final = frozenset({"wape", "mape", "rmspe", "bias", "coverage_90"})
"""Metrics that are a share, shown in per cent."""
IN_UNITS: Final = frozenset({"mae", "rmse", "pinball"})
WHY_UNDEFINED: Final = {
    "wape": "no demand in the scored rows",
    "mape": "no non-zero actuals",
    "rmspe": "no non-zero actuals",
    "bias": "no demand in the scored rows",
    "mase": "no seasonal-naive error",
    "pinball": "no quantiles",
    "coverage_90": "no interval",
}


def defined(value: float | None) -> bool:
    """Is there a finite number to show?"""
    return value is not None and math.isfinite(value)


def number(value: float | None) -> str:
    """Three significant digits below 1000, whole numbers above; `undefined` for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    size = abs(value)
    if size >= 100 or value == 0:
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.3g}" if size < 0.01 else f"{value:.3f}"
    return text.replace("-", "−") if text.startswith("-") else text


def percent(value: float | None, digits: int = 1, signed: bool = False) -> str:
    """A share in per cent; `undefined` for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    rounded = round(100 * value, digits) + 0.0  # no negative zero
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f} %".replace("-", "−")


def metric_value(metric: str, value: float | None) -> str:
    """A metric with its unit: shares in per cent, MAE and pinball in units."""
    if metric in SHARES:
        return percent(value, signed=metric == "bias")
    text = number(value)
    return f"{text} units" if metric in IN_UNITS and text != UNDEFINED else text
