"""Forecasts to hold ours against: the seasonal naive one, which anybody can make, and the truth, which nobody can."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import QUANTILES
from shelfops_pipeline.replenishment.demand import Demand
from shelfops_pipeline.replenishment.simulation.stock_room import Seen
from shelfops_pipeline.replenishment.simulation.world import World

Doubles = NDArray[np.float64]

SEASON: Final = 7
_QUARTER: Final = 13  # seasons


@dataclass(frozen=True)
class TrueRate:
    """The rate and variance that the simulated customers are drawn with: what a perfect forecast would be worth."""

    world: World
    horizon: int

    def forecast(self, seen: Seen) -> Demand:
        """Days are independent, but for what a store's shock has in common."""
        ahead = slice(seen.today, seen.today + self.horizon)
        return normal_demand(self.world.rate[:, ahead], np.sqrt(self.world.variance[:, ahead]), correlation=0.0)


@dataclass(frozen=True)
class SeasonalNaive:
    """The last day of the same weekday that was not sold out; as sure as it was over the last quarter."""

    world: World
    horizon: int

    def forecast(self, seen: Seen) -> Demand:
        """0 where the store will be closed."""
        past = slice(max(seen.today - _QUARTER * SEASON, 0), seen.today)
        width = past.stop - past.start
        width -= width % SEASON
        past = slice(past.stop - width, past.stop)
        told = ~seen.sold_out[:, past] & self.world.trades[:, past]
        y = np.where(told, seen.sales[:, past], np.nan).reshape(len(told), -1, SEASON)
        latest = _latest(y)
        deviation = np.sqrt(_mean((y[:, 1:] - y[:, :-1]) ** 2, (1, 2)))
        ahead = slice(seen.today, seen.today + self.horizon)
        opens = self.world.trades[:, ahead]
        mean = np.tile(latest, -(-self.horizon // SEASON))[:, : self.horizon] * opens
        return normal_demand(mean, deviation[:, None] * opens)


def normal_demand(mean: Doubles, deviation: Doubles, **more: float) -> Demand:
    """Demand [n, H] whose quantiles lie as those of a normal distribution do, also below 0: their distance counts."""
    z = np.array([NormalDist().inv_cdf(q) for q in QUANTILES])
    quantiles = mean[..., None] + deviation[..., None] * z
    return Demand(mean.astype(np.float32), quantiles.astype(np.float32), **more)


def _latest(y: Doubles) -> Doubles:
    """[n, season] the last known value of each position of [n, seasons, season]; the mean of the series where none."""
    known = np.isfinite(y)
    back = np.argmax(known[:, ::-1], axis=1)
    last = np.take_along_axis(y[:, ::-1], back[:, None], axis=1)[:, 0]
    return np.where(known.any(axis=1), last, np.nan_to_num(_mean(y, (1, 2)))[:, None])


def _mean(y: Doubles, axis: tuple[int, ...]) -> Doubles:
    """Of what is known; 0 where nothing is."""
    known = np.isfinite(y)
    return np.asarray(np.where(known, y, 0).sum(axis=axis) / np.maximum(known.sum(axis=axis), 1))
