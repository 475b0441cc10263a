"""The live simulated retailer: a feed that moves on, with late and corrected rows."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Live
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.data.sources.simulated import Clock, LiveSimulated
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.ingestion.sync import changes
from shelfops_pipeline.settings import Settings

FIRST = date(2024, 3, 30)


@pytest.fixture
def live(tmp_path: Path) -> LiveSimulated:
    world = Simulator(stores=4, items=20, days=120, seed=3)
    return LiveSimulated(world, Clock(tmp_path / "clock.json", FIRST))


def test_each_advance_adds_one_day_and_is_remembered(live: LiveSimulated, tmp_path: Path) -> None:
    assert live.span()[1] == FIRST
    assert [live.advance(), live.advance()] == [FIRST + timedelta(days=1), FIRST + timedelta(days=2)]
    again = LiveSimulated(live.simulator, Clock(tmp_path / "clock.json", FIRST))
    assert again.span()[1] == FIRST + timedelta(days=2)


def test_nothing_after_today_is_seen_but_plans(live: LiveSimulated) -> None:
    today = pd.Timestamp(FIRST)
    far = FIRST + timedelta(days=60)
    reference = live.reference()
    assert live.transactions(date(2024, 1, 1), far)[c.TS].max() == today
    assert live.inventory(date(2024, 1, 1), far)[c.DATE].max() == today
    for frame in reference.covariates:
        planned = bool(frame[c.KNOWN_FUTURE].iloc[0])
        assert (frame[c.DATE].max() > today) == planned
        assert frame[c.DATE].max() <= today + pd.Timedelta(days=live.simulator.future_days)


def test_late_and_corrected_rows_arrive_with_the_days(live: LiveSimulated) -> None:
    start = FIRST - timedelta(days=7)
    seen = {"late": 0, "corrected": 0, "withdrawn": 0}
    before = live.transactions(start, FIRST)
    for _ in range(12):
        live.advance()
        after = live.transactions(start, FIRST)
        found = changes(before, after, live.rules.unique_key, live.grain)
        seen = {name: seen[name] + int(found[name].sum()) for name in seen}
        before = after
    truth = live.simulator.transactions
    inside = truth[(truth[c.TS] >= pd.Timestamp(start)) & (truth[c.TS] <= pd.Timestamp(FIRST))]
    assert seen["late"] > 0
    assert seen["corrected"] > 0
    assert seen["withdrawn"] == 0
    pd.testing.assert_frame_equal(before, inside.reset_index(drop=True))


def test_the_past_of_a_live_retailer_does_not_depend_on_the_day(live: LiveSimulated) -> None:
    early = live.transactions(date(2024, 1, 1), date(2024, 2, 1))
    for _ in range(3):
        live.advance()
    pd.testing.assert_frame_equal(live.transactions(date(2024, 1, 1), date(2024, 2, 1)), early)


def test_it_stops_with_a_clear_line_when_the_days_are_used_up(live: LiveSimulated) -> None:
    while live.advance() < live.simulator.end:
        pass
    with pytest.raises(DataError, match=r"can go no further; remove .*clock.json to start over"):
        live.advance()


def test_the_setting_makes_the_data_set_live(tmp_path: Path) -> None:
    sizes = {"simulated_stores": 2, "simulated_items": 5, "simulated_days": 90}
    settings = Settings(home=tmp_path, simulated_live=True, **sizes)
    source = open_source("simulated", None, settings)
    assert isinstance(source, Live)
    assert source.span() == (date(2024, 1, 1), date(2024, 1, 1) + timedelta(days=89))
    assert not isinstance(open_source("simulated", None, Settings(home=tmp_path, **sizes)), Live)
