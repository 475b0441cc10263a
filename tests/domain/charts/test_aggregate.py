"""Sums behind the charts, against plain definitions."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.charts.aggregate import errors_by_horizon, representative_series, scored
from shelfops_pipeline.charts.numbers import metric_value, number, percent
from shelfops_pipeline.charts.theme import model_label, shorten, sort_models
from shelfops_pipeline.contracts.columns import Grain


def test_errors_by_horizon_match_a_plain_loop(forecasts: pd.DataFrame) -> None:
    found = errors_by_horizon(forecasts).set_index(["model", "horizon"])
    for model in ("ensemble", "seasonal_naive"):
        for horizon in (1, 7, 14):
            error = demand = n = 0.0
            for row in forecasts[forecasts["model"] == model].itertuples():
                if (row.date - row.origin).days == horizon and not np.isnan(row.y):
                    error, demand, n = error + abs(row.point - row.y), demand + row.y, n + 1
            assert found.loc[(model, horizon), "wape"] == pytest.approx(error / demand)
            assert found.loc[(model, horizon), "mae"] == pytest.approx(error / n)


def test_wape_without_demand_is_undefined_not_zero(forecasts_of: Any) -> None:
    found = errors_by_horizon(forecasts_of(series=2).assign(y=0.0))
    assert found["wape"].isna().all()
    assert found["mae"].gt(0).any()


def test_dates_from_parquet_are_accepted(forecasts: pd.DataFrame) -> None:
    plain = forecasts.assign(date=forecasts["date"].dt.date, origin=forecasts["origin"].dt.date)
    assert isinstance(plain["date"].iloc[0], date)
    pd.testing.assert_frame_equal(errors_by_horizon(plain), errors_by_horizon(forecasts))


def test_the_median_is_scored_where_there_is_one(forecasts: pd.DataFrame) -> None:
    moved = errors_by_horizon(forecasts.assign(point=0.0)).set_index(["model", "horizon"])
    assert (
        moved.loc[("ensemble", 1), "mae"]
        == errors_by_horizon(forecasts).set_index(["model", "horizon"]).loc[("ensemble", 1), "mae"]
    )
    assert moved.loc[("lstm", 1), "wape"] == pytest.approx(1.0)


def test_ids_as_categories_are_accepted(forecasts: pd.DataFrame) -> None:
    coded = forecasts.astype(dict.fromkeys(["store_id", "item_id", "model"], "category"))
    pd.testing.assert_frame_equal(errors_by_horizon(coded).astype({"model": object}), errors_by_horizon(forecasts))
    one, other = (representative_series(scored(f[f["model"] == "ensemble"])) for f in (coded, forecasts))
    assert one == other


def test_one_week_ahead_is_one_period_also_where_it_is_the_only_date(forecasts_of: Any) -> None:
    weeks = forecasts_of(days=7, horizon=4, folds=1, series=2)
    one = weeks[weeks["date"] == weeks["date"].min()]
    assert errors_by_horizon(one, Grain.WEEK)["horizon"].unique().tolist() == [1]


def test_representative_series_are_different(forecasts: pd.DataFrame) -> None:
    rows = scored(forecasts[forecasts["model"] == "ensemble"])
    chosen = representative_series(rows)
    assert len(set(chosen.values())) == len(chosen) >= 5
    volume = rows.groupby(["store_id", "item_id"])["y"].sum()
    assert chosen["highest volume"] == volume.idxmax()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "undefined"),
        (float("nan"), "undefined"),
        (float("inf"), "undefined"),
        (0.0, "0"),
        (-3.14159, "−3.14"),
        (12345.6, "12,346"),
        (0.00012, "0.00012"),
    ],
)
def test_numbers_read_well(value: float | None, text: str) -> None:
    assert number(value) == text


def test_shares_are_per_cent_and_mae_has_a_unit() -> None:
    assert percent(-0.0001, signed=True) == "0.0 %"
    assert metric_value("bias", 0.021) == "+2.1 %"
    assert metric_value("wape", float("nan")) == "undefined"
    assert metric_value("mae", 3.318) == "3.32 units"


def test_long_names_keep_both_ends() -> None:
    assert shorten("a" * 30 + "z" * 30, 20).startswith("aaaa")
    assert shorten("a" * 30 + "z" * 30, 20).endswith("zz")
    assert len(shorten("a" * 30 + "z" * 30, 20)) == 20


def test_a_baseline_of_weeks_is_not_named_after_a_weekday() -> None:
    assert model_label("seasonal_mean") == "Weekday mean"
    assert model_label("seasonal_mean", Grain.WEEK) == "4-week mean"
    assert model_label("lstm", Grain.WEEK) == "LSTM"


def test_models_come_before_baselines_and_unknown_ones_last() -> None:
    assert sort_models(["zeta", "seasonal_naive", "ensemble"]) == ["ensemble", "seasonal_naive", "zeta"]
