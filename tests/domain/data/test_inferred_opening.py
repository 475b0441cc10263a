"""Opening that was read off the transactions is not known in advance, and a backtest must not see it."""

from pathlib import Path

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import OPEN, Grain
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel, expected_opening
from shelfops_pipeline.data.source import Reference
from tests.domain.data.panel_by_hand import build, known, row


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
    assert panel.opening_inferred is not None
    assert panel.opening_inferred.all()
    assert panel.channels[OPEN][0, wednesday] == 0
    known = panel.as_of(30, 10)
    assert known.channels[OPEN][0, wednesday] == 1
    assert known.channels[OPEN][0, sunday] == 0
    np.testing.assert_array_equal(known.channels[OPEN][:, :31], panel.channels[OPEN][:, :31])


def test_a_saved_panel_still_knows_that_its_opening_was_inferred(tmp_path: Path) -> None:
    _panel().save(tmp_path / "panel")
    inferred = Panel.load(tmp_path / "panel").opening_inferred
    assert inferred is not None
    assert inferred.all()


def test_a_schedule_of_some_stores_is_known_in_advance_and_the_closures_of_the_others_are_not() -> None:
    days = {n: 3.0 for n in range(42) if n % 7 != 6 and n != 37}
    schedule = known(OPEN, [(n, float(n in days)) for n in range(42)], store_id=["a"] * 42)
    panel = build({("a", "x"): days, ("b", "x"): days}, covariates=[schedule])
    assert panel.opening_inferred is not None
    np.testing.assert_array_equal(panel.opening_inferred.any(axis=1), panel.store_ids == "b")
    np.testing.assert_array_equal(panel.channels[OPEN][0], panel.channels[OPEN][1])
    then = panel.as_of(30, 10)
    assert then.channels[OPEN][row(panel, "a", "x"), 37] == 0
    assert then.channels[OPEN][row(panel, "b", "x"), 37] == 1
    assert (then.channels[OPEN][:, 34] == 0).all()
    np.testing.assert_array_equal(
        then.take(slice(1, 2)).as_of(28, 9).channels[OPEN][0, 29:], [1, 1, 1, 1, 1, 0, 1, 1, 1]
    )


def test_a_store_that_never_traded_is_expected_to_open() -> None:
    assert (expected_opening(np.zeros((1, 20), np.float32), 9, 7) == 1).all()


def test_nothing_ahead_is_an_empty_schedule() -> None:
    assert expected_opening(np.ones((2, 20), np.float32), 0, 7).shape == (2, 0)
