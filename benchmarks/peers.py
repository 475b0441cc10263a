"""The contenders: what somebody who knows the other libraries well would run on the same panel.

Each is given the panel as it was known at its last observed period, and returns forecasts [S, H] in units by name, 0 on
days known to be closed. They see the same days, channels and attributes as this engine. What is learned follows what is
scored: logarithms for RMSPE and RMSLE, Tweedie for the mean of counts, the absolute error for the median.
"""

import os
import warnings
from typing import Any, Final

import numpy as np
import pandas as pd
from engine import Floats
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import OPEN, Grain, Metric
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError

THREADS: Final = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
LAGS: Final = (1, 7, 14, 28)
MLFORECAST: Final = "mlforecast + LightGBM"
# Of ten models tried on the windows before each set's end, the best by its metric (and done within minutes); ZNA is the
# AutoETS that may choose its errors, without a trend, with an additive season.
STATSFORECAST: Final[dict[Metric, tuple[str, dict[str, str]]]] = {
    Metric.RMSPE: ("SeasonalExponentialSmoothingOptimized", {}),
    Metric.RMSLE: ("AutoETS", {}),
    Metric.RMSE: ("AutoETS", {"model": "ZNA"}),
    Metric.MAE: ("AutoETS", {}),
}
_WEEK: Final = 7
_LONGEST: Final = 364  # days that a local model is fitted on
_LIGHTGBM: Final[dict[str, Any]] = {
    "n_estimators": 500,
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_child_samples": 50,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.7,
    "random_state": 7,
    "verbosity": -1,
}


def with_baselines(panel: Panel, horizon: int, metric: Metric) -> dict[str, Floats]:
    """The four baselines of `evaluation/baselines.py`; `metric` does not matter to them."""
    from shelfops_pipeline.evaluation.baselines import BaselineHistory

    return BaselineHistory(panel, season(panel)).forecast(panel.n_observed - 1, horizon)


def with_mlforecast(panel: Panel, horizon: int, metric: Metric) -> dict[str, Floats]:
    """mlforecast with LightGBM, recursive: lags 1/7/14/28, rolling and same-weekday means, date features, attributes
    as categories, everything known in advance as exogenous columns.

    A closed day counts as 0 in the lags, is not learned from, and is forecast as 0, which later steps then look back
    on. Where a short history leaves lags empty, LightGBM is given the gap rather than no rows.
    """
    frame, known = long_frame(panel)
    engine = _engine(metric)
    static = list(panel.static)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = engine.preprocess(frame, static_features=static, dropna=False)
        rows = rows[known[rows.index.to_numpy()]]
        engine.fit_models(rows.drop(columns=["unique_id", "ds", "y"]), rows["y"].to_numpy())
        del frame, rows
        ahead = long_frame_ahead(panel, horizon)
        closed = _closed(panel, horizon)
        made = engine.predict(horizon, X_df=ahead, after_predict_callback=_Closing(closed))
    values = made.sort_values(["unique_id", "ds"])["lightgbm"].to_numpy().reshape(panel.n_series, horizon)
    return {MLFORECAST: _units(values, closed)}


def _engine(metric: Metric) -> Any:
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, SeasonalRollingMean
    from mlforecast.target_transforms import GlobalSklearnTransformer
    from sklearn.preprocessing import FunctionTransformer

    logarithm = GlobalSklearnTransformer(FunctionTransformer(np.log1p, np.expm1))
    objective = {Metric.RMSE: {"objective": "tweedie", "tweedie_variance_power": 1.1}, Metric.MAE: {"objective": "l1"}}
    means = [RollingMean(_WEEK, min_samples=1), RollingMean(4 * _WEEK, min_samples=1)]
    return MLForecast(
        models={"lightgbm": LGBMRegressor(**_LIGHTGBM | objective.get(metric, {}), n_jobs=THREADS)},
        freq="D",
        lags=list(LAGS),
        lag_transforms={1: means, _WEEK: [*means, SeasonalRollingMean(_WEEK, 4, min_samples=1)]},
        date_features=["dayofweek", "day", "month"],
        target_transforms=[logarithm] if metric in (Metric.RMSPE, Metric.RMSLE) else None,
        num_threads=THREADS,
    )


class _Closing:
    """Called by mlforecast after each step: closed series become 0 before the next step looks back on them."""

    def __init__(self, closed: NDArray[np.bool_]) -> None:
        self._closed, self._step = closed, 0

    def __call__(self, predictions: Any) -> Any:
        step = self._step
        self._step += 1
        return np.where(self._closed[:, step], 0.0, np.asarray(predictions))


