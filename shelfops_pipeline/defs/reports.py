"""The pictures of the data, the charts of a training run, and the page that ties them together."""

from typing import Any

import dagster as dg

from shelfops_pipeline.charts.eda import PICTURES, write_eda
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.lifecycle import Versions
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.training import OWNERS
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.lifecycle.reports import CHARTS, write_reports

_SHOWN = {
    "eda_seasonality": "Demand over time, by weekday and by month.",
    "eda_promotion_lift": "What promotions do to demand, by category and around their start.",
    "eda_intermittency": "How often series sell and how much their sales vary, with the Syntetos-Boylan borders.",
    "eda_missingness": "What is known of demand, over time and by store.",
}


@dg.multi_asset(
    group_name="reports",
    outs={
        name: dg.AssetOut(description=_SHOWN[name], dagster_type=dg.Nothing, owners=OWNERS, kinds={"seaborn"})
        for name in PICTURES
    },
)
def eda(retailer: Retailer, panel: Panel):  # type: ignore[no-untyped-def]
    """The data before any model, as pictures under reports/."""
    written = write_eda(panel, retailer.settings.reports)
    for name, path in written.items():
        yield dg.Output(None, name, metadata={"png": dg.MetadataValue.path(str(path))})


@dg.multi_asset(
    group_name="reports",
    deps=["feature_importance", "model_card", "shap_summary", "shap_local", "lstm_attribution", *PICTURES],
    outs={
        name: dg.AssetOut(description=text, dagster_type=dg.Nothing, owners=OWNERS, kinds={"plotly"})
        for name, text in CHARTS.items()
    },
)
def charts(retailer: Retailer, panel: Panel, backtest: Backtest, model_candidates: Versions):  # type: ignore[no-untyped-def]
    """The charts under reports/: HTML, and PNG and PDF where a browser is found; each run keeps its own, and a page."""
    settings = retailer.settings
    written = write_reports(settings.reports, settings.models, panel, backtest, model_candidates)
    for name in CHARTS:
        files: dict[str, Any] = {p.suffix[1:]: dg.MetadataValue.path(str(p)) for p in written[name]}
        yield dg.Output(None, name, metadata=files)
