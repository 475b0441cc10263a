"""A recipe: everything that decides how a tier is trained. Two fits of one recipe on one panel are identical."""

from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.spec import TierSpec, tier_spec
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.errors import NotEnoughHistoryError

LEAST_PERIODS: Final = 14
"""Fewest observed periods to train on."""
_COUNT_ZERO_SHARE = 0.2  # above it, whole-unit demand is modelled as counts rather than on a log scale
# Of 250 and of 320 rounds. Windows of a short history overlap: m5 (152 days) is fitted best by little more than half of
# what rossmann (900 days) takes (WRMSSE on two folds 0.495 and 0.535 against 0.514 and 0.586).
_RATE_SMALL, _RATE, _RATE_SHORT = 0.06, 0.07, 0.04
# Trees whose mean is one round, on few rows: four lowered RMSLE on each of three favorita folds, by 0.6 to 1.9 %; four
# boosters with seeds of their own did no better, and a bundle would have to hold them all.
_TREES_SMALL = 4
# One window of the network for so many observed cells: with 20, favorita gave it 190 steps of learning and RMSLE 0.426,
# 0.434, 0.409 and 0.419 on four folds; with 7, 0.413, 0.421, 0.398 and 0.423. Smaller batches did less.
_CELLS_PER_WINDOW = 7
_FASTEST_RATE = 0.1  # at 0.14, a booster on m5 was a tenth too high in total; at 0.07 it was within a hundredth


class XgboostRecipe(BaseModel):
    """Sizes are for effort 1; see `Recipe.scaled`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rows: int = Field(description="Training rows, a sample of series x origin x horizon")
    rounds: int
    learning_rate: float
    max_depth: int
    max_leaves: int
    min_child_weight: float
    subsample: float
    colsample_bytree: float
    trees_per_round: int = 1
    max_bin: int = 256


class LstmRecipe(BaseModel):
    """A bounded number of windows, so that the network never dominates a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_windows: int
    epochs: int
    units: int = 64
    embedding: int = 8
    batch_size: int = 256
    learning_rate: float = 2e-3


class Recipe(BaseModel):
    """How to train one tier on one retailer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: TierSpec
    transform: Transform
    integer_demand: bool
    seed: int
    xgboost: XgboostRecipe
    lstm: LstmRecipe
    tuned: str | None = Field(None, description="What `shelfops tune` chose, and how far it saw; None: the defaults")

    def scaled(self, effort: float) -> Self:
        """The same recipe with more or less work: rows, rounds (at a learning rate to match), windows and epochs."""
        boost, net = self.xgboost, self.lstm
        rounds = max(round(boost.rounds * effort), 20)
        rate = min(boost.learning_rate * boost.rounds / rounds, _FASTEST_RATE)
        return self.model_copy(
            update={
                "xgboost": boost.model_copy(
                    update={
                        "max_rows": round(boost.max_rows * effort),
                        "rounds": rounds,
                        "learning_rate": round(rate, 4),
                    }
                ),
                "lstm": net.model_copy(
                    update={
                        "max_windows": round(net.max_windows * effort),
                        "epochs": max(round(net.epochs * min(effort, 1)), 2),
                    }
                ),
            }
        )

    @property
    def kind(self) -> str:
        """What distinguishes recipes apart from sizes that follow the data and the effort: equal kinds train alike."""
        sizes = {
            "xgboost": {"max_rows", "rounds", "learning_rate", "trees_per_round"},
            "lstm": {"max_windows", "epochs"},
        }
        return self.model_dump_json(exclude=sizes | {"tuned": True})

    def parameters(self) -> dict[str, float | int | str | bool | None]:
        """Flat hyperparameters, for the manifest and the experiment tracker."""
        flat: dict[str, float | int | str | bool | None] = {
            "transform": self.transform,
            "tier": self.spec.tier.value,
            "grain": self.spec.grain.value,
            "tuned": self.tuned or "no",
        }
        flat |= {f"xgboost_{k}": v for k, v in self.xgboost.model_dump().items()}
        flat |= {f"lstm_{k}": v for k, v in self.lstm.model_dump().items()}
        return flat | {"horizon": self.spec.horizon, "encoder_length": self.spec.encoder_length}


def choose_transform(panel: Panel) -> tuple[Transform, bool]:
    """(transform, integer demand) from the observed demand: intermittent whole units are counts."""
    observed = np.asarray(panel.demand[:, : panel.n_observed])
    observed = observed[np.isfinite(observed)]
    if observed.size == 0:
        raise NotEnoughHistoryError(f"{panel.dataset}: no observed demand in {panel.n_observed} periods")
    integer = bool((observed == np.round(observed)).all())
    zero_share = float((observed == 0).mean())
    return ("count" if integer and zero_share >= _COUNT_ZERO_SHARE else "log"), integer


def default_recipe(panel: Panel, tier: Tier, horizon: int, seed: int, effort: float = 1.0) -> Recipe:
    """Sensible sizes for this much data. Raises NotEnoughHistoryError below two weeks of periods."""
    if panel.n_observed < LEAST_PERIODS:
        raise NotEnoughHistoryError(
            f"{panel.dataset}: {panel.n_observed} observed periods; at least {LEAST_PERIODS} are needed to train"
        )
    transform, integer = choose_transform(panel)
    spec = tier_spec(
        tier,
        panel.grain,
        horizon,
        panel.n_observed,
        panel.known_ahead,
        tuple(sorted(panel.past)),
        tuple(panel.static),
    )
    cells = int((np.asarray(panel.state[:, : panel.n_observed]) == State.OBSERVED).sum())
    rows = int(np.clip(cells * 1.5, 20_000, 700_000 if tier is Tier.PRODUCTION else 500_000))
    small = rows < 200_000
    boost = XgboostRecipe(
        max_rows=rows,
        rounds=250 if small else 320,
        learning_rate=_RATE_SMALL if small else _RATE if spec.full_year else _RATE_SHORT,
        max_depth=8 if small else 9,
        max_leaves=64 if small else 160,
        min_child_weight=10 if small else 40,
        subsample=0.8,
        colsample_bytree=0.5,
        trees_per_round=_TREES_SMALL if small else 1,
    )
    windows = int(np.clip(cells // _CELLS_PER_WINDOW, 2_000, 30_000))
    net = LstmRecipe(max_windows=windows, epochs=16)
    recipe = Recipe(spec=spec, transform=transform, integer_demand=integer, seed=seed, xgboost=boost, lstm=net)
    return recipe if effort == 1 else recipe.scaled(effort)


def channel_scales(panel: Panel) -> dict[str, tuple[float, float]]:
    """(mean, standard deviation) of each channel over the observed history; a constant channel has deviation 1."""
    out: dict[str, tuple[float, float]] = {}
    for name, values in panel.channels.items():
        seen = np.asarray(values[:, : panel.n_observed])
        seen = seen[np.isfinite(seen)]
        std = float(seen.std(dtype=np.float64)) if seen.size else 0.0
        out[name] = (float(seen.mean(dtype=np.float64)) if seen.size else 0.0, std if std > 0 else 1.0)
    return out
