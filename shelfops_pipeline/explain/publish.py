"""Write the explanations of a release's forecasts beside them."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.explain.served import explain_served, explained_periods
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.models.serve import ServingInput
from shelfops_pipeline.store import writes
from shelfops_pipeline.store.reads import latest_release
from shelfops_pipeline.store.tables import SENTENCE


@dataclass(frozen=True)
class Published:
    """What was written."""

    release: str
    rows: int
    periods: int
    """of each series that are explained one by one"""
    example: str


def publish_explanations(engine: Engine, models: Path, panel: Panel, inputs: list[ServingInput]) -> Published:
    """Explain the served forecasts that were made from `inputs`, and write that to `forecast_explanations`.

    Raises DataError if the release that is served was not made from them: an answer never mixes two.
    """
    release = latest_release(engine, panel.dataset)
    served = set() if release is None else {release.champion_version, release.cold_start_version}
    if release is None or not {part.version for part in inputs} <= served:
        raise DataError("the champion changed while its forecasts were made; run the job `refresh` again")
    periods = min(explained_periods(panel.n_series, part.spec) for part in inputs)
    rows, example = 0, ""
    for part in inputs:
        model = ServedModel.load_native(models / part.version)
        for columns in explain_served(panel, part, model, periods):
            rows += writes.publish_explanations(engine, release.release, columns)
            example = example or columns[SENTENCE][-1]
    return Published(release.release, rows, periods, example)
