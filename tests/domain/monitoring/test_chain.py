"""From a model to a report, day after day: the same forecasts beside quiet and beside changed demand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.artifacts import ArtifactRoot
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.models.bundle import Trained, read_manifest
from shelfops_pipeline.models.serve import ServedPart, ServingInput, forecast_table, origin_state
from shelfops_pipeline.monitoring.archive import Archive
from shelfops_pipeline.monitoring.issued import Role, issue
from shelfops_pipeline.monitoring.reference import FoldError, Reference
from shelfops_pipeline.monitoring.report import Report, drift_report
from shelfops_pipeline.monitoring.scoring import score_cells, score_table

DAYS = 9


@pytest.fixture(scope="module")
def issued(rare_panel: Panel, trained_count: Trained, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """What a model issued on the last days but one, a fortnight after it was trained."""
    folder = tmp_path_factory.mktemp("issued")
    archive = Archive(ArtifactRoot(str(folder), folder / "cache"), keep=DAYS)
    model = ServedModel("v2", trained_count.members, trained_count.calibration)
    rows, last = np.arange(rare_panel.n_series), rare_panel.n_observed - 1
    for origin in range(last - DAYS, last):
        known = rare_panel.as_of(origin, model.spec.horizon)
        state = origin_state(known, model, origin)
        made = predict_demand(model, state, Metric.MAE)
        part = ServedPart(ServingInput("v2", model.spec, rows, state, made.members), made)
        table = forecast_table(known, [part], with_version=True)
        archive.write(issue(table, known.last_observed, Role.CHAMPION, known.grain, {"v2": known.last_observed}))
    return archive


@pytest.fixture(scope="module")
def promised(rare_panel: Panel, issued: Archive) -> Reference:
    """A backtest that promised what then came."""
    cells = score_cells(rare_panel, issued.pairs())
    errors = [
        FoldError(
            block=str(row["block"]),
            origin="2024-10-01",
            n=int(row["n"]),
            mae=float(row["mae"]),
            wape=float(row["wape"]),
            level=float(np.log1p(row["bias"])),
            coverage_90=float(row["coverage_90"]),
        )
        for row in score_table(cells, ["block"]).to_dict("records")
    ]
    return Reference(tier=Tier.COLD_START, rows=0, windows=(), features={}, errors=tuple(errors))


def report_on(panel: Panel, issued: Archive, promised: Reference, folder: Path) -> Report:
    return drift_report(panel, read_manifest(folder), promised, score_cells(panel, issued.pairs()))


def test_quiet_demand_is_no_drift(
    rare_panel: Panel, issued: Archive, promised: Reference, bundles: dict[str, Path]
) -> None:
    report = report_on(rare_panel, issued, promised, bundles["count"])
    assert [row["block"] for row in report["errors"] if row["judged"]] == ["1-7"]
    assert report["reasons"] == []


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_demand_that_changes_for_a_week_is_drift(
    factor: float, rare_panel: Panel, issued: Archive, promised: Reference, bundles: dict[str, Path]
) -> None:
    demand = np.array(rare_panel.demand)
    demand[:, rare_panel.n_observed - 7 :] *= factor
    report = report_on(replace(rare_panel, demand=demand), issued, promised, bundles["count"])
    assert report["drifted"]
    assert report["reasons"][0].startswith("1-7 periods ahead")
