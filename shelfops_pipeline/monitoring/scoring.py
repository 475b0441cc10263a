"""What became of issued forecasts: sums of their errors on every period that has been observed since, and scores.

A row is a series and a period ahead that was forecast, was unknown when it was forecast (after the origin, and after
all demand that the version was trained on) and has been observed on sale since: closed, unlisted and stocked-out
periods are scored no more than in a backtest. Metrics are those of `evaluation`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import COUNT, DATE, ORIGIN, Grain, Metric
from shelfops_pipeline.contracts.spec import short_window
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import sums
from shelfops_pipeline.evaluation.groups import BY_BLOCK, BY_HORIZON, Grouping, PeriodDimension, SeriesDimension
from shelfops_pipeline.evaluation.sums import FoldRows, Sums, grouped_sums
from shelfops_pipeline.models.calibrate import horizon_blocks
from shelfops_pipeline.monitoring.issued import ROLE, Issued

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

VERSION: Final = "version"
VERSUS: Final = "versus"
"""The version that a row's scores are to be compared with, on identical rows; empty: scored alone, on all its rows."""
METRICS: Final = ("mae", "wape", "bias", "coverage_90", "pinball")
ROWS, DEMAND = sums.ROWS, sums.DEMAND
_TOTALS: Final = {
    ROWS: ROWS,
    DEMAND: DEMAND,
    "absolute_error": "mae",
    "error": "bias",
    "inside": "coverage_90",
    "pinball_loss": "pinball",
}
"""Column of sums -> its name in `evaluation.sums`."""
SUMS: Final = tuple(_TOTALS)
_KEYS: Final = (ROLE, VERSION, VERSUS, ORIGIN, DATE, BY_HORIZON, BY_BLOCK)


def score_cells(panel: Panel, pairs: Iterable[tuple[Issued, Issued | None]]) -> pd.DataFrame:
    """Sums and METRICS by role, version, versus, origin and period ahead (with its date and block), of what has been
    observed; each pair is what the champion issued at an origin, and its challenger. Empty where nothing has been."""
    parts = [cells for champion, challenger in pairs for cells in _of_origin(panel, champion, challenger)]
    if not parts:
        return _no_cells()
    frame = pd.concat(parts, ignore_index=True)
    return frame[frame[ROWS] > 0].reset_index(drop=True)


def block_labels(horizon: int, grain: Grain) -> list[str]:
    """[H] the block of each period ahead, such as `1-7`; as a backtest's scores name them."""
    ends = horizon_blocks(horizon, short_window(grain))
    names = [f"{a + 1}-{b}" if b > a + 1 else str(b) for a, b in zip((0, *ends), ends, strict=False)]
    return [names[int(np.searchsorted(ends, h))] for h in range(1, horizon + 1)]


