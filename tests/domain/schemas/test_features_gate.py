"""The gate after `create_features()` warns about odd features, names them, and lets them pass."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from structlog.testing import capture_logs

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.features import TierSpec, feature_list, feature_names
from shelfops_pipeline.features.create import FeatureRows, create_features
from shelfops_pipeline.schemas.features import (
    ColdStartFeaturesSchema,
    OutOfRange,
    ProductionFeaturesSchema,
    check_features,
    feature_schema,
)
from tests.domain.support import difficult_panel, spec_for

SCHEMAS = {Tier.COLD_START: ColdStartFeaturesSchema, Tier.PRODUCTION: ProductionFeaturesSchema}


@pytest.fixture(scope="module", params=list(Tier))
def made(request: pytest.FixtureRequest) -> tuple[FeatureRows, TierSpec]:
    panel = difficult_panel()
    spec = spec_for(panel, request.param, 10)
    return create_features(panel, spec, "log", {}, 10_000, seed=1), spec


def as_frame(rows: FeatureRows, spec: TierSpec) -> pd.DataFrame:
    return pd.DataFrame(rows.matrix.copy(), columns=feature_names(spec))


def spoiled(made: tuple[FeatureRows, TierSpec], name: str, values: list[float]) -> FeatureRows:
    rows, spec = made
    matrix = rows.matrix.copy()
    matrix[: len(values), feature_names(spec).index(name)] = values
    return replace(rows, matrix=matrix)


def test_features_of_difficult_but_sound_data_raise_no_warning(made: tuple[FeatureRows, TierSpec]) -> None:
    with capture_logs() as logs:
        assert check_features(*made) == []
    assert logs == []


def test_features_out_of_range_are_logged_counted_and_returned(made: tuple[FeatureRows, TierSpec]) -> None:
    rows = spoiled(made, "zero_share_7", [1.5, -0.5, 0.5, np.nan])
    rows = spoiled((rows, made[1]), "weekday", [9.0])
    with capture_logs() as logs:
        breaches = check_features(rows, made[1])
    assert breaches == [
        OutOfRange("zero_share_7", 2, pytest.approx(-0.5), pytest.approx(1.5)),
        OutOfRange("weekday", 1, 0.0, 9.0),
    ]
    assert [(entry["log_level"], entry["event"], entry["feature"], entry["rows"]) for entry in logs] == [
        ("warning", "feature out of range", "zero_share_7", 2),
        ("warning", "feature out of range", "weekday", 1),
    ]
    assert logs[0]["tier"] == made[1].tier.value


def test_unknown_and_rounding_errors_are_no_breach(made: tuple[FeatureRows, TierSpec]) -> None:
    assert check_features(spoiled(made, "zero_share_7", [np.nan, 1 + 1e-5, -1e-5]), made[1]) == []


def test_the_schema_is_made_from_the_registry(made: tuple[FeatureRows, TierSpec]) -> None:
    rows, spec = made
    schema = feature_schema(feature_list(spec, log=True), "features")
    assert tuple(schema.columns) == feature_names(spec)
    frame = as_frame(rows, spec)
    assert tuple(frame.columns) == feature_names(spec)
    schema.validate(frame)
    frame.loc[0, "weekday"] = 9
    with pytest.raises(pa.errors.SchemaError, match="above 6 day"):
        schema.validate(frame)


def test_the_standing_schema_of_each_tier_takes_the_frames_of_a_retailer(
    made: tuple[FeatureRows, TierSpec],
) -> None:
    rows, spec = made
    SCHEMAS[spec.tier].validate(as_frame(rows, spec))
    required = [name for name, column in SCHEMAS[spec.tier].columns.items() if column.required]
    assert required == []  # a retailer without prices has no price columns
