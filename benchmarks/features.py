"""Lags 7/14/28, rolling means 7/14/28/56 and rolling standard deviations 7/28 at every period of every series.

`shelfops bench features --series 3000 --days 730`. Ours beside mlforecast's `preprocess`, pandas' groupby-rolling, and,
as the floor, a plain copy of the nine results. Ours is the kernel of the feature engine, which streams: it hands out
blocks of results whose memory is used again. `ours, collected` puts them together in one array, as the others do.
Each contender has a process of its own, the same input, and as many threads as there are cores where it can use them.
mlforecast and pandas get fewer series where the whole would take too long or not fit; their time is then scaled to all
rows, and `rows_measured` says on how many it was taken.
"""

import argparse
import os
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import Check, Timing, finish, in_fresh_process, machine, say, timed
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LAGS, MEANS, STDS = (7, 14, 28), (7, 14, 28, 56), (7, 28)
OUTPUTS = len(LAGS) + len(MEANS) + len(STDS)
THREADS = os.cpu_count() or 1
MOST_ROWS = {"mlforecast": 100_000_000, "pandas": 2_000_000}
COMPARED_SERIES = 200
MOST_SCRATCH_MB = 100.0  # whatever the size of the panel
_BLOCK = 500


def simulate(path: Path, series: int, days: int) -> None:
    """Whole units whose level walks at random, [S, T] float32, written block by block."""
    rng = np.random.default_rng(7)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(series, days))
    for low in range(0, series, _BLOCK):
        shape = (min(_BLOCK, series - low), days)
        level = np.clip(np.cumsum(rng.normal(0, 0.05, shape), axis=1) + rng.normal(1.5, 1, (shape[0], 1)), -3, 7)
        out[low : low + _BLOCK] = rng.poisson(np.exp(level))
    out.flush()


def ours(path: Path) -> Timing:
    return timed(lambda: np.load(path), lambda values: deque(streamed(values), maxlen=0))


def ours_collected(path: Path) -> Timing:
    return timed(lambda: np.load(path), collected)


def streamed(values: Floats) -> Iterator[tuple[slice, Floats]]:
    from shelfops_pipeline.features.rolling import rolling_blocks

    return rolling_blocks(values, LAGS, MEANS, STDS, threads=THREADS)


def collected(values: Floats) -> Floats:
    """[9, S, T] all results at once."""
    out = np.empty((OUTPUTS, *values.shape), dtype=np.float32)
    for rows, block in streamed(values):
        out[:, rows] = block
    return out


def copy(path: Path) -> Timing:
    def results() -> Floats:
        values = np.load(path)
        return np.broadcast_to(values, (OUTPUTS, *values.shape)).copy()

    return timed(results, np.copy)


def mlforecast(path: Path, series: int) -> Timing:
    warnings.simplefilter("ignore")
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd

    windows = [RollingMean(w, min_samples=1) for w in MEANS] + [RollingStd(w, min_samples=2) for w in STDS]

    def run(frame: pd.DataFrame) -> object:
        engine = MLForecast(models=[], freq="D", lags=list(LAGS), lag_transforms={1: windows}, num_threads=THREADS)
        return engine.preprocess(frame, dropna=False, static_features=[])

    return timed(lambda: long_frame(np.load(path, mmap_mode="r")[:series]), run)


def pandas(path: Path, series: int) -> Timing:
    return timed(lambda: long_frame(np.load(path, mmap_mode="r")[:series]), with_pandas)


def with_pandas(frame: pd.DataFrame) -> list[pd.Series]:
    """The nine results by groupby, shift and rolling."""
    ids = frame["unique_id"]
    demand = frame["y"].groupby(ids, observed=True, sort=False)
    before = demand.shift(1).groupby(ids, observed=True, sort=False)
    means = [before.rolling(w, min_periods=1).mean() for w in MEANS]
    stds = [before.rolling(w, min_periods=2).std() for w in STDS]
    return [demand.shift(lag) for lag in LAGS] + means + stds


def long_frame(values: Floats) -> pd.DataFrame:
    """A row per series and day, sorted, in the smallest types."""
    S, T = values.shape
    names = pd.Index([f"s{i:06d}" for i in range(S)])
    days = pd.date_range("2020-01-01", periods=T).to_numpy()
    columns = {
        "unique_id": pd.Categorical.from_codes(np.repeat(np.arange(S), T), names),  # type: ignore[arg-type]
        "ds": np.tile(days, S),
        "y": values.reshape(-1).copy(),
    }
    return pd.DataFrame(columns, copy=False)


def disagreement(path: Path) -> float:
    """Largest difference from pandas on some series, relative where values exceed 1; infinite if NaNs differ."""
    values = np.load(path, mmap_mode="r")
    values = np.ascontiguousarray(values[:: max(1, len(values) // COMPARED_SERIES)])
    mine = collected(values)
    theirs = np.stack([column.to_numpy().reshape(values.shape) for column in with_pandas(long_frame(values))])
    if (np.isnan(mine) != np.isnan(theirs)).any():
        return float("inf")
    return float(np.nanmax(np.abs(mine - theirs) / np.maximum(np.abs(theirs), 1)))


def peer(name: str, path: Path, series: int, days: int) -> dict[str, Any]:
    """A peer's figures for all rows; measured on fewer where there are too many."""
    measured = max(1, min(series, MOST_ROWS[name] // days))
    say(f"{name}: {measured:,} of {series:,} series")
    timing = in_fresh_process({"mlforecast": mlforecast, "pandas": pandas}[name], path, measured)
    scale = series / measured
    figures = {"seconds": timing.seconds * scale, "peak_mb": timing.peak_mb * scale, "runs": timing.runs}
    return figures | {"rows_measured": measured * days, "scaled_by": scale}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=30_490)
    parser.add_argument("--days", type=int, default=1_941)
    args = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory(prefix="shelfops-bench-") as folder:
        path = Path(folder) / "demand.npy"
        say(f"simulating {args.series:,} series × {args.days:,} days")
        simulate(path, args.series, args.days)
        say("ours, and the copy")
        mine, floor, whole = (in_fresh_process(f, path) for f in (ours, copy, ours_collected))
        peers = {name: peer(name, path, args.series, args.days) for name in MOST_ROWS}
        say("agreement with pandas")
        difference = disagreement(path)
    everything = {"rows_measured": args.series * args.days, "scaled_by": 1.0}
    peers |= {"copy": asdict(floor) | everything, "ours, collected": asdict(whole) | everything}
    ratios = {f"{name} / ours": figures["seconds"] / mine.seconds for name, figures in peers.items()}
    ratios["ours / copy"] = mine.seconds / floor.seconds
    beyond_input = mine.peak_mb - args.series * args.days * 4e-6
    checks = [
        Check("largest difference from pandas, relative above 1", difference, "at most", 1e-3),
        Check("mlforecast seconds / ours", ratios["mlforecast / ours"], "at least", 8),
        Check("pandas seconds / ours", ratios["pandas / ours"], "at least", 20),
        Check("ours seconds / copy", ratios["ours / copy"], "at most", 2.5),
        Check("ours, peak MB beyond the input", beyond_input, "at most", MOST_SCRATCH_MB),
    ]
    task = {"benchmark": "features", "series": args.series, "days": args.days, "threads": THREADS}
    finish(task | {"machine": where, **asdict(mine), "peers": peers, "ratios": ratios}, checks)


if __name__ == "__main__":
    main()
