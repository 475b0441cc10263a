"""Series shown as if they were new: what the cold-start tier learns from."""

from dataclasses import replace

import numpy as np

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.features.arrays import Bools, Floats
from shelfops_pipeline.inference.state import SeriesState

_LEAST_SPREAD = 0.15  # log1p units: below it, noise of a few series would be blown up to full scale
_NEW_SPREAD = 0.7  # log1p units: typical spread of a series about which nothing is known
_KNOWN_OF_NEW = ("store_", "item_", "category_", "like_", "likes_", "static_", "price_")


def location(level: Floats, std: Floats, transform: Transform) -> dict[str, Floats]:
    """Centre and spread of a series' own scale, see `sequence.reference`."""
    if transform == "count":
        return {"center": np.log(np.maximum(level, 0) + 0.5), "spread": np.ones_like(level)}
    return {
        "center": level,
        "spread": np.where(np.isfinite(std), np.maximum(std, _LEAST_SPREAD), _NEW_SPREAD),
    }


def forget_history(state: SeriesState, rows: Bools, transform: Transform) -> SeriesState:
    """The state with the chosen series' own history unknown. Their likes are kept, and must be without them."""
    names = state.layout.scalars
    scalars = state.scalars.copy()
    own = np.array([not name.startswith(_KNOWN_OF_NEW) for name in names])
    scalars[np.ix_(rows, own)] = np.nan
    likes = scalars[:, names.index("likes_level")]
    fresh = location(likes, np.full_like(likes, np.nan), transform) | {
        "fallback_level": likes,
        "history": np.zeros_like(likes),
    }
    for name, values in fresh.items():
        scalars[rows, names.index(name)] = values[rows]
    seasonal, promo, encoder = state.seasonal.copy(), state.seasonal_promo.copy(), state.encoder.copy()
    tables = np.array([name != "category_seasonal" for name in state.layout.seasonal])
    seasonal[np.ix_(rows, tables)] = np.nan
    promo[rows] = np.nan
    encoder[rows, :, :2] = 0  # demand and its mask; what was open or on promotion is known of a new series too
    by_horizon = state.by_horizon.copy()
    by_horizon[rows] = np.nan
    return replace(
        state, scalars=scalars, seasonal=seasonal, seasonal_promo=promo, encoder=encoder, by_horizon=by_horizon
    )
