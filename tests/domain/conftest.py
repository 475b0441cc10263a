"""A small simulated retailer with fitted models, made once per session: tests of the numerical core only read it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.sources.simulated import Simulated
from shelfops_pipeline.evaluation.backtest import Backtest, actuals, calibrate, run_backtest
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.evaluation.report import headline, metrics_table
from shelfops_pipeline.models.bundle import Trained, write_bundle
from shelfops_pipeline.models.fit import fit_members
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.recipe import Recipe, default_recipe
from shelfops_pipeline.models.serve import origin_state
from shelfops_pipeline.settings import Settings
from tests.domain.support import tiny

HORIZON = 14


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numerical core is tested with default settings, whatever an earlier test or the shell has set."""
    for name in set(Settings.model_fields):
        monkeypatch.delenv(f"SHELFOPS_{name.upper()}", raising=False)


@contextmanager
def keras_saving() -> Iterator[None]:
    """Keras 3.15 on NumPy 2.4 warns while it saves and exports a model."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        warnings.filterwarnings("ignore", "In the future `np.object` will be", FutureWarning)
        yield


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """Four stores, twenty items, 300 days; clean rows."""
    return Simulator(stores=4, items=20, days=300, seed=7, dirt=0.0, future_days=30)


@pytest.fixture(scope="session")
def retailer_panel(simulator: Simulator) -> Panel:
    """Its panel: about seventy series, volumes."""
    return load_panel(Simulated(simulator), max_quarantined_share=0.01).panel


@pytest.fixture(scope="session")
def rare_panel(retailer_panel: Panel) -> Panel:
    """The same retailer with a tenth of the demand: counts, with many zeros."""
    demand = np.nan_to_num(retailer_panel.demand, nan=0).astype(np.int64)
    thinned = np.random.default_rng(1).binomial(demand, 0.1).astype(np.float32)
    return replace(retailer_panel, demand=np.where(np.isfinite(retailer_panel.demand), thinned, np.float32(np.nan)))


@pytest.fixture(scope="session")
def one_thread() -> None:
    """XGBoost on one thread: on data this small, threads that wait for each other cost more than they do."""
    import xgboost

    xgboost.set_config(nthread=1)


@pytest.fixture(scope="session")
def recipes(retailer_panel: Panel, one_thread: None) -> dict[Tier, Recipe]:
    """One tiny recipe per tier."""
    return {tier: tiny(default_recipe(retailer_panel, tier, HORIZON, seed=7)) for tier in Tier}


@pytest.fixture(scope="session")
def backtest(retailer_panel: Panel, recipes: dict[Tier, Recipe]) -> Backtest:
    """Both tiers over two disjoint folds."""
    return run_backtest(retailer_panel, recipes, fold_origins(retailer_panel, HORIZON, 2, season=7))


@pytest.fixture(scope="session")
def trained_log(retailer_panel: Panel, recipes: dict[Tier, Recipe], backtest: Backtest) -> Trained:
    """The production tier, fitted on all of the panel."""
    recipe = recipes[Tier.PRODUCTION]
    metrics = headline(metrics_table(backtest), Tier.PRODUCTION)
    calibration = backtest.calibrations[Tier.PRODUCTION]
    return Trained(recipe, fit_members(retailer_panel, recipe), calibration, metrics)


@pytest.fixture(scope="session")
def trained_count(rare_panel: Panel, one_thread: None) -> Trained:
    """A cold-start tier of counts, fitted up to one horizon before the end."""
    recipe = tiny(default_recipe(rare_panel, Tier.COLD_START, HORIZON, seed=7))
    origin = rare_panel.n_observed - 1 - HORIZON
    members = fit_members(rare_panel.as_of(origin, HORIZON), recipe)
    state = origin_state(rare_panel, members, origin)
    fold = FoldForecast(origin, state, members.predict(state), actuals(rare_panel, origin, HORIZON))
    return Trained(recipe, members, calibrate([fold], recipe), {"mae": 1.0, "mape": None})


@pytest.fixture(scope="session")
def bundles(
    tmp_path_factory: pytest.TempPathFactory,
    retailer_panel: Panel,
    rare_panel: Panel,
    trained_log: Trained,
    trained_count: Trained,
) -> dict[str, Path]:
    """The two as bundles on disk, by transform; copy one before damaging it."""
    models = tmp_path_factory.mktemp("domain") / "models"
    folders = {"log": models / "v1", "count": models / "v2"}
    for panel, trained, folder in (
        (retailer_panel, trained_log, folders["log"]),
        (rare_panel, trained_count, folders["count"]),
    ):
        state = origin_state(panel, trained.members, panel.n_observed - 1)
        with keras_saving():
            write_bundle(folder, folder.name, panel, trained, state)
    return folders
