"""The five charts of a training run, and the page that ties them together."""

from typing import Any

import dagster as dg

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.lifecycle import Versions
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.training import OWNERS
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.lifecycle.reports import CHARTS, write_reports


@dg.multi_asset(
    group_name="reports",
    deps=["feature_importance", "model_card"],
    outs={
        name: dg.AssetOut(description=text, dagster_type=dg.Nothing, owners=OWNERS, kinds={"plotly"})
        for name, text in CHARTS.items()
    },
)
def charts(retailer: Retailer, panel: Panel, backtest: Backtest, model_candidates: Versions):  # type: ignore[no-untyped-def]
    """The required charts under reports/, HTML always and PNG where a browser is found; each run keeps its own."""
    settings = retailer.settings
    written = write_reports(settings.reports, settings.models, panel, backtest, model_candidates)
    for name in CHARTS:
        files: dict[str, Any] = {p.suffix[1:]: dg.MetadataValue.path(str(p)) for p in written[name]}
        yield dg.Output(None, name, metadata=files)
