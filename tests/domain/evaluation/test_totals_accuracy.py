"""The error budget of totals: four months of items, in a season that only the longer history of stores has seen."""

from dataclasses import replace

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import actuals
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.features.totals import sum_by
from shelfops_pipeline.inference.backends import NativeBackend
from shelfops_pipeline.inference.calibration import reconciled
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.recipe import channel_scales, default_recipe
from shelfops_pipeline.models.totals import Totals
from shelfops_pipeline.models.trust import fit_trust
from tests.domain.support import chain_panel, tiny, with_store_totals

H = 14
BLOCKS = (7, 14)
BUDGET = 0.85  # measured 0.74 over both chains; 0.67 to 0.89 on single ones


def seasonal_chain(seed: int, periods: int = 120, years_before: int = 730) -> Panel:
    """Thirty slow series in three stores whose sales fall by half and double again in the course of every year."""
    panel = with_store_totals(chain_panel(items=10, periods=periods, seed=seed), extra=years_before)
    assert panel.store_totals is not None
    rng, totals = np.random.default_rng(seed), panel.store_totals
    day = np.arange(totals.n_periods) - years_before
    rhythm = (1 + 0.5 * np.sin(2 * np.pi * (day - periods + 30) / 365.25)) * (1 + 0.5 * np.sin(2 * np.pi * day / 7))
    rate = rng.lognormal(0, 0.8, (panel.n_series, 1))
    demand = rng.poisson(rate * rhythm[years_before:]).astype(np.float32)
    demand[np.isnan(panel.demand)] = np.nan
    stores = np.asarray(panel.static["store_id"].codes, dtype=np.intp)
    sold = rng.poisson(sum_by(rate, stores) * rhythm).astype(np.float32)
    sold[:, years_before:] = sum_by(demand, stores)
    sold[np.isnan(totals.demand)] = np.nan
    return replace(panel, demand=demand, store_totals=replace(totals, demand=sold))


def fold(panel: Panel, origin: int) -> FoldForecast:
    """What a booster of the series says at the origin (of both members: an LSTM takes longer than this test may), and
    how far that is from the totals' own forecast."""
    known = panel.as_of(origin, H)
    recipe = tiny(default_recipe(known, Tier.PRODUCTION, H, seed=7))
    spec, transform, scales = recipe.spec, recipe.transform, channel_scales(known)
    booster = fit_xgboost(create_features(known, spec, transform, scales, recipe.xgboost.max_rows, recipe.seed), recipe)
    members = Members(spec, transform, scales, {}, known.holiday_kinds, NativeBackend(booster, None))
    state = StateBuilder(known, spec, transform, scales).at(origin)
    forecast = members.predict(state, ("xgboost",))["xgboost"]
    totals = Totals.of(known, H)
    assert totals is not None
    both = {"xgboost": forecast, "lstm": forecast}
    state = replace(state, shift=totals.shifts(both))
    return FoldForecast(origin, state, both, actuals(panel, origin, H), totals.groups)


def level_error(f: FoldForecast, members: dict[str, np.ndarray], stores: np.ndarray) -> float:
    """Mean over stores of |log(forecast / sold)| of the whole horizon."""
    forecast = sum_by(np.where(f.scored, members["xgboost"], 0), stores).sum(axis=1)
    return float(np.abs(np.log(forecast / sum_by(np.where(f.scored, f.actual, 0), stores).sum(axis=1))).mean())


@pytest.mark.usefixtures("one_thread")
def test_sums_are_nearer_the_truth_after_they_were_moved_as_far_as_other_folds_say() -> None:
    before, after = [], []
    for seed in (1, 2):
        panel = seasonal_chain(seed)
        stores = np.asarray(panel.static["store_id"].codes, dtype=np.intp)
        folds = [fold(panel, panel.n_observed - 1 - H * k) for k in (3, 2, 1)]
        for k, f in enumerate(folds):
            trust = fit_trust([*folds[:k], *folds[k + 1 :]], BLOCKS)
            assert 0 < trust.min() <= trust.max() <= 1
            moved = reconciled(f.members, f.state.shift, trust, np.searchsorted(BLOCKS, np.arange(1, H + 1)))
            before.append(level_error(f, f.members, stores))
            after.append(level_error(f, moved, stores))
    assert np.mean(after) < BUDGET * np.mean(before), (before, after)
    assert max(after) < max(before)
