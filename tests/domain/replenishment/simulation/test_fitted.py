"""What our own forecasts see of a replay: the history, the policy's own sales up to yesterday, and what is planned."""

import numpy as np

from shelfops_pipeline.contracts.columns import OPEN, PRICE, Grain
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.replenishment.simulation.fitted import shown
from shelfops_pipeline.replenishment.simulation.stock_room import Seen

HISTORY, TODAY, HORIZON, PLANNED = 20, 24, 3, 40


def retailer() -> Panel:
    """Two series, whose history ends on day 20; the store is closed on day 22."""
    demand = np.full((2, PLANNED), np.nan, np.float32)
    demand[:, :HISTORY] = np.arange(HISTORY)
    opened = np.ones((2, PLANNED), np.float32)
    opened[:, 22] = 0
    return Panel(
        dataset="shop",
        grain=Grain.DAY,
        store_ids=np.array(["s", "s"]),
        item_ids=np.array(["a", "b"]),
        dates=np.datetime64("2025-03-03") + np.arange(PLANNED),
        n_observed=HISTORY,
        demand=demand,
        state=np.where(np.isfinite(demand), State.OBSERVED, State.FUTURE).astype(np.uint8),
        channels={OPEN: opened, PRICE: np.tile(np.arange(PLANNED, dtype=np.float32), (2, 1))},
    )


def seen() -> Seen:
    """On the morning of day 24; what stands on later days must not be looked at."""
    sales = np.full((2, PLANNED), 99, np.int64)
    sales[:, HISTORY:TODAY] = [[5, 6, 0, 7], [1, 2, 0, 3]]
    sold_out = np.zeros(sales.shape, bool)
    sold_out[0, 21] = True
    return Seen(TODAY, sales, sold_out, np.zeros(2, np.int64), np.zeros(2, np.int64))


def test_a_model_sees_its_policys_sales_up_to_yesterday_and_nothing_that_was_censored() -> None:
    panel = shown(retailer(), seen(), HORIZON)
    assert (panel.n_observed, panel.n_periods) == (TODAY, TODAY + HORIZON)
    np.testing.assert_array_equal(panel.demand[:, :HISTORY], retailer().demand[:, :HISTORY])
    nan = np.nan
    np.testing.assert_array_equal(panel.demand[:, HISTORY:], [[5, nan, nan, 7, *[nan] * 3], [1, 2, nan, 3, *[nan] * 3]])
    ahead = [State.FUTURE] * HORIZON
    assert panel.state[0, HISTORY:].tolist() == [State.OBSERVED, State.STOCKOUT, State.CLOSED, State.OBSERVED, *ahead]
    assert panel.state[1, HISTORY:].tolist() == [State.OBSERVED, State.OBSERVED, State.CLOSED, State.OBSERVED, *ahead]


def test_plans_are_known_as_far_as_the_horizon() -> None:
    panel = shown(retailer(), seen(), HORIZON)
    assert panel.dates[-1] == retailer().dates[TODAY + HORIZON - 1]
    for name, values in panel.channels.items():
        np.testing.assert_array_equal(values, retailer().channels[name][:, : TODAY + HORIZON], err_msg=name)
