"""Opening that was read off the transactions is not known in advance, and a backtest must not see it."""

from pathlib import Path

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import OPEN, Grain
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel, expected_opening
from shelfops_pipeline.data.source import Reference


def _panel() -> Panel:
    """One store, closed on Sundays, and on the Wednesday of the last week by surprise."""
    days = pd.date_range("2024-01-01", periods=42)
    traded = days[(days.dayofweek < 6) & (days != pd.Timestamp("2024-02-07"))]
    demand = pd.DataFrame({"date": traded, "store_id": "a", "item_id": "x", "quantity": 3.0})
    reference = Reference(
        stores=pd.DataFrame({"store_id": ["a"]}),
        items=pd.DataFrame({"item_id": ["x"]}),
        calendar=pd.DataFrame({"date": [], "scope": [], "name": [], "kind": []}),
    )
    return build_panel("test", Grain.DAY, "zero", demand, reference)


def test_a_later_surprise_is_hidden_and_the_weekly_day_off_expected() -> None:
    panel = _panel()
    wednesday, sunday = 37, 34
    assert panel.inferred_opening
    assert panel.channels[OPEN][0, wednesday] == 0
    known = panel.as_of(30, 10)
    assert known.channels[OPEN][0, wednesday] == 1
    assert known.channels[OPEN][0, sunday] == 0
    np.testing.assert_array_equal(known.channels[OPEN][:, :31], panel.channels[OPEN][:, :31])


def test_a_saved_panel_still_knows_that_its_opening_was_inferred(tmp_path: Path) -> None:
    _panel().save(tmp_path / "panel")
    assert Panel.load(tmp_path / "panel").inferred_opening


def test_a_store_that_never_traded_is_expected_to_open() -> None:
    assert (expected_opening(np.zeros((1, 20), np.float32), 9, 7) == 1).all()


def test_nothing_ahead_is_an_empty_schedule() -> None:
    assert expected_opening(np.ones((2, 20), np.float32), 0, 7).shape == (2, 0)
