"""Explanations are written for the release that is served, or not at all."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.explain.publish import publish_explanations
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.models.serve import ServingInput, serving_inputs
from shelfops_pipeline.store import reads, writes
from tests.domain.conftest import HORIZON


@pytest.fixture(scope="module")
def inputs(retailer_panel: Panel, bundles: dict[str, Path]) -> list[ServingInput]:
    return serving_inputs(retailer_panel, {Tier.PRODUCTION: ServedModel.load_native(bundles["log"])})


def name_release(warehouse: Engine, panel: Panel, version: str) -> None:
    writes.publish_release(
        warehouse,
        f"release of {version}",
        champion_version=version,
        cold_start_version=None,
        dataset=panel.dataset,
        manifest={},
    )


def test_every_series_of_the_release_can_be_asked_why(
    warehouse: Engine, retailer_panel: Panel, bundles: dict[str, Path], inputs: list[ServingInput]
) -> None:
    name_release(warehouse, retailer_panel, "v1")
    told = publish_explanations(warehouse, bundles["log"].parent, retailer_panel, inputs)
    assert (told.release, told.periods) == ("release of v1", HORIZON)
    assert told.rows == retailer_panel.n_series * (HORIZON + 1)
    assert f" in the {HORIZON} days from " in told.example
    for store, item in zip(retailer_panel.store_ids, retailer_panel.item_ids, strict=True):
        assert len(reads.series_explanations(warehouse, "release of v1", store, item)) == HORIZON + 1


@pytest.mark.parametrize("served", [None, "v9"])
def test_forecasts_that_are_not_served_are_not_explained(
    warehouse: Engine, retailer_panel: Panel, bundles: dict[str, Path], inputs: list[ServingInput], served: str | None
) -> None:
    if served is not None:
        name_release(warehouse, retailer_panel, served)
    with pytest.raises(DataError, match="the champion changed"):
        publish_explanations(warehouse, bundles["log"].parent, retailer_panel, inputs)
    store, item = retailer_panel.store_ids[0], retailer_panel.item_ids[0]
    assert reads.series_explanations(warehouse, f"release of {served}", store, item) == []
