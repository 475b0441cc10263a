"""A retailer of twelve series with real bundles, published to a real warehouse, behind a real server."""

import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from shelfops_pipeline.contracts.bundle import CALIBRATION, MANIFEST, Manifest
from shelfops_pipeline.contracts.columns import (
    HOLIDAY,
    ITEM_ID,
    ON_PROMOTION,
    OPEN,
    PRICE,
    STORE_ID,
    Grain,
    Tier,
)
from shelfops_pipeline.data.panel import Panel, State, Static
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.bundle import Trained, sha256, write_bundle
from shelfops_pipeline.models.calibrate import fit_calibration, horizon_blocks
from shelfops_pipeline.models.fit import fit_members
from shelfops_pipeline.models.fold import FoldForecast
from shelfops_pipeline.models.recipe import default_recipe
from shelfops_pipeline.models.serve import reconciled_state
from shelfops_pipeline.models.totals import Totals
from shelfops_pipeline.store.engine import for_database, open_engine
from shelfops_pipeline.store.reference import replace_reference
from tests.api.support import (
    CHALLENGER,
    CHAMPION,
    COLD,
    DATASET,
    DAYS,
    HORIZON,
    SHORT_HISTORY,
    Retailer,
    api_settings,
    edit_manifest,
    item_categories,
    promote,
    publish,
    served,
)


def _panel() -> Panel:
    rng = np.random.default_rng(3)
    stores, items = np.array(["S0", "S1", "S2"]), np.array(["BREAD/BAKERY", "milk", "Käse", "eggs"])
    S, T = len(stores) * len(items), DAYS + HORIZON
    dates = np.datetime64("2025-01-06") + np.arange(T)
    promo = (rng.random((S, T)) < 0.15).astype(np.float32)
    price = np.round(2 - 0.4 * promo + 0.1 * rng.random((S, 1)), 2).astype(np.float32)
    open_ = np.ones((S, T), dtype=np.float32)
    open_[:4, np.arange(T) % 7 == 6] = 0  # the first store is closed on Sundays
    warmth = np.broadcast_to(np.sin(np.arange(T) / 30), (S, T)).astype(np.float32)
    week = 1 + 0.4 * np.sin(2 * np.pi * np.arange(T) / 7)
    rate = rng.uniform(10, 80, (S, 1)) * week * (1 + 0.8 * promo) * (1 + 0.3 * warmth)
    # Kilograms: quantiles of whole units would jump where two backends differ by a rounding error.
    demand = np.where(open_ > 0, 0.3 * rng.poisson(rate), np.nan).astype(np.float32)
    state = np.where(open_ > 0, State.OBSERVED, State.CLOSED).astype(np.uint8)
    demand[SHORT_HISTORY:, : DAYS - 20] = np.nan
    state[SHORT_HISTORY:, : DAYS - 20] = State.NOT_LISTED
    demand[:, DAYS:], state[:, DAYS:] = np.nan, State.FUTURE
    store_of, item_of = np.repeat(np.arange(3), 4).astype(np.int32), np.tile(np.arange(4), 3).astype(np.int32)
    return Panel(
        dataset=DATASET,
        grain=Grain.DAY,
        store_ids=stores[store_of],
        item_ids=items[item_of],
        dates=dates,
        n_observed=DAYS,
        demand=demand,
        state=state,
        channels={
            OPEN: open_,
            ON_PROMOTION: promo,
            PRICE: price,
            HOLIDAY: (np.arange(T) % 50 == 0) * np.ones((S, 1), np.float32),
            "warmth": warmth,
        },
        static={
            STORE_ID: Static(store_of, tuple(stores)),
            ITEM_ID: Static(item_of, tuple(items)),
            "category": Static(item_of // 2, ("bakery", "chilled")),
        },
        holiday_kinds=("public",),
    )


def _train(panel: Panel, tier: Tier) -> Trained:
    recipe = default_recipe(panel, tier, HORIZON, seed=7, effort=0.03)
    origin = panel.n_observed - 1 - HORIZON
    known = panel.as_of(origin, HORIZON)
    members = fit_members(known, recipe)
    totals = Totals.of(known, HORIZON)
    assert totals is not None
    state = StateBuilder(panel, recipe.spec, recipe.transform, members.channel_scales).at(origin)
    forecasts = members.predict(state)
    state = replace(state, shift=totals.shifts(forecasts))
    fold = FoldForecast(origin, state, forecasts, panel.demand[:, origin + 1 : panel.n_observed], totals.groups)
    blocks = horizon_blocks(HORIZON, recipe.spec.short)
    calibration = fit_calibration([fold], recipe.transform, recipe.integer_demand, blocks)
    return Trained(recipe, members, calibration, {"mae": 2.5, "mape": None})


def _state(panel: Panel, trained: Trained) -> SeriesState:
    return reconciled_state(panel, ServedModel("", trained.members, trained.calibration))


def _challenger(models: Path, trained: Trained) -> Trained:
    """v3: v2 with half as much demand again, so that the two cannot be taken for each other."""
    better = replace(trained, calibration=replace(trained.calibration, bias=1.5 * trained.calibration.bias))
    folder = models / CHALLENGER
    shutil.copytree(models / CHAMPION, folder)
    (folder / CALIBRATION).write_text(better.calibration.to_json())
    sums = Manifest.model_validate_json((folder / MANIFEST).read_text()).sha256
    edit_manifest(folder, version=CHALLENGER, sha256=sums | {CALIBRATION: sha256(folder / CALIBRATION)})
    return better


@pytest.fixture(scope="session")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """Trained once per session; tests that change bundles work on `models_copy`."""
    models = tmp_path_factory.mktemp("retailer") / "models"
    panel = _panel()
    trained = {COLD: _train(panel, Tier.COLD_START), CHAMPION: _train(panel, Tier.PRODUCTION)}
    states = {version: _state(panel, t) for version, t in trained.items()}
    with warnings.catch_warnings():
        # Keras 3.15 on NumPy 2.4, while it saves and exports.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        warnings.filterwarnings("ignore", "In the future `np.object` will be", FutureWarning)
        for version, t in trained.items():
            write_bundle(models / version, version, panel, t, states[version])
    trained[CHALLENGER], states[CHALLENGER] = _challenger(models, trained[CHAMPION]), states[CHAMPION]
    promote(models)
    native = {v: ServedModel(v, t.members, t.calibration) for v, t in trained.items()}
    return Retailer(models, panel, native, states)


@pytest.fixture(scope="session")
def published_url(postgres_server: str, migrated_template: str, retailer: Retailer) -> str:
    """A warehouse with two releases, v2+v1 and v3+v1. Tests only read it."""
    admin = open_engine(postgres_server).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE api_tests TEMPLATE {migrated_template}"))
    admin.dispose()
    url = for_database(postgres_server, "api_tests")
    engine = open_engine(url)
    for champion in (CHAMPION, CHALLENGER):
        publish(engine, retailer, champion)
    replace_reference(engine, DATASET, items=item_categories(retailer))
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def api(retailer: Retailer, published_url: str) -> Iterator[httpx.Client]:
    """A client of the API on the published retailer."""
    with served(api_settings(retailer.models.parent, published_url, api_max_batch=20)) as client:
        yield client


@pytest.fixture
def models_copy(retailer: Retailer, tmp_path: Path) -> Path:
    """A copy of the models directory that a test may damage."""
    return Path(shutil.copytree(retailer.models, tmp_path / "home" / "models"))
