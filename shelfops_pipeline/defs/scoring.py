"""The monthly backtest's own files: scores of the present recipes, apart from those of any version."""

import dagster as dg

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.partitions import PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.training import OWNERS
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.scores import scores_table
from shelfops_pipeline.lifecycle.backtest_report import write_backtest

FOLDER = "backtests"


@dg.asset(group_name="reports", owners=OWNERS, kinds={"plotly", "parquet"}, pool=PANEL_POOL)
def backtest_report(retailer: Retailer, panel: Panel, backtest: Backtest) -> dg.MaterializeResult[None]:
    """Forecasts, scores and charts of the latest backtest, in reports/backtests/<last period>/."""
    folder = retailer.settings.reports / FOLDER / str(panel.last_observed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    files = write_backtest(panel, backtest, scores_table(backtest, panel), folder)
    return dg.MaterializeResult(metadata={path.name: dg.MetadataValue.path(str(path)) for path in files})
