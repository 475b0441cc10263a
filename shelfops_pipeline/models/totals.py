"""Totals forecast at their own level, and how far the members' sums lie from them.

A model of single series is fitted to noise that is mostly theirs; its sums inherit whatever level it drifted to. A
booster fitted to the totals themselves sees their level, weekday, payday and year. The members are then moved part of
the way (`Calibration.trust`, fitted on folds) towards it: forecast combination in a two-level hierarchy (Bates and
Granger 1969; Hyndman et al. 2011). The totals' model is fitted when a forecast is made, from what is known then.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS, Transform
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.features.totals import Groups, sum_by, totals_of
from shelfops_pipeline.inference.backends import NativeBackend
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.recipe import Recipe, channel_scales, default_recipe

Floats = NDArray[np.float32]

_MOST_ROWS = 150_000
_SEED = 0  # always the same: what a champion forecasts depends on it and on the data only
_FURTHEST = np.log(3.0)  # a sum further than this from its total's forecast is another quantity
_LEAST = 0.1  # units: smaller sums are as good as none


@dataclass(frozen=True)
class Totals:
    """Forecast of G totals over H periods, and the total that each of S series is part of."""

    groups: Groups
    forecast: Floats
    """[G, H] units"""

    def shift(self, member: Floats) -> Floats:
        """[S, H] log of the total's forecast over the sum of this member's [S, H]; 0 where either is nothing."""
        summed = sum_by(member, self.groups)
        usable = (summed > _LEAST) & (self.forecast > _LEAST)
        ratio = np.divide(self.forecast, summed, out=np.ones_like(summed), where=usable)
        shift = np.clip(np.log(ratio), -_FURTHEST, _FURTHEST).astype(np.float32)
        return shift[self.groups]

    def shifts(self, members: dict[str, Floats]) -> Floats:
        """[S, M, H] the shift of each member."""
        return np.stack([self.shift(members[name]) for name in MEMBERS], axis=1)

    @classmethod
    def of(cls, panel: Panel, horizon: int) -> Self | None:
        """Fit the totals of a panel and forecast them from its last observed period; None where there are none to
        speak of, or too little of them to learn from. Only what the panel shows is used."""
        found = totals_of(panel)
        if found is None:
            return None
        totals, groups = found
        try:
            return cls(groups, _forecast(totals, horizon))
        except NotEnoughHistoryError:
            return None


def _forecast(totals: Panel, horizon: int) -> Floats:
    recipe = totals_recipe(totals, horizon)
    spec, transform, scales = recipe.spec, recipe.transform, channel_scales(totals)
    rows = create_features(totals, spec, transform, scales, recipe.xgboost.max_rows, _SEED)
    booster = fit_xgboost(rows, recipe)
    categories = {name: totals.static[name].categories for name in spec.static}
    members = Members(spec, transform, scales, categories, totals.holiday_kinds, NativeBackend(booster, None))
    state = StateBuilder(totals, spec, transform, scales).at(totals.n_observed - 1)
    return members.predict(state, ("xgboost",))["xgboost"]


def totals_recipe(totals: Panel, horizon: int) -> Recipe:
    """The default recipe of the tier that the totals' history allows, on logarithms: sums are seldom 0."""
    production = default_recipe(totals, Tier.PRODUCTION, horizon, _SEED)
    enough = totals.n_observed >= production.spec.min_history
    recipe = production if enough else default_recipe(totals, Tier.COLD_START, horizon, _SEED)
    transform: Transform = "log"
    boost = recipe.xgboost.model_copy(update={"max_rows": min(recipe.xgboost.max_rows, _MOST_ROWS)})
    return recipe.model_copy(update={"transform": transform, "xgboost": boost})
