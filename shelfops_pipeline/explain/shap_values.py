"""SHAP values of a booster, and their share of the prediction in units.

TreeSHAP (Lundberg et al. 2020) is exact and additive on the margin, which is a log scale here: log1p(demand)
- base for transform `log`, log(mean demand) for transform `count`. A planner thinks in units, so `to_units`
shares the change of the prediction among the features by the logarithmic mean Divisia index (Ang 2005): it is
exact (the parts add up), does not depend on the order of the features, and keeps the sign and the ranking of
the SHAP values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

TOLERANCE: Final = 1e-4
BASE: Final = "base"
_BEGINS: Final[Mapping[Transform, str]] = {"log": "its usual level", "count": "an average forecast"}


@dataclass(frozen=True)
class Explanation:
    """SHAP values of n rows and F features, on the margin."""

    values: Doubles
    """[n, F] contribution of each feature to the margin."""
    base: Doubles
    """[n] the margin before any feature is known; base + sum of values = margin."""
    data: Floats
    """[n, F] the feature values; NaN is unknown."""
    names: tuple[str, ...]

    @property
    def margin(self) -> Doubles:
        """[n] what the booster says, before the link function."""
        margin: Doubles = self.base + self.values.sum(axis=1)
        return margin


@dataclass(frozen=True)
class UnitExplanation:
    """The same, in units of demand per period; start + sum of parts = prediction, exactly."""

    start: Doubles
    """[n] the prediction before any feature is known."""
    parts: Doubles
    """[n, F] units that each feature adds or takes."""
    prediction: Doubles
    """[n] what the XGBoost member says; transform `log` can go below 0 here, the served value is cut at 0."""
    begins: str
    """What the start is, in words."""


def explain(booster: Any, X: Floats, feature_names: Sequence[str]) -> Explanation:
    """TreeSHAP of every row of X [n, F], whose columns are in the order of `feature_names`.

    Raises ValueError if the columns do not match the names, or if the values do not add up to the margin.
    """
    import xgboost

    X = np.asarray(X, dtype=np.float32)
    if X.ndim != 2 or X.shape[1] != len(feature_names):
        raise ValueError(f"X has shape {X.shape}, but there are {len(feature_names)} feature names.")
    rows = xgboost.DMatrix(X)
    margin = np.asarray(booster.predict(rows, output_margin=True), dtype=np.float64)
    if margin.ndim != 1:
        raise ValueError(f"A single-output booster is needed; this one has {margin.shape[1]} outputs.")
    contributions = np.asarray(booster.predict(rows, pred_contribs=True), dtype=np.float64)
    found = Explanation(contributions[:, :-1], contributions[:, -1], X, tuple(feature_names))
    gap = np.abs(found.margin - margin)
    if (gap > TOLERANCE * np.maximum(1, np.abs(margin))).any():
        raise ValueError(
            f"SHAP values miss the margin by up to {gap.max():.2g}: the booster was cut after early stopping "
            "(ship the slice), or is not a tree model."
        )
    return found


def to_units(explanation: Explanation, transform: Transform) -> UnitExplanation:
    """Share the prediction among the features, in units.

    With p0 the prediction before any feature is known and p the prediction, both on the scale where the link
    is exp, feature i gets values_i * (p - p0) / log(p / p0). For transform `log` the series' own base is part
    of p0, so the start is its reference level; raises ValueError if the column `base` is missing then.
    """
    offset: Doubles | float = 0.0
    if transform == "log":
        if BASE not in explanation.names:
            raise ValueError(f"Transform `log` needs the feature `{BASE}`, which the matrix does not hold.")
        offset = explanation.data[:, explanation.names.index(BASE)].astype(np.float64)
    change = explanation.values.sum(axis=1)
    scale = np.exp(explanation.base + offset)
    small = np.abs(change) < 1e-6
    # (exp(d) - 1) / d, which tends to 1 + d / 2.
    slope = np.where(small, 1 + change / 2, np.expm1(change) / np.where(small, 1, change))
    parts = explanation.values * (scale * slope)[:, None]
    start = scale - (1.0 if transform == "log" else 0.0)
    return UnitExplanation(start, parts, start + parts.sum(axis=1), _BEGINS[transform])
