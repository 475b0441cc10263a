"""How a forecast of a window is scored: the metric of each data set, bias, and whether the quantiles are true."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from engine import Floats, Made
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import PRICE, QUANTILES, Metric
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation.backtest import actuals

Doubles = NDArray[np.float64]

# M5's 12 levels as attributes of the panel, in the competition's order; "item" and "store" are the series' own ids.
# The panel's `category` is M5's department, its `department` M5's category.
LEVELS: Final = (
    (),
    ("state",),
    ("store",),
    ("department",),
    ("category",),
    ("state", "department"),
    ("state", "category"),
    ("store", "department"),
    ("store", "category"),
    ("item",),
    ("state", "item"),
    ("store", "item"),
)
_WEIGHED_DAYS: Final = 28
_SCORES: Final = {Metric.RMSPE: m.rmspe, Metric.RMSLE: m.rmsle, Metric.MAE: m.mae}


@dataclass(frozen=True)
class Case:
    """How a data set is forecast and scored. `metric` is what `--metric` is given."""

    dataset: str
    horizon: int
    metric: Metric
    scored: str
    """in words"""


CASES: Final = {
    case.dataset: case
    for case in (
        Case("rossmann", 42, Metric.RMSPE, "RMSPE of point"),
        Case("favorita", 16, Metric.RMSLE, "RMSLE of point"),
        Case("m5", 28, Metric.RMSE, "WRMSSE of mean"),
        Case("simulated", 28, Metric.MAE, "MAE of point"),
    )
}


@dataclass(frozen=True)
class Scores:
    """One contender on one window. Shares, not per cent."""

    metric: float
    bias: float
    """of the mean, over all units; positive is too high"""
    coverage_90: float | None
    hit_rates: list[tuple[float, float]] | None
    """(P(y < q), P(y <= q)) of each of contracts.columns.QUANTILES"""


def score(case: Case, panel: Panel, origin: int, made: Made) -> Scores:
    """Score the periods after `origin` that were observed; closed days were not, so nobody is scored on them."""
    actual = actuals(panel, origin, case.horizon)
    if case.metric is Metric.RMSE:
        value = wrmsse(panel, origin, made.mean)
    else:
        value = _SCORES[case.metric](actual, made.point).value
    bias = m.bias(actual, made.mean).value
    q = made.quantiles
    if q is None:
        return Scores(value, bias, None, None)
    rates = [m.hit_rates(actual, q[..., i]) for i in range(len(QUANTILES))]
    return Scores(
        value,
        bias,
        m.coverage(actual, q[..., 0], q[..., -1]).value,
        [(below.value, at_or_below.value) for below, at_or_below in rates],
    )


def wrmsse(panel: Panel, origin: int, forecast: Floats) -> float:
    """The M5 competition's weighted root mean squared scaled error of the periods after `origin`, mean of 12 levels.

    Makridakis, Spiliotis and Assimakopoulos 2022 (International Journal of Forecasting 38). Each sum of series is
    scaled by the mean squared difference of successive days since its first sale, and weighed by what it took in money
    in the last 28 days; both from the days up to `origin` only. Days not on sale count as 0. `forecast` is [S, H].
    Raises DataError where the panel has no prices or not M5's attributes.
    """
    if PRICE not in panel.channels:
        raise DataError(f"{panel.dataset}: WRMSSE needs prices to weigh the series by")
    known = np.nan_to_num(np.asarray(panel.demand[:, : origin + 1], dtype=np.float64))
    actual = np.nan_to_num(actuals(panel, origin, forecast.shape[1]).astype(np.float64))
    price = np.nan_to_num(np.asarray(panel.channels[PRICE][:, : origin + 1], dtype=np.float64))
    money = (known * price)[:, -_WEIGHED_DAYS:].sum(axis=1)
    return float(np.mean([_level(_groups(panel, level), known, actual, forecast, money) for level in LEVELS]))


def _level(groups: NDArray[np.intp], known: Doubles, actual: Doubles, forecast: Floats, money: Doubles) -> float:
    """Weighted RMSSE of one level; a sum whose history never changed has no scale and is left out."""
    past = _sums(groups, known)
    begun = np.cumsum(past > 0, axis=1)[:, :-1] > 0
    steps = np.where(begun, np.diff(past, axis=1), 0)
    count = begun.sum(axis=1)
    scale = np.divide((steps**2).sum(axis=1), count, out=np.zeros(len(count)), where=count > 0)
    error = ((_sums(groups, actual) - _sums(groups, forecast.astype(np.float64))) ** 2).mean(axis=1)
    weight = np.where(scale > 0, np.bincount(groups, money), 0)
    rmsse = np.sqrt(np.divide(error, scale, out=np.zeros(len(scale)), where=scale > 0))
    return float((weight * rmsse).sum() / weight.sum())


def _groups(panel: Panel, level: tuple[str, ...]) -> NDArray[np.intp]:
    """[S] the sum that each series belongs to, 0..G-1."""
    codes = np.zeros(panel.n_series, dtype=np.intp)
    for name in level:
        own = np.unique(_attribute(panel, name), return_inverse=True)[1]
        codes = np.unique(codes * (own.max() + 1) + own, return_inverse=True)[1]
    return codes


def _attribute(panel: Panel, name: str) -> NDArray[np.str_] | NDArray[np.int32]:
    if name in ("store", "item"):
        return panel.store_ids if name == "store" else panel.item_ids
    if name not in panel.static:
        raise DataError(f"{panel.dataset}: WRMSSE needs the attribute {name}, which the series do not have")
    return panel.static[name].codes


def _sums(groups: NDArray[np.intp], values: Doubles) -> Doubles:
    """[G, T] sums over the series of each group."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.add.reduceat(values[order], starts, axis=0)
