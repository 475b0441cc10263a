"""The gate before `predict_demand()` stops the run, and says which channel, series and date are impossible."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.schemas.prediction import check_prediction_input, check_series, prediction_frame
from tests.domain.support import difficult_panel, spec_for

H = 6
MakeState = Callable[[], SeriesState]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


@pytest.fixture
def state(panel: Panel) -> SeriesState:
    return StateBuilder(panel, spec_for(panel, Tier.PRODUCTION, H), "log", {}).at(panel.n_observed - 1)


def set_cell(state: SeriesState, channel: str, series: int, h: int, value: float) -> None:
    state.override(series, {channel: [(h, value)]})


def test_sound_input_passes_and_is_returned_as_a_frame(panel: Panel, state: SeriesState) -> None:
    frame = check_prediction_input(panel, state)
    assert len(frame) == panel.n_series * H
    assert list(frame.columns) == ["store_id", "item_id", "date", OPEN, ON_PROMOTION, PRICE, HOLIDAY]


@pytest.mark.parametrize(
    ("channel", "value", "expected"),
    [
        *((PRICE, v, "more than 0") for v in (0.0, -2.0, np.inf)),
        *((OPEN, v, "0 or 1") for v in (2.0, -1.0)),
        *((ON_PROMOTION, v, "0 to 1") for v in (1.5, -1.0)),
        *((HOLIDAY, v, "0 or the number of a kind") for v in (-1.0, np.inf)),
    ],
)
def test_an_impossible_value_is_named_by_channel_series_and_date(
    panel: Panel, state: SeriesState, channel: str, value: float, expected: str
) -> None:
    set_cell(state, channel, 7, 3, value)
    day = state.target_dates[2]
    with pytest.raises(DataError, match=rf"{channel} of S2/milk on {day} is {value:g}, expected {expected};") as error:
        check_prediction_input(panel, state)
    assert "correct the known-future data (1 such values)" in str(error.value)


@pytest.mark.parametrize("channel", [OPEN, ON_PROMOTION, PRICE, HOLIDAY])
def test_what_is_not_known_yet_is_no_breach(panel: Panel, state: SeriesState, channel: str) -> None:
    set_cell(state, channel, 0, 1, np.nan)
    assert check_prediction_input(panel, state)[channel].isna().any()  # passed on as unknown, not filled


def test_values_before_the_origin_are_not_judged(panel: Panel, state: SeriesState) -> None:
    state.channel(PRICE)[:, :-H] = -5
    assert (check_prediction_input(panel, state)[PRICE].dropna() > 0).all()


def test_a_store_cannot_be_half_open(panel: Panel, state: SeriesState) -> None:
    set_cell(state, OPEN, 4, 1, 0.5)
    with pytest.raises(DataError, match="open"):
        check_prediction_input(panel, state)


def test_a_series_that_appears_twice_stops_the_run(panel: Panel) -> None:
    twice = replace(panel, item_ids=np.array(["bun", "milk", "milk"] * 3))
    with pytest.raises(DataError, match="a series appears twice in the panel"):
        check_series(twice)
    check_series(panel)


def test_an_infinite_feature_is_named_by_its_series(panel: Panel, state: SeriesState) -> None:
    state.scalars[5, 0] = np.inf
    with pytest.raises(DataError, match="S1/odd has an infinite feature"):
        check_prediction_input(panel, state)


def test_the_frame_stays_bounded_however_many_series_there_are(panel: Panel, state: SeriesState) -> None:
    many = 5_000
    rows = np.arange(many) % panel.n_series
    frame = prediction_frame(panel.take(rows), state.take(rows))
    assert len(frame) <= 5_000
    assert len(frame) > 4_900
