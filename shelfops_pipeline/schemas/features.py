"""Feature schemas, generated from the feature registry: one Pandera column per feature, with its range.

The gate after `create_features()` warns and logs: a feature out of range is a sign of odd data, not a reason to stop.
Ranges are checked on all rows as arrays, which no frame has to be made of; the schemas say the same for frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandera.pandas as pa
import structlog
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import RESERVED_CHANNELS, Grain, Tier
from shelfops_pipeline.contracts.features import Feature, feature_list
from shelfops_pipeline.contracts.spec import TierSpec, tier_spec
from shelfops_pipeline.features.create import FeatureRows

Floats = NDArray[np.float32]

_BLOCK: Final = 50_000
_LONG: Final = 3 * 364  # a history in which every window of both tiers fits

log = structlog.get_logger(__name__)


def feature_schema(features: tuple[Feature, ...], name: str, required: bool = True) -> pa.DataFrameSchema:
    """The Pandera schema of a model matrix as a frame; NaN (unknown) is allowed everywhere."""
    return pa.DataFrameSchema({f.name: _column(f, required) for f in features}, name=name, strict=False)


def _column(feature: Feature, required: bool) -> pa.Column:
    checks = []
    if feature.low is not None:
        checks.append(pa.Check.ge(feature.low, error=f"below {feature.low:g} {feature.unit}"))
    if feature.high is not None:
        checks.append(pa.Check.le(feature.high, error=f"above {feature.high:g} {feature.unit}"))
    return pa.Column("float32", checks, nullable=True, required=required, coerce=True, description=feature.definition)


def _tier_schema(tier: Tier, name: str) -> pa.DataFrameSchema:
    """The schema of a tier for a retailer with every reserved channel; a retailer without one lacks its columns."""
    spec = tier_spec(tier, Grain.DAY, 28, _LONG, RESERVED_CHANNELS, static=("store_id", "item_id"))
    return feature_schema(feature_list(spec, log=True), name, required=False)


ColdStartFeaturesSchema: Final = _tier_schema(Tier.COLD_START, "ColdStartFeatures")
ProductionFeaturesSchema: Final = _tier_schema(Tier.PRODUCTION, "ProductionFeatures")


@dataclass(frozen=True)
class OutOfRange:
    """A feature with values outside its registered range."""

    feature: str
    rows: int
    lowest: float
    highest: float


def check_features(rows: FeatureRows, spec: TierSpec) -> list[OutOfRange]:
    """The gate after `create_features()`: logs a warning per feature out of range and returns them all."""
    features = feature_list(spec, log=True)
    found = _out_of_range(rows.matrix, features)
    for breach in found:
        log.warning(
            "feature out of range",
            tier=spec.tier.value,
            feature=breach.feature,
            rows=breach.rows,
            lowest=breach.lowest,
            highest=breach.highest,
        )
    return found


def _out_of_range(matrix: Floats, features: Sequence[Feature]) -> list[OutOfRange]:
    """Block by block, since the rows may be many and lie on disk."""
    slack = 1e-3  # float32 sums end a hair below an exact bound
    low = np.array([-np.inf if f.low is None else f.low - slack for f in features])
    high = np.array([np.inf if f.high is None else f.high + slack for f in features])
    bad = np.zeros(len(features), dtype=np.int64)
    for i in range(0, len(matrix), _BLOCK):
        block = matrix[i : i + _BLOCK]
        bad += ((block < low) | (block > high)).sum(axis=0)
    return [_breach(features[j].name, int(bad[j]), matrix[:, j]) for j in np.flatnonzero(bad).tolist()]


def _breach(name: str, rows: int, values: Floats) -> OutOfRange:
    return OutOfRange(name, rows, float(np.nanmin(values)), float(np.nanmax(values)))