def score_table(cells: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row per group of `score_cells`: `by`, n (rows), and METRICS; NaN where undefined."""
    groups = cells.groupby(list(by), sort=True)
    first, code = groups.head(1).sort_values(list(by)), groups.ngroup().to_numpy()
    values: Sums = {
        name: np.bincount(code, weights=cells[name], minlength=len(first)).astype(np.float64)  # NaN stays NaN
        for name in SUMS
    }
    table = first[list(by)].reset_index(drop=True).assign(**{COUNT: values[ROWS].astype(np.int64)})
    return table.assign(**ratios(values))


def ratios(values: Sums) -> dict[str, Doubles]:
    """METRICS of groups' sums [G], as `evaluation.metrics` defines them; NaN where undefined."""
    rows, demand = values[ROWS], values[DEMAND]
    return {
        "mae": _ratio(values["absolute_error"], rows),
        "wape": _ratio(values["absolute_error"], demand),
        "bias": _ratio(values["error"], demand),
        "coverage_90": _ratio(values["inside"], rows),
        "pinball": _ratio(values["pinball_loss"], rows),
    }


def log_level(values: Sums) -> Doubles:
    """[G] log of forecast over actual demand, of groups' sums; NaN where either is nothing."""
    actual, forecast = values[DEMAND], values[DEMAND] + values["error"]
    usable = (actual > 0) & (forecast > 0)
    return np.log(np.divide(forecast, actual, out=np.full(len(actual), np.nan), where=usable))


def totals(found: Sums) -> Sums:
    """SUMS of what `evaluation.sums.grouped_sums` found."""
    return {name: found[theirs] for name, theirs in _TOTALS.items()}


def _ratio(total: Doubles, by: Doubles) -> Doubles:
    return np.divide(total, by, out=np.full(len(by), np.nan), where=by > 0)


def versus_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Champion and challenger on identical rows, one line per pair of versions: n, origins, and both scores of each
    metric with the ratio of their MAE; empty where no challenger's forecast has been scored."""
    paired = cells[cells[VERSUS] != ""]
    keys = [ROLE, VERSION, VERSUS]
    table = score_table(paired, keys).merge(paired.groupby(keys)[ORIGIN].nunique().rename("origins").reset_index())
    ours, theirs = (table[table[ROLE] == role].drop(columns=ROLE) for role in ("champion", "challenger"))
    theirs = theirs.rename(columns={VERSION: VERSUS, VERSUS: VERSION}).drop(columns=[COUNT, "origins"])
    joined = ours.merge(theirs, on=[VERSION, VERSUS], suffixes=(" champion", " challenger"))
    joined["mae ratio"] = joined["mae challenger"] / joined["mae champion"]
    return joined.rename(columns={VERSION: "champion", VERSUS: "challenger"})


def _no_cells() -> pd.DataFrame:
    kinds = dict.fromkeys((ROLE, VERSION, VERSUS, BY_BLOCK), "object") | dict.fromkeys((ORIGIN, DATE), "datetime64[ns]")
    kinds |= {BY_HORIZON: "int64"} | dict.fromkeys((*SUMS, *METRICS), "float64")
    return pd.DataFrame({name: pd.Series(dtype=kinds[name]) for name in (*_KEYS, *SUMS, *METRICS)})


def _of_origin(panel: Panel, champion: Issued, challenger: Issued | None) -> Iterable[pd.DataFrame]:
    actual = observed_since(panel, champion)
    yield _sums(champion, actual, champion.versions, np.full(len(champion.versions), ""))
    if challenger is None:
        return
    at = _position(champion, challenger)
    rows, periods = np.flatnonzero(at >= 0), min(champion.mean.shape[1], challenger.mean.shape[1])
    both = np.full_like(actual, np.nan)  # the champion's rows that the challenger forecast too
    theirs = observed_since(panel, challenger)[rows, :periods]
    both[at[rows], :periods] = np.where(np.isnan(theirs), np.nan, actual[at[rows], :periods])
    rival, own = np.full(len(champion.versions), ""), np.full(len(challenger.versions), "")
    rival, own = rival.astype(object), own.astype(object)
    rival[at[rows]], own[rows] = challenger.versions[rows], champion.versions[at[rows]]
    shown = np.full(challenger.mean.shape, np.nan, dtype=np.float32)
    shown[rows, :periods] = both[at[rows], :periods]
    yield _sums(champion, both, champion.versions, rival)
    yield _sums(challenger, shown, challenger.versions, own)


def observed_since(panel: Panel, issued: Issued) -> Floats:
    """[S, H] demand of the periods that were forecast, as the panel knows it by now; NaN where it was not observed, or
    was known when the forecast was made."""
    dates = panel.dates.astype("datetime64[D]")
    column = np.searchsorted(dates[: panel.n_observed], issued.dates)
    seen = (column < panel.n_observed) & (dates[np.minimum(column, panel.n_observed - 1)] == issued.dates)
    series = _rows_of(panel.store_ids, panel.item_ids, issued.store_ids, issued.item_ids)
    out = np.full(issued.mean.shape, np.nan, dtype=np.float32)
    rows, periods = np.flatnonzero(series >= 0), np.flatnonzero(seen)
    out[np.ix_(rows, periods)] = panel.demand[np.ix_(series[rows], column[periods])]
    trained = np.array([issued.known_until.get(v, issued.origin) for v in issued.versions], dtype="datetime64[D]")
    unknown = issued.dates > np.maximum(trained, np.datetime64(issued.origin, "D"))[:, None]
    return np.where(unknown & issued.there, out, np.float32(np.nan))


def _position(champion: Issued, challenger: Issued) -> NDArray[np.intp]:
    return _rows_of(champion.store_ids, champion.item_ids, challenger.store_ids, challenger.item_ids)


def _rows_of(
    stores: NDArray[np.str_], items: NDArray[np.str_], wanted_stores: NDArray[np.str_], wanted_items: NDArray[np.str_]
) -> NDArray[np.intp]:
    """Where each wanted series is among the others; -1 where it is not."""
    known = pd.MultiIndex.from_arrays([stores, items])
    found: NDArray[np.intp] = known.get_indexer(pd.MultiIndex.from_arrays([wanted_stores, wanted_items]))
    return found


def _sums(issued: Issued, actual: Floats, versions: NDArray[np.str_], versus: NDArray[np.str_]) -> pd.DataFrame:
    """Sums by version, versus and period ahead."""
    pairs, codes = np.unique(np.stack([versions, versus]).astype(np.str_), axis=1, return_inverse=True)
    labels, H = tuple(map("|".join, pairs.T)), issued.mean.shape[1]
    dimension = SeriesDimension(VERSION, labels, (codes.reshape(-1),))
    every = PeriodDimension(BY_HORIZON, tuple(map(str, range(1, H + 1))), np.arange(H))
    median = issued.quantiles[:, :, 2]
    points = dict.fromkeys(Metric, median) | {Metric.RMSE: issued.mean}
    rows = FoldRows(actual, points, issued.quantiles, np.zeros(len(versions), dtype=np.float32))
    (found,) = grouped_sums([rows], [dimension], [Grouping((dimension,), every)])
    names = np.repeat(pairs, H, axis=1)
    keys = {ROLE: issued.role.value, VERSION: names[0].astype(object), VERSUS: names[1].astype(object)}
    frame = pd.DataFrame(keys | totals(found) | ratios(totals(found)))
    frame[ORIGIN] = pd.Timestamp(issued.origin)
    frame[DATE] = np.tile(issued.dates.astype("datetime64[ns]"), len(labels))
    frame[BY_HORIZON] = np.tile(np.arange(1, H + 1), len(labels))
    frame[BY_BLOCK] = np.tile(np.array(block_labels(H, issued.grain), dtype=object), len(labels))
    return frame[[*_KEYS, *SUMS, *METRICS]]
