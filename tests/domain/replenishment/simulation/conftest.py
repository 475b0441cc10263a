"""A small simulated retailer behind the replays."""

import pytest

from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.replenishment.simulation.world import World, world_of


@pytest.fixture(scope="session")
def world() -> World:
    """28 series or so; 400 days of history, of which the last 120 are traded in the tests, and 100 more."""
    return world_of(Simulator(stores=2, items=14, days=400, seed=5, future_days=114))
