"""A backtest as tables: every model on the same rows, each metric on its own column."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import BACKTEST_COLUMNS, QUANTILE_COLUMNS, Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.baselines import BASELINES
from shelfops_pipeline.evaluation.report import forecast_frames, headline, metrics_table
from shelfops_pipeline.evaluation.served import choose, served_fold
from shelfops_pipeline.models.recipe import default_recipe
from tests.domain.lifecycle import gate_support
from tests.domain.lifecycle.gate_support import TIER, H, a_backtest
from tests.domain.support import chain_panel


@pytest.fixture(scope="module")
def table(backtest: Backtest) -> pd.DataFrame:
    return metrics_table(backtest)


def value(table: pd.DataFrame, model: str, metric: str, origin: str = "all", tier: Tier = Tier.PRODUCTION) -> pd.Series:
    keys = {"tier": tier.value, "model": model, "metric": metric, "origin": origin}
    (row,) = (r for _, r in table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].iterrows())
    return row


def test_every_model_and_baseline_is_scored_on_the_same_rows(table: pd.DataFrame, backtest: Backtest) -> None:
    assert set(table["model"]) == {"ensemble", "xgboost", "lstm", *BASELINES}
    assert set(table["tier"]) == {t.value for t in Tier}
    for metric in ("mae", "rmse", "mape", "rmspe", "mase"):
        for origin in ("all", *(f.origin_date for f in backtest.folds[Tier.PRODUCTION])):
            rows = table[(table["metric"] == metric) & (table["origin"] == origin)]
            assert rows["n"].nunique() == 1, (metric, origin)


def test_each_metric_of_the_ensemble_is_scored_on_the_column_that_it_defines(
    table: pd.DataFrame, backtest: Backtest
) -> None:
    folds = backtest.folds[Tier.PRODUCTION]
    actual = np.concatenate([f.actual for f in folds])

    def joined(metric: Metric) -> np.ndarray:
        return np.concatenate([f.forecast.points[metric] for f in folds])

    mean = np.concatenate([f.forecast.mean for f in folds])
    for name, forecast in (
        ("mae", joined(Metric.MAE)),
        ("wape", joined(Metric.MAE)),
        ("mape", joined(Metric.MAE)),
        ("rmse", mean),
        ("bias", mean),
        ("rmsle", joined(Metric.RMSLE)),
        ("rmspe", joined(Metric.RMSPE)),
    ):
        assert value(table, "ensemble", name)["value"] == pytest.approx(getattr(m, name)(actual, forecast).value), name
    low, high = (np.concatenate([f.forecast.quantiles[..., i] for f in folds]) for i in (0, 4))
    assert value(table, "ensemble", "coverage_90")["value"] == pytest.approx(m.coverage(actual, low, high).value)


def test_every_metric_of_the_ensemble_is_defined_on_ordinary_folds(table: pd.DataFrame) -> None:
    ensemble = table[(table["model"] == "ensemble") & (table["origin"] == "all")]
    assert np.isfinite(ensemble["value"]).all()
    assert {f"below_{q}" for q in QUANTILE_COLUMNS} <= set(ensemble["metric"])


def test_models_without_quantiles_have_no_interval_metrics(table: pd.DataFrame) -> None:
    others = table[table["model"] != "ensemble"]
    assert not others["metric"].isin(["pinball", "coverage_90"]).any()


def test_an_undefined_metric_is_null_in_the_headline_and_says_why_in_the_table(backtest: Backtest) -> None:
    folds = [replace(f, actual=np.zeros_like(f.actual)) for f in backtest.folds[Tier.PRODUCTION]]
    table = metrics_table(replace(backtest, folds={Tier.PRODUCTION: folds}))
    numbers = headline(table, Tier.PRODUCTION)
    assert numbers["mape"] is None
    assert numbers["wape"] is None
    assert numbers["mae"] is not None
    assert value(table, "ensemble", "wape")["why"] == "actuals sum to 0"


def test_forecast_frames_hold_exactly_the_scored_rows(backtest: Backtest, retailer_panel: Panel) -> None:
    frames = pd.concat(forecast_frames(retailer_panel, backtest), ignore_index=True)
    assert tuple(frames.columns) == BACKTEST_COLUMNS
    assert not frames["y"].isna().any()
    assert not frames.duplicated(["store_id", "item_id", "date", "origin", "model"]).any()
    scored = sum(int(np.isfinite(f.actual).sum()) for f in backtest.folds[Tier.PRODUCTION])
    assert (frames["model"].value_counts() == scored).all()
    assert frames.loc[frames["model"] != "ensemble", "q50"].isna().all()
    assert frames.loc[frames["model"] == "ensemble", "q50"].notna().all()
    ids = list(zip(retailer_panel.store_ids, retailer_panel.item_ids, strict=True))
    position = {str(d): i for i, d in enumerate(retailer_panel.dates)}
    for row in frames.sample(40, random_state=1).itertuples():
        series = ids.index((row.store_id, row.item_id))
        assert row.y == retailer_panel.demand[series, position[str(row.date.date())]]


def test_a_fold_in_which_nothing_was_observed_has_no_frame() -> None:
    """Its columns would have no type, and no file could hold it beside the others."""
    panel = chain_panel(stores=1, items=2, periods=130)
    y = [np.full((2, H), unit, np.float32) for unit in (np.nan, 5)]
    made = [gate_support.forecast(np.full_like(v, 4)) for v in y]
    backtest = a_backtest(default_recipe(panel, TIER, H, seed=1), y, made, naive=1)
    frames = list(forecast_frames(panel, backtest))
    assert [len(frame) for frame in frames] == [2 * H] * 2  # the ensemble and a baseline, of the second fold


def test_frames_can_be_limited_to_a_tier_and_to_some_models(backtest: Backtest, retailer_panel: Panel) -> None:
    (first, second) = forecast_frames(retailer_panel, backtest, Tier.COLD_START, {"ensemble"})
    assert set(first["model"]) == {"ensemble"}
    fold = backtest.folds[Tier.COLD_START][1]
    np.testing.assert_array_equal(second["mean"], fold.forecast.mean[np.isfinite(fold.actual)])


def test_the_served_fold_shows_each_series_with_the_tier_that_its_history_allowed(backtest: Backtest) -> None:
    fold = served_fold(backtest, 0)
    production, cold = (backtest.folds[t][0].forecast for t in (Tier.PRODUCTION, Tier.COLD_START))
    enough = fold.history >= backtest.recipes[Tier.PRODUCTION].spec.min_history
    assert enough.any()
    assert not enough.all()
    np.testing.assert_array_equal(fold.forecast.mean[enough], production.mean[enough])
    np.testing.assert_array_equal(fold.forecast.quantiles[~enough], cold.quantiles[~enough])
    alone = replace(backtest, folds={Tier.COLD_START: backtest.folds[Tier.COLD_START]})
    np.testing.assert_array_equal(served_fold(alone, 0).forecast.mean, cold.mean)


def test_choosing_between_forecasts_goes_row_by_row(backtest: Backtest) -> None:
    a, b = (backtest.folds[t][0].forecast for t in Tier)
    use = np.arange(len(a.mean)) % 2 == 0
    mixed = choose(use, a, b)
    for metric in Metric:
        np.testing.assert_array_equal(mixed.points[metric][::2], a.points[metric][::2])
        np.testing.assert_array_equal(mixed.points[metric][1::2], b.points[metric][1::2])
