"""Scores of issued forecasts, against sums done by hand."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.monitoring.issued import Role
from shelfops_pipeline.monitoring.scoring import (
    block_labels,
    observed_since,
    score_cells,
    score_table,
    versus_table,
)
from tests.domain.monitoring.conftest import FIRST, IssueAt

DAY_6 = FIRST + timedelta(days=5)  # demand 6, 12, 18


def test_scores_are_those_of_the_backtest_on_rows_observed_since(shop: Panel, issued_at: IssueAt) -> None:
    cells = score_cells(shop, [(issued_at(DAY_6, [[6.0] * 5, [12.0] * 5, [18.0] * 5]), None)])
    # days 7 to 10, of which day 8 counts for the first series only; the fifth period is not over
    errors = [1, 2, 3, 4, 2, 6, 8, 3, 9, 12]
    demand = [7, 8, 9, 10, 14, 18, 20, 21, 27, 30]
    score = score_table(cells, ["version"]).iloc[0]
    assert score["n"] == len(errors)
    assert score["mae"] == pytest.approx(np.mean(errors))
    assert score["wape"] == pytest.approx(sum(errors) / sum(demand))
    assert score["bias"] == pytest.approx(-sum(errors) / sum(demand))
    assert score["coverage_90"] == pytest.approx(0.1)  # within one unit: the first day of the first series
    y = np.array(demand, dtype=np.float32)
    f = y - np.array(errors, dtype=np.float32)
    levels = zip((0.05, 0.25, 0.5, 0.75, 0.95), (-1, -0.5, 0, 0.5, 1), strict=True)
    assert score["pinball"] == pytest.approx(np.mean([m.pinball(y, f + by, level).value for level, by in levels]))


def test_each_period_ahead_and_origin_has_sums_of_its_own(shop: Panel, issued_at: IssueAt) -> None:
    later = DAY_6 + timedelta(days=3)
    pairs = [(issued_at(origin, [[5.0] * 4] * 3), None) for origin in (DAY_6, later)]
    cells = score_cells(shop, pairs)
    assert cells.groupby("origin")["horizon"].apply(list).to_dict() == {
        pd.Timestamp(DAY_6): [1, 2, 3, 4],
        pd.Timestamp(later): [1],
    }
    assert (cells["date"] == cells["origin"] + pd.to_timedelta(cells["horizon"], "D")).all()
    assert cells.loc[cells["horizon"] == 2, "rows"].tolist() == [1]
    assert set(cells["block"]) == {"1-4"}


def test_closed_and_stocked_out_periods_are_not_scored(shop: Panel, issued_at: IssueAt) -> None:
    actual = observed_since(shop, issued_at(DAY_6, [[0.0] * 4] * 3))
    by_name = dict(zip(("a bun", "a milk", "b bun"), actual, strict=True))
    assert by_name["a milk"].tolist() == [7, 8, 9, 10]
    assert np.isnan(by_name["a bun"][1])
    assert np.isnan(by_name["b bun"][1])


def test_what_the_version_was_trained_on_is_not_scored_though_it_lies_after_the_origin(
    shop: Panel, issued_at: IssueAt
) -> None:
    trained_to = {"v1": DAY_6 + timedelta(days=2)}
    actual = observed_since(shop, issued_at(DAY_6, [[0.0] * 4] * 3, known_until=trained_to))
    assert np.isnan(actual[:, :2]).all()
    assert np.isfinite(actual[:, 2:]).all()


def test_a_series_that_is_gone_is_not_scored(shop: Panel, issued_at: IssueAt) -> None:
    left = shop.take(np.array([0, 2]))
    cells = score_cells(left, [(issued_at(DAY_6, [[6.0] * 4] * 3), None)])
    assert cells["rows"].sum() == 4 + 3


def test_nothing_is_scored_before_a_period_is_over(shop: Panel, issued_at: IssueAt) -> None:
    cells = score_cells(shop, [(issued_at(shop.last_observed, [[6.0] * 4] * 3), None)])
    assert cells.empty
    assert score_table(cells, ["version"]).empty
    assert versus_table(cells).empty


def test_champion_and_challenger_are_compared_on_identical_rows(shop: Panel, issued_at: IssueAt) -> None:
    """The challenger serves two series of three and looks three days ahead, the champion four."""
    champion = issued_at(DAY_6, [[6.0] * 4] * 3, versions=("v1", "v1", "v2"))
    rival = issued_at(DAY_6, [[8.0] * 3] * 2, Role.CHALLENGER, versions=("v3", "v3"), series=(0, 1))
    line = versus_table(score_cells(shop, [(champion, rival)]))
    assert line[["champion", "challenger"]].to_numpy().tolist() == [["v1", "v3"]]
    row = line.iloc[0]
    assert (row["n"], row["origins"]) == (5, 1)
    assert row["mae champion"] == pytest.approx(np.mean([1, 2, 3, 8, 12]))
    assert row["mae challenger"] == pytest.approx(np.mean([1, 0, 1, 6, 10]))
    assert row["mae ratio"] == pytest.approx(row["mae challenger"] / row["mae champion"])
    alone = score_cells(shop, [(champion, rival)]).query("role == 'champion' and versus == ''")
    assert alone["rows"].sum() == 10


def test_scores_without_demand_are_undefined(shop: Panel, issued_at: IssueAt) -> None:
    shop.demand[:] = np.where(np.isfinite(shop.demand), 0, np.nan)
    score = score_table(score_cells(shop, [(issued_at(DAY_6, [[2.0] * 4] * 3), None)]), ["version"]).iloc[0]
    assert score["mae"] == 2
    assert np.isnan(score["wape"])
    assert np.isnan(score["bias"])


def test_a_forecast_that_is_no_number_makes_its_scores_undefined(shop: Panel, issued_at: IssueAt) -> None:
    cells = score_cells(shop, [(issued_at(DAY_6, [[float("nan"), 1.0], [1.0, 1.0], [1.0, 1.0]]), None)])
    assert np.isnan(score_table(cells, ["version"]).iloc[0]["mae"])


@pytest.mark.parametrize(("horizon", "grain", "last"), [(28, Grain.DAY, "15-28"), (5, Grain.WEEK, "5")])
def test_blocks_are_named_as_in_the_backtests_scores(horizon: int, grain: Grain, last: str) -> None:
    labels = block_labels(horizon, grain)
    assert len(labels) == horizon
    assert labels[0] == ("1-7" if grain is Grain.DAY else "1-2")
    assert labels[-1] == last
