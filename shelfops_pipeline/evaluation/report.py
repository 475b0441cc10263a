"""A backtest as tables: one row per metric, and one row per forecast."""

from collections.abc import Container, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.tables import coded
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation.backtest import Backtest, ScoredFold
from shelfops_pipeline.inference.predict import Forecast

Floats = NDArray[np.float32]

ENSEMBLE = "ensemble"
MEMBERS = ("xgboost", "lstm")
ALL_FOLDS = "all"
_MEDIAN = c.QUANTILES.index(0.5)


def metrics_table(backtest: Backtest) -> pd.DataFrame:
    """(tier, model, origin, metric, value, n, why): every model and baseline on identical rows, per fold and over all.

    Each metric of the ensemble is scored on the column that it defines: mae, mape, wape and mase on the median, rmse
    and bias on the mean, rmsle and rmspe on their own optimal points, pinball and coverage on the quantiles.
    """
    rows: list[dict[str, object]] = []
    for tier, folds in backtest.folds.items():
        names = (ENSEMBLE, *MEMBERS, *backtest.baselines[0].forecasts)
        for name in names:
            per_fold = [_columns(backtest, tier, k, name) for k in range(len(folds))]
            labels = [f.origin_date for f in folds]
            for label, indices in [
                *((label, [k]) for k, label in enumerate(labels)),
                (ALL_FOLDS, list(range(len(folds)))),
            ]:
                actual = np.concatenate([folds[k].actual for k in indices])
                scale = np.concatenate([backtest.baselines[k].naive_error for k in indices])
                joined = {key: np.concatenate([per_fold[k][key] for k in indices]) for key in per_fold[0]}
                rows += [
                    {
                        "tier": tier.value,
                        "model": name,
                        "origin": label,
                        "metric": metric,
                        "value": s.value,
                        "n": s.n,
                        "why": s.why,
                    }
                    for metric, s in score(actual, joined, scale).items()
                ]
    return pd.DataFrame(rows)


def score(actual: Floats, forecast: dict[str, Floats], scale: Floats) -> dict[str, m.Score]:
    """All metrics of one model. `forecast` has a [S, H] array per metric column, and `quantiles` [S, H, 5] if any."""
    out = {
        "mae": m.mae(actual, forecast["mae"]),
        "wape": m.wape(actual, forecast["mae"]),
        "mape": m.mape(actual, forecast["mae"]),
        "mase": m.mase(actual, forecast["mae"], scale),
        "rmse": m.rmse(actual, forecast["rmse"]),
        "bias": m.bias(actual, forecast["rmse"]),
        "rmsle": m.rmsle(actual, forecast["rmsle"]),
        "rmspe": m.rmspe(actual, forecast["rmspe"]),
    }
    if "quantiles" in forecast:
        q = forecast["quantiles"]
        losses = [m.pinball(actual, q[..., i], level) for i, level in enumerate(c.QUANTILES)]
        out["pinball"] = m.Score(float(np.mean([s.value for s in losses])), losses[0].n, losses[0].why)
        out["coverage_90"] = m.coverage(actual, q[..., 0], q[..., -1])
        for i, column in enumerate(c.QUANTILE_COLUMNS):
            below, at_or_below = m.hit_rates(actual, q[..., i])
            out |= {f"below_{column}": below, f"at_or_below_{column}": at_or_below}
    return out


def headline(table: pd.DataFrame, tier: Tier, model: str = ENSEMBLE) -> dict[str, float | None]:
    """Metrics over all folds of one model; None where undefined."""
    chosen = table[(table["tier"] == tier.value) & (table["model"] == model) & (table["origin"] == ALL_FOLDS)]
    values = zip(chosen["metric"], chosen["value"], strict=True)
    return {name: None if np.isnan(v) else float(v) for name, v in values}


