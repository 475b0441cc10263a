"""Weeks of days: a week that lacks days must not look like a fall in demand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.load import origin_of
from shelfops_pipeline.data.weeks import mondays, whole_weeks
from shelfops_pipeline.errors import DataError
from tests.domain.support import difficult_panel

MONDAY = "2024-01-01"


def days(first: str, last: str, closed: tuple[int, ...] = ()) -> np.ndarray:  # type: ignore[type-arg]
    found = pd.date_range(first, last)
    return found[~found.weekday.isin(closed)].to_numpy()


def test_a_day_belongs_to_the_week_of_its_monday() -> None:
    found = mondays(days("2023-12-31", "2024-01-08"))
    assert found.astype(str).tolist() == ["2023-12-25"] + [MONDAY] * 7 + ["2024-01-08"]
    assert np.isnat(mondays(np.array(["NaT"], dtype="datetime64[ns]"))).all()


def test_whole_weeks_are_all_kept() -> None:
    assert whole_weeks(days("2024-01-01", "2024-01-28")) == (date(2024, 1, 1), date(2024, 1, 28))


def test_a_last_week_that_lacks_days_is_left_out() -> None:
    assert whole_weeks(days("2024-01-01", "2024-01-27")) == (date(2024, 1, 1), date(2024, 1, 21))


def test_a_first_week_that_lacks_days_is_left_out() -> None:
    assert whole_weeks(days("2024-01-03", "2024-01-28")) == (date(2024, 1, 8), date(2024, 1, 28))


def test_who_is_closed_on_sundays_has_whole_weeks_that_end_on_saturday() -> None:
    assert whole_weeks(days("2024-01-01", "2024-01-27", closed=(6,))) == (date(2024, 1, 1), date(2024, 1, 27))
    assert whole_weeks(days("2024-01-01", "2024-01-26", closed=(6,))) == (date(2024, 1, 1), date(2024, 1, 20))


def test_a_holiday_inside_a_week_does_not_break_it() -> None:
    found = days("2024-01-01", "2024-01-28")
    assert whole_weeks(np.delete(found, [2, 9, 24])) == (date(2024, 1, 1), date(2024, 1, 28))


def test_less_than_a_week_is_refused() -> None:
    with pytest.raises(DataError, match="2024-01-03 to 2024-01-09: less than one whole week"):
        whole_weeks(days("2024-01-03", "2024-01-09"))


@pytest.mark.parametrize(
    ("as_of", "origin"),
    [("2023-01-08", 0), ("2023-01-14", 0), ("2023-01-15", 1), ("2023-01-20", 1), ("2023-03-12", 9)],
)
def test_a_week_that_as_of_cuts_short_is_not_over(as_of: str, origin: int) -> None:
    panel = difficult_panel(Grain.WEEK, periods=10, future=2)  # from Monday 2023-01-02
    assert origin_of(panel, date.fromisoformat(as_of)) == origin


@pytest.mark.parametrize(
    ("as_of", "origin"), [("2023-01-02", 0), ("2023-01-08", 0), ("2023-01-09", 1), ("2023-03-06", 9)]
)
def test_a_week_that_is_a_row_is_known_with_its_date(as_of: str, origin: int) -> None:
    panel = difficult_panel(Grain.WEEK, periods=10, future=2)
    assert origin_of(panel, date.fromisoformat(as_of), weekly_rows=True) == origin


@pytest.mark.parametrize("as_of", ["2023-01-01", "2023-01-05", "2023-03-13"])
def test_as_of_outside_of_the_weeks_is_an_error(as_of: str) -> None:
    panel = difficult_panel(Grain.WEEK, periods=10, future=2)
    with pytest.raises(DataError, match=f"--as-of {as_of}"):
        origin_of(panel, date.fromisoformat(as_of))
