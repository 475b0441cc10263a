"""A fold's series forecast a second time, as if they were new."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import backtest, fresh
from shelfops_pipeline.evaluation.backtest import forecast_fold
from shelfops_pipeline.inference.calibration import CLASSES, NEW_CLASSES, demand_class
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.recipe import Recipe, default_recipe

H = 14
Floats = NDArray[np.float32]


class Levels:
    """A stand-in for fitted models: the mean of what is known of a row."""

    def xgboost(self, rows: Floats) -> Floats:
        return np.nanmean(rows, axis=1)

    def lstm(self, encoder: Floats, decoder: Floats, static: NDArray[np.int32]) -> Floats:
        return decoder.mean(axis=2)


def level_members(panel: Panel, recipe: Recipe) -> Members:
    """In place of `fit_members`."""
    categories = {k: v.categories for k, v in panel.static.items()}
    return Members(recipe.spec, recipe.transform, {}, categories, panel.holiday_kinds, Levels())


@pytest.fixture
def origin(retailer_panel: Panel, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(backtest, "fit_members", level_members)
    return retailer_panel.n_observed - 1 - H


def forecast(panel: Panel, origin: int, tier: Tier = Tier.COLD_START, seed: int = 7) -> FoldForecast:
    return forecast_fold(panel, default_recipe(panel, tier, H, seed), origin)


def test_every_observed_series_of_a_small_retailer_is_forecast_as_new_in_each_way(
    retailer_panel: Panel, origin: int
) -> None:
    fold = forecast(retailer_panel, origin)
    assert fold.fresh is not None
    observed = np.flatnonzero(fold.scored.any(axis=1))
    assert len(observed) > 20
    np.testing.assert_array_equal(fold.fresh.rows, np.repeat(observed, 3))
    classes = np.array(CLASSES)[demand_class(fold.fresh.state)].reshape(-1, 3)
    assert {tuple(ways) for ways in classes} == {NEW_CLASSES}
    assert (fold.fresh.state.scalar("history") == 0).all()


def test_what_a_series_sold_before_does_not_reach_its_forecast_as_new(retailer_panel: Panel, origin: int) -> None:
    demand = retailer_panel.demand.copy()
    demand[0, : origin + 1] *= 30
    a, b = (forecast(p, origin).fresh for p in (retailer_panel, replace(retailer_panel, demand=demand)))
    assert a is not None
    assert b is not None
    mine = a.rows == 0
    assert mine.sum() == 3
    for name, values in a.members.items():
        np.testing.assert_allclose(b.members[name][mine], values[mine], rtol=1e-4, atol=1e-4)
        assert not np.allclose(b.members[name][~mine], values[~mine], rtol=1e-4, atol=1e-4)  # its likes do hear of it


def test_work_on_a_large_retailer_is_bounded_and_drawn_by_the_seed(
    retailer_panel: Panel, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "_MOST_ROWS", 30)
    a, b, c = (forecast(retailer_panel, origin, seed=s).fresh for s in (7, 7, 8))
    assert a is not None
    assert b is not None
    assert c is not None
    assert len(a.rows) == 30
    assert len(np.unique(a.rows)) == 10
    np.testing.assert_array_equal(a.rows, b.rows)
    assert not np.array_equal(a.rows, c.rows)


def test_series_that_the_production_tier_serves_are_not_forecast_as_new(retailer_panel: Panel, origin: int) -> None:
    assert forecast(retailer_panel, origin, Tier.PRODUCTION).fresh is None


def test_a_fold_without_observed_demand_has_none(retailer_panel: Panel, origin: int) -> None:
    demand = retailer_panel.demand.copy()
    demand[:, origin + 1 :] = np.nan
    assert forecast(replace(retailer_panel, demand=demand), origin).fresh is None
