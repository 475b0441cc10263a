"""Small backtests with realistic numbers: daily counts, seven models, quantiles of the ensemble only."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import BACKTEST_COLUMNS, QUANTILE_COLUMNS, QUANTILES

MODELS = {
    "ensemble": 0.15,
    "xgboost": 0.2,
    "lstm": 0.25,
    "seasonal_naive": 0.6,
    "seasonal_mean": 0.35,
    "seasonal_promo_mean": 0.3,
    "profile_mean": 0.4,
}
METRICS = ("mae", "mape", "wape", "rmse", "rmsle", "rmspe", "bias", "mase", "pinball", "coverage_90")


def make_forecasts(
    series: int = 12, horizon: int = 14, folds: int = 2, days: int = 1, models: tuple[str, ...] = tuple(MODELS)
) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    dates = pd.date_range("2024-03-04", periods=horizon * folds, freq=f"{days}D")
    level = np.exp(rng.normal(1.5, 1.0, series))[:, None] * np.where(dates.dayofweek >= 4, 1.4, 0.9)
    y = rng.poisson(level).astype(float)
    y[0, 3] = np.nan
    parts = []
    for model in models:
        for k in range(folds):
            at = slice(k * horizon, (k + 1) * horizon)
            mean = (level[:, at] * np.exp(rng.normal(0, MODELS[model], (series, horizon)))).ravel()
            parts.append(
                pd.DataFrame(
                    {
                        "store_id": np.repeat([f"s{i % 3}" for i in range(series)], horizon),
                        "item_id": np.repeat([f"item_{i:03d}" for i in range(series)], horizon),
                        "date": np.tile(dates[at], series),
                        "mean": mean,
                        "point": np.round(mean),
                        **{
                            c: np.round(mean + 1.6 * (q - 0.5) * 2 * np.sqrt(mean)).clip(0)
                            if model == "ensemble"
                            else np.nan
                            for q, c in zip(QUANTILES, QUANTILE_COLUMNS, strict=True)
                        },
                        "origin": dates[k * horizon] - pd.Timedelta(days=days),
                        "model": model,
                        "y": y[:, at].ravel(),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)[list(BACKTEST_COLUMNS)]


@pytest.fixture(scope="session")
def forecasts() -> pd.DataFrame:
    return make_forecasts()


@pytest.fixture(scope="session")
def forecasts_of() -> Callable[..., pd.DataFrame]:
    return make_forecasts


@pytest.fixture(scope="session")
def no_forecasts() -> pd.DataFrame:
    return make_forecasts().iloc[:0]


@pytest.fixture(scope="session")
def metrics() -> pd.DataFrame:
    """Two tiers, three folds; quantile metrics are undefined but for the ensemble, the naive has none in cold start."""
    rows = []
    for tier, harder in (("production", 1.0), ("cold_start", 1.2)):
        for model, error in MODELS.items():
            for k, origin in enumerate(("2024-03-03", "2024-03-17", "2024-03-31", "all")):
                for metric in METRICS:
                    quantile = metric in ("pinball", "coverage_90")
                    value = (0.88 if metric == "coverage_90" else (0.3 + error) * harder) + 0.01 * (k % 3)
                    if (quantile and model != "ensemble") or (tier == "cold_start" and model == "seasonal_naive"):
                        value = float("nan")
                    rows.append((tier, model, origin, metric, value, 480 if origin == "all" else 160))
    return pd.DataFrame(rows, columns=["tier", "model", "origin", "metric", "value", "n"])


@pytest.fixture(scope="session")
def importance() -> list[dict[str, object]]:
    return [
        {
            "feature": f"feature_{i}",
            "definition": f"what feature {i} means" if i else "a definition that goes on and on " * 6,
            "mean_abs_shap": 0.5 / (i + 1),
            "gain": 100.0 / (i + 1) if i else None,
        }
        for i in range(30)
    ]
