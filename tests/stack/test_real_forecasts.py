"""`shelfops forecast` on real data, one horizon before its end: complete, coherent, and better than every baseline."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.data.load import load_panel, origin_of
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation.backtest import actuals
from shelfops_pipeline.evaluation.baselines import BaselineHistory
from shelfops_pipeline.services.commands import run_forecast
from shelfops_pipeline.settings import Settings
from tests.support import real_data

Floats = np.ndarray

# With every change, a sixth of the stores of one set at a tenth of the effort; all of three sets is for `make soak`.
CASES = [
    pytest.param("favorita", 16, date(2017, 7, 14), Metric.RMSLE, 0.1, id="favorita, every sixth store"),
    pytest.param("favorita", 16, date(2017, 7, 14), Metric.RMSLE, 1.0, id="favorita", marks=pytest.mark.soak),
    pytest.param("rossmann", 42, date(2015, 5, 8), Metric.RMSPE, 1.0, id="rossmann", marks=pytest.mark.soak),
    pytest.param("m5", 28, date(2016, 3, 27), Metric.MAE, 1.0, id="m5", marks=pytest.mark.soak),
]
SCORES = {Metric.RMSLE: m.rmsle, Metric.RMSPE: m.rmspe, Metric.MAE: m.mae}


@pytest.mark.real_data
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("dataset", "horizon", "as_of", "metric", "effort"), CASES)
def test_the_forecast_is_whole_and_beats_every_baseline(
    dataset: str,
    horizon: int,
    as_of: date,
    metric: Metric,
    effort: float,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    request: pytest.FixtureRequest,
) -> None:
    data = real_data(dataset)
    if effort < 1:
        data = some_stores(data, tmp_path / "some")
    else:
        request.getfixturevalue("whole_totals")
    settings = Settings(dataset=dataset, data=data, horizon=horizon, metric=metric, home=tmp_path, effort=effort)
    run_forecast(settings, tmp_path / "forecast.parquet", as_of)
    frame = pd.read_parquet(tmp_path / "forecast.parquet")
    panel = load_panel(open_source(dataset, settings.data, settings), settings.max_quarantined_share).panel
    forecast = {name: _array(frame, panel, name, horizon) for name in (c.MEAN, c.POINT, *c.QUANTILE_COLUMNS)}
    quantiles = np.stack([forecast[name] for name in c.QUANTILE_COLUMNS], axis=2)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    assert (quantiles >= 0).all()
    origin = origin_of(panel, as_of)
    actual = actuals(panel, origin, horizon)
    baselines = BaselineHistory(panel.as_of(origin, horizon), 7).forecast(origin, horizon)
    record_property("rows", len(frame))
    record_property(f"{metric} of point", round(SCORES[metric](actual, forecast[c.POINT]).value, 4))
    for name, baseline in baselines.items():
        record_property(f"{metric} of {name}", round(SCORES[metric](actual, baseline).value, 4))
        ours, theirs = SCORES[metric](actual, forecast[c.POINT]).value, SCORES[metric](actual, baseline).value
        assert ours < theirs, f"{metric} {ours:.4f} against {theirs:.4f} of {name}"
        assert m.mae(actual, forecast["q50"]).value < m.mae(actual, baseline).value, name


def some_stores(data: Path, to: Path) -> Path:
    """A copy of the data set in which every sixth store is all there is."""
    to.mkdir()
    for file in data.iterdir():
        table = csv.read_csv(file)
        if "store_nbr" in table.column_names:
            table = table.filter(pc.is_in(table["store_nbr"], pa.array(range(1, 55, 6))))
        csv.write_csv(table, to / file.name.removesuffix(".gz"))
    return to


def _array(frame: pd.DataFrame, panel: Panel, column: str, horizon: int) -> Floats:
    """[S, H] in the panel's order; fails when a series or a day is missing."""
    keys = list(zip(panel.store_ids, panel.item_ids, strict=True))
    values = frame.set_index([c.STORE_ID, c.ITEM_ID]).loc[keys, column].to_numpy()
    assert len(values) == len(frame) == panel.n_series * horizon
    return values.reshape(panel.n_series, horizon)
