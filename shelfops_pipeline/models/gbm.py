"""The gradient-boosted member: one XGBoost booster for all series and horizons of a tier."""

from typing import Any

import numpy as np

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.features.create import FeatureRows
from shelfops_pipeline.models.recipe import XgboostRecipe

_TWEEDIE_POWER = 1.1  # close to Poisson, with room for over-dispersion


def fit_xgboost(rows: FeatureRows, recipe: XgboostRecipe, transform: Transform, seed: int) -> Any:
    """Fit a booster: `log` learns log1p(y) - base by squared error, `count` learns E[y] by Tweedie deviance.

    The number of rounds comes from the recipe; no scored fold is looked at to stop early. The GPU is used if present.
    """
    import xgboost

    label = np.log1p(rows.demand) - rows.base if transform == "log" else rows.demand
    data = xgboost.QuantileDMatrix(rows.matrix, label, max_bin=recipe.max_bin)
    objective: dict[str, Any] = {"objective": "reg:squarederror", "base_score": 0.0}
    if transform == "count":
        objective = {"objective": "reg:tweedie", "tweedie_variance_power": _TWEEDIE_POWER}
    params = objective | {
        "tree_method": "hist",
        "device": "cuda" if _gpu_present() else "cpu",
        "eta": recipe.learning_rate,
        "max_depth": recipe.max_depth,
        "max_leaves": recipe.max_leaves,
        "grow_policy": "lossguide",
        "min_child_weight": recipe.min_child_weight,
        "subsample": recipe.subsample,
        "colsample_bytree": recipe.colsample_bytree,
        "max_bin": recipe.max_bin,
        "seed": seed,
        "verbosity": 1,
    }
    booster = xgboost.train(params, data, recipe.rounds)
    booster.set_param({"device": "cpu"})  # predictions run on the host, wherever it was trained
    return booster


def _gpu_present() -> bool:
    import shutil

    import xgboost

    return bool(xgboost.build_info().get("USE_CUDA")) and shutil.which("nvidia-smi") is not None