def _columns(backtest: Backtest, tier: Tier, fold: int, name: str) -> dict[str, Floats]:
    forecast = backtest.folds[tier][fold].forecast
    if name == ENSEMBLE:
        return {metric.value: forecast.points[metric] for metric in Metric} | {"quantiles": forecast.quantiles}
    values = forecast.members[name] if name in MEMBERS else backtest.baselines[fold].forecasts[name]
    return dict.fromkeys([metric.value for metric in Metric], values)


def forecast_frames(
    panel: Panel, backtest: Backtest, tier: Tier | None = None, models: Container[str] | None = None
) -> Iterator[pd.DataFrame]:
    """One frame per fold and model with contracts.columns.BACKTEST_COLUMNS, scored rows only (`y` was observed).

    With no tier, each series is shown with the tier that serves a history of its length. `models` limits the models.
    """
    for k in range(len(backtest.origins)):
        fold = served_fold(backtest, k) if tier is None else backtest.folds[tier][k]
        shared = _keys(panel, fold)
        seen = np.isfinite(fold.actual)
        everything = {ENSEMBLE: (fold.forecast.mean, fold.forecast.point)}
        everything |= {n: (v, v) for n, v in (fold.forecast.members | backtest.baselines[k].forecasts).items()}
        for name, (mean, point) in everything.items():
            if models is None or name in models:
                quantiles = fold.forecast.quantiles[seen] if name == ENSEMBLE else None
                yield _frame(shared, name, mean[seen], point[seen], quantiles)


def served_fold(backtest: Backtest, k: int) -> ScoredFold:
    """The fold as it would have been served: each series by the tier that its history at the origin allowed."""
    tiers = list(backtest.folds)
    if len(tiers) == 1:
        return backtest.folds[tiers[0]][k]
    production, cold = backtest.folds[Tier.PRODUCTION][k], backtest.folds[Tier.COLD_START][k]
    use = production.history >= backtest.recipes[Tier.PRODUCTION].spec.min_history
    return ScoredFold(
        production.origin,
        production.origin_date,
        production.dates,
        production.actual,
        choose(use, production.forecast, cold.forecast),
        production.history,
    )


def choose(use: NDArray[np.bool_], first: Forecast, second: Forecast) -> Forecast:
    """[S] row by row: the first forecast where `use`, else the second."""

    def pick(a: Floats, b: Floats) -> Floats:
        return np.where(use.reshape(-1, *([1] * (a.ndim - 1))), a, b)

    return Forecast(
        dates=first.dates,
        mean=pick(first.mean, second.mean),
        point=pick(first.point, second.point),
        points={k: pick(v, second.points[k]) for k, v in first.points.items()},
        quantiles=pick(first.quantiles, second.quantiles),
        members={k: pick(v, second.members[k]) for k, v in first.members.items()},
    )


def _keys(panel: Panel, fold: ScoredFold) -> dict[str, object]:
    """Id, date, origin and actual columns of the scored rows."""
    series, step = np.nonzero(np.isfinite(fold.actual))
    stores, store_codes = np.unique(panel.store_ids, return_inverse=True)
    items, item_codes = np.unique(panel.item_ids, return_inverse=True)
    return {
        c.STORE_ID: coded(store_codes[series], stores),
        c.ITEM_ID: coded(item_codes[series], items),
        c.DATE: fold.dates[step].astype("datetime64[ns]"),
        c.ORIGIN: np.repeat(np.datetime64(fold.origin_date, "ns"), len(series)),
        c.ACTUAL: fold.actual[series, step],
    }


def _frame(keys: dict[str, object], model: str, mean: Floats, point: Floats, quantiles: Floats | None) -> pd.DataFrame:
    frame = pd.DataFrame(keys)
    frame[c.MEAN], frame[c.POINT] = mean, point
    for i, column in enumerate(c.QUANTILE_COLUMNS):
        frame[column] = np.float32(np.nan) if quantiles is None else quantiles[:, i]
    frame[c.MODEL] = pd.Categorical([model]).repeat(len(frame))
    return frame[list(c.BACKTEST_COLUMNS)]
