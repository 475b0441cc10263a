"""What the accuracy and training benchmarks run: this engine by its command line, contenders on a saved panel."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from measure import Timing, peak_added
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings

Floats = NDArray[np.float32]

OURS = "ShelfOps"
REAL_SETS = ("rossmann", "favorita", "m5")


@dataclass(frozen=True)
class Made:
    """A forecast [S, H] in units; `quantiles` [S, H, 5] where there are any."""

    mean: Floats
    point: Floats
    quantiles: Floats | None = None


@dataclass(frozen=True)
class Run:
    """What one fresh process made, by contender; its seconds (imports included) and the memory that it added."""

    made: dict[str, Made]
    seconds: float
    peak_mb: float


Contender = Callable[[Panel, int, Metric], dict[str, Floats]]
"""(the panel as it was known at its last observed period, horizon, metric) -> forecasts by name, [S, H] each."""


def run_contender(contender: Contender, folder: Path, origin: int, horizon: int, metric: Metric) -> Run:
    """Run a contender on the panel saved in `folder`, as it was known at `origin`; its forecast is mean and point."""
    panel = Panel.load(folder).as_of(origin, horizon)
    with peak_added() as memory:
        began = time.perf_counter()
        found = contender(panel, horizon, metric)
        seconds = time.perf_counter() - began
    return Run({name: Made(values, values) for name, values in found.items()}, seconds, memory.peak_mb)


@dataclass(frozen=True)
class Order:
    """What `shelfops forecast` is asked for."""

    dataset: str
    data: Path | None
    horizon: int
    metric: Metric = Metric.MAE
    as_of: date | None = None
    seed: int = 7
    effort: float | None = None
    """None: as SHELFOPS_EFFORT says, else 1"""

    @property
    def arguments(self) -> list[str]:
        """As they are typed."""
        words = ["forecast", "--dataset", self.dataset, "--horizon", str(self.horizon), "--metric", self.metric]
        words += ["--seed", str(self.seed)]
        words += [] if self.data is None else ["--data", str(self.data)]
        return words + ([] if self.as_of is None else ["--as-of", str(self.as_of)])


def run_forecast(order: Order, out: Path) -> Timing:
    """`shelfops forecast` itself: files read, rows validated, both models, folds, calibration, `out` written.

    For a fresh process: it changes the environment. Raises ShelfOpsError as the command does.
    """
    with tempfile.TemporaryDirectory(prefix="shelfops-bench-") as home:
        os.environ["SHELFOPS_HOME"] = home
        if order.effort is not None:
            os.environ["SHELFOPS_EFFORT"] = str(order.effort)
        with peak_added() as memory, redirect_stdout(sys.stderr):  # stdout is the benchmark's
            began = time.perf_counter()
            from shelfops_pipeline.cli import app

            app([*order.arguments, "--out", str(out)], standalone_mode=False)
            seconds = time.perf_counter() - began
    return Timing(seconds, memory.peak_mb, 1)


def read_forecast(path: Path, panel: Panel, horizon: int) -> Made:
    """The forecast file in the order of the panel. Raises DataError when a series or a period is missing."""
    frame = pd.read_parquet(path)
    if len(frame) != panel.n_series * horizon:
        raise DataError(f"{path}: {len(frame)} rows where {panel.n_series} series x {horizon} periods are expected")
    keys = list(zip(panel.store_ids, panel.item_ids, strict=True))
    ordered = frame.set_index([c.STORE_ID, c.ITEM_ID]).loc[keys]

    def whole(name: str) -> Floats:
        return ordered[name].to_numpy(np.float32).reshape(-1, horizon)

    return Made(whole(c.MEAN), whole(c.POINT), np.stack([whole(name) for name in c.QUANTILE_COLUMNS], axis=2))


def load(dataset: str, data: Path | None) -> Panel:
    """A data set's panel, as `shelfops forecast` makes it. Raises DataError as that does."""
    from shelfops_pipeline.data.load import load_panel
    from shelfops_pipeline.data.sources import open_source
    from shelfops_pipeline.services.pipeline import require_directory

    require_directory(data, dataset)
    settings = Settings(dataset=dataset, data=data)
    return load_panel(open_source(dataset, data, settings), settings.max_quarantined_share).panel


def day(panel: Panel, period: int) -> date:
    """The date of a period."""
    found: date = panel.dates[period].astype("datetime64[D]").item()
    return found


def real_data(root: Path | None) -> Path:
    """The folder that holds rossmann/, favorita/ and m5/: the one given, SHELFOPS_REAL_DATA, or beside the checkout."""
    named = os.environ.get("SHELFOPS_REAL_DATA")
    return root or (Path(named) if named else Path(__file__).parents[2] / "shared" / "data")