def long_frame(panel: Panel) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """A row per series and day from the first one observed on, and which of them have a known demand.

    Columns: unique_id (position in the panel), ds, y (0 where the demand is missing), a category per static attribute,
    a number per channel.
    """
    T = panel.n_observed
    seen = np.isfinite(np.asarray(panel.demand[:, :T]))
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), T - 1)
    begun = (np.arange(T) >= first[:, None]).reshape(-1)
    frame = _rows(panel, 0, T)
    frame.insert(2, "y", np.where(seen, panel.demand[:, :T], 0).reshape(-1))
    for name, static in panel.static.items():
        categories = pd.Index(static.categories)
        frame[name] = pd.Categorical.from_codes(np.repeat(static.codes, T), categories)  # type: ignore[arg-type]
    return frame[begun].reset_index(drop=True), seen.reshape(-1)[begun]


def long_frame_ahead(panel: Panel, horizon: int) -> pd.DataFrame:
    """What is known in advance: a row per series and day of the horizon."""
    return _rows(panel, panel.n_observed, panel.n_observed + horizon)


def _rows(panel: Panel, start: int, stop: int) -> pd.DataFrame:
    if stop > panel.n_periods:
        raise DataError(f"{panel.dataset}: what is known in advance ends {stop - panel.n_periods} periods too early")
    columns: dict[str, NDArray[Any]] = {
        "unique_id": np.repeat(np.arange(panel.n_series), stop - start),
        "ds": np.tile(panel.dates[start:stop], panel.n_series),
    }
    columns |= {name: np.asarray(values[:, start:stop]).reshape(-1) for name, values in panel.channels.items()}
    return pd.DataFrame(columns, copy=False)


def with_statsforecast(panel: Panel, horizon: int, metric: Metric) -> dict[str, Floats]:
    """statsforecast's model of `STATSFORECAST` for every series, on at most the last 364 days; in one process, so that
    its memory is seen (with two it takes half the time).

    A missing day takes the mean of the series' same weekdays: a store that is closed on Sundays has 0 there, one that
    was closed on a holiday has what such a weekday sells.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsforecast import StatsForecast, models

        name, options = STATSFORECAST[metric]
        logarithmic = metric in (Metric.RMSPE, Metric.RMSLE)
        history = filled_by_weekday(panel.demand[:, max(0, panel.n_observed - _LONGEST) : panel.n_observed])
        S, T = history.shape
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(S), T),
                "ds": np.tile(panel.dates[panel.n_observed - T : panel.n_observed], S),
                "y": (np.log1p(history) if logarithmic else history).reshape(-1),
            }
        )
        model = getattr(models, name)(season_length=season(panel), **options)
        made = StatsForecast(models=[model], freq="D", n_jobs=1).forecast(df=frame, h=horizon)
    values = made.sort_values(["unique_id", "ds"]).iloc[:, -1].to_numpy(np.float64).reshape(S, horizon)
    values = np.expm1(values) if logarithmic else values
    return {" ".join(["statsforecast", name, *options.values()]): _units(values, _closed(panel, horizon))}


def filled_by_weekday(demand: Floats) -> NDArray[np.float64]:
    """[S, T] missing days as the mean of the days 7, 14, 21, ... before and after them; 0 where there is none."""
    out = np.array(demand, dtype=np.float64)
    for weekday in range(_WEEK):
        days = out[:, weekday::_WEEK]
        seen = np.isfinite(days)
        mean = np.where(seen, days, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        out[:, weekday::_WEEK] = np.where(seen, days, mean[:, None])
    return out


def season(panel: Panel) -> int:
    """Periods in a season. Raises DataError for a weekly retailer: the contenders are set up for days."""
    if panel.grain is not Grain.DAY:
        raise DataError(f"{panel.dataset}: the contenders are set up for daily data")
    return _WEEK


def _closed(panel: Panel, horizon: int) -> NDArray[np.bool_]:
    if OPEN not in panel.channels:
        return np.zeros((panel.n_series, horizon), dtype=bool)
    return np.asarray(panel.channels[OPEN][:, panel.n_observed : panel.n_observed + horizon]) == 0


def _units(values: NDArray[np.float64], closed: NDArray[np.bool_]) -> Floats:
    return np.where(closed, 0, np.maximum(values, 0)).astype(np.float32)
