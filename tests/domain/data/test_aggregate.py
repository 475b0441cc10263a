"""Demand per period against a plain pandas groupby."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.gate.validation import check_training_data

ROW = st.tuples(
    st.integers(0, 40),
    st.sampled_from(["s1", "s2"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(-3, 9).map(float),
    st.sampled_from([1.0, 2.5, np.nan]),
    st.sampled_from([0.0, 1.0, np.nan]),
)
COLUMNS = ["minute", "store_id", "item_id", "quantity", "unit_price", "on_promotion"]


def lines(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["ts"] = pd.Timestamp("2023-12-28 23:30") + pd.to_timedelta(frame.pop("minute") * 577, unit="min")
    frame["store_id"] = pd.Categorical(frame["store_id"], categories=["s0", "s1", "s2"])
    frame["item_id"] = pd.Categorical(frame["item_id"], categories=["c", "b", "a"])
    return frame


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from(list(Grain)))
def test_demand_equals_a_groupby(rows: list[tuple[object, ...]], grain: Grain) -> None:
    valid = lines(rows)
    day = valid["ts"].dt.normalize()
    if grain is Grain.WEEK:
        day = day - pd.to_timedelta(day.dt.weekday, unit="D")
    grouped = valid.assign(date=day).groupby(["date", "store_id", "item_id"], observed=True)
    wanted = grouped.agg({"quantity": "sum", "unit_price": "mean", "on_promotion": "max"}).reset_index()
    found = check_training_data(daily_demand(valid, grain))
    pd.testing.assert_frame_equal(found, wanted)


def test_returns_are_netted_and_weeks_start_on_monday() -> None:
    valid = lines([(0, "s1", "a", 5.0, 2.0, 0.0), (1, "s1", "a", -2.0, np.nan, 1.0)])
    week = daily_demand(valid, Grain.WEEK)
    assert week["date"].tolist() == [pd.Timestamp("2023-12-25")]
    assert week[["quantity", "unit_price", "on_promotion"]].to_numpy().tolist() == [[3.0, 2.0, 1.0]]


def test_what_is_not_known_has_no_column() -> None:
    valid = lines([(0, "s1", "a", 5.0, 2.0, 0.0)]).drop(columns=["unit_price", "on_promotion"])
    assert daily_demand(valid, Grain.DAY).columns.tolist() == ["date", "store_id", "item_id", "quantity"]


@pytest.mark.parametrize("grain", list(Grain))
def test_no_transactions_are_no_demand_rows(grain: Grain) -> None:
    nothing = daily_demand(lines([(0, "s1", "a", 5.0, 2.0, 0.0)]).iloc[:0], grain)
    assert nothing.empty
    assert nothing["date"].dtype == np.dtype("datetime64[ns]")
