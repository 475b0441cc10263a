"""Fit the members of a tier on everything a panel shows."""

from collections.abc import Callable
from typing import Any

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.create import create_features, create_windows
from shelfops_pipeline.inference.backends import NativeBackend
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.lstm import fit_lstm
from shelfops_pipeline.models.recipe import Recipe, channel_scales

Progress = Callable[[str], None]


def quiet(_: str) -> None:
    """A progress reporter that says nothing."""


def fit_members(panel: Panel, recipe: Recipe, progress: Progress = quiet) -> Members:
    """XGBoost and LSTM fitted one after the other (side by side they would fight for the cores).

    The panel must hold nothing after the origin that is to be forecast from: use `panel.as_of`.
    """
    spec, transform, seed = recipe.spec, recipe.transform, recipe.seed
    scales = channel_scales(panel)
    progress(f"{spec.tier}: features")
    rows = create_features(panel, spec, transform, scales, recipe.xgboost.max_rows, seed)
    progress(f"{spec.tier}: XGBoost on {len(rows.demand):,} rows")
    booster = fit_xgboost(rows, recipe)
    del rows
    windows = create_windows(panel, spec, transform, scales, recipe.lstm.max_windows, seed + 1)
    progress(f"{spec.tier}: LSTM on {len(windows.target):,} windows")
    cardinalities = {name: len(panel.static[name].categories) for name in spec.static}
    network = fit_lstm(windows, spec, cardinalities, recipe.lstm, transform, seed)
    return members_of(panel, recipe, booster, network)


def members_of(panel: Panel, recipe: Recipe, booster: Any, network: Any) -> Members:
    """Fitted models together with what their inputs depend on."""
    return Members(
        spec=recipe.spec,
        transform=recipe.transform,
        channel_scales=channel_scales(panel),
        static_categories={name: panel.static[name].categories for name in recipe.spec.static},
        holiday_kinds=panel.holiday_kinds,
        backend=NativeBackend(booster, network),
    )
