"""Two tiny boosters over a real feature list: `log` learns log1p(y) - base, `count` a Tweedie mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.contracts.features import Feature, feature_list
from shelfops_pipeline.contracts.spec import tier_spec

WEEK = np.array([0.8, 0.85, 0.9, 1.0, 1.25, 1.5, 0.7])


@dataclass(frozen=True)
class Case:
    transform: Transform
    features: tuple[Feature, ...]
    booster: Any
    X: NDArray[np.float32]
    y: NDArray[np.float32]
    predicted: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.features)

    def column(self, name: str) -> NDArray[np.float32]:
        return self.X[:, self.names.index(name)]


def make_case(transform: Transform) -> Case:
    import xgboost

    log = transform == "log"
    spec = tier_spec(
        Tier.COLD_START, Grain.DAY, 14, 60, ("on_promotion", "price", "holiday"), (), ("store_id", "item_id")
    )
    features = feature_list(spec, log=log)
    at = {f.name: i for i, f in enumerate(features)}
    rng = np.random.default_rng(1)
    n = 1500
    level = np.exp(rng.normal(2, 0.8, n))
    X = rng.random((n, len(features))).astype(np.float32)
    for name in ("base", "level_7", "level_28", "last"):
        seen = level * np.exp(rng.normal(0, 0.2, n))
        X[:, at[name]] = np.log1p(seen) if log else seen
    X[:, at["weekday"]] = rng.integers(0, 7, n)
    X[:, at["promo"]] = rng.random(n) < 0.15
    X[:, at["horizon"]] = rng.integers(1, 15, n)
    X[:, at["history"]] = rng.integers(0, 60, n)
    X[:, at["price_to_mean"]] = rng.uniform(0.7, 1.2, n)
    X[:, at["static_store_id"]] = rng.integers(0, 3, n)
    X[rng.random(n) < 0.1, at["max_7"]] = np.nan
    mean = level * (1 + 0.8 * X[:, at["promo"]]) * WEEK[X[:, at["weekday"]].astype(int)] / X[:, at["price_to_mean"]]
    y = rng.poisson(mean).astype(np.float32)
    base = X[:, at["base"]]
    objective: dict[str, Any] = {"objective": "reg:squarederror", "base_score": 0.0}
    if not log:
        objective = {"objective": "reg:tweedie", "tweedie_variance_power": 1.1}
    data = xgboost.DMatrix(X, np.log1p(y) - base if log else y)
    booster = xgboost.train({**objective, "max_depth": 4, "eta": 0.2, "nthread": 1}, data, 40)
    raw = booster.predict(xgboost.DMatrix(X)).astype(np.float64)
    return Case(transform, features, booster, X, y, np.expm1(raw + base) if log else raw)


@pytest.fixture(scope="session", params=["log", "count"])
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


@pytest.fixture(scope="session")
def log_case() -> Case:
    return make_case("log")
