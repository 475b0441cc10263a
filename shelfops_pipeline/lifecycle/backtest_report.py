"""The files of a backtest: forecasts, scores, and charts of them."""

from itertools import chain
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.charts.accuracy_by_group import accuracy_by_group
from shelfops_pipeline.charts.accuracy_by_horizon import accuracy_by_horizon
from shelfops_pipeline.charts.quantile_reliability import quantile_reliability
from shelfops_pipeline.charts.write import write_figures
from shelfops_pipeline.contracts.columns import ITEM_ID, MODEL, STORE_ID
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.report import forecast_frames

FORECASTS: Final = "forecasts.parquet"
METRICS: Final = "metrics.parquet"


def write_backtest(panel: Panel, result: Backtest, scores: pd.DataFrame, out: Path) -> list[Path]:
    """Write forecasts, scores and charts into `out`, whose parent exists; returns what was written."""
    out.mkdir(exist_ok=True)
    scores.to_parquet(out / METRICS, index=False)
    _write_forecasts(panel, result, out / FORECASTS)
    figures = {
        "accuracy_by_horizon": accuracy_by_horizon(scores, panel.grain),
        "accuracy_by_group": accuracy_by_group(scores, panel.grain),
        "quantile_reliability": quantile_reliability(scores),
    }
    charts = write_figures({out / f"{name}.html": figure for name, figure in figures.items()})
    return [out / FORECASTS, out / METRICS, *charts]


def _write_forecasts(panel: Panel, result: Backtest, path: Path) -> None:
    """Model by model, so that memory is bounded; the file appears whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    plain = (frame.astype({STORE_ID: str, ITEM_ID: str, MODEL: str}) for frame in forecast_frames(panel, result))
    tables = (pa.Table.from_pandas(frame, preserve_index=False) for frame in plain)
    first = next(tables)
    with pq.ParquetWriter(draft, first.schema, compression="zstd") as writer:
        for table in chain((first,), tables):
            writer.write_table(table)
    draft.replace(path)
