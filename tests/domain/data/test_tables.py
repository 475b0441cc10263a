"""Rows whose own date cannot be right are filed under another day: neither lost, nor do they stretch the span."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.data.tables import between, constant, filed, first_and_last, joined, sound
from shelfops_pipeline.errors import DataError

TODAY = date(2024, 6, 1)


def frame_of(days: list[str | None], files: list[str] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"ts": pd.to_datetime(pd.Series(days), format="ISO8601"), "row": range(len(days))})
    frame["store_id"], frame["item_id"] = constant("s", len(days)), constant("i", len(days))
    return frame if files is None else frame.assign(source=pd.Categorical(files))


def filing(days: list[str | None], files: list[str] | None = None) -> list[str]:
    return list(filed(frame_of(days, files), today=TODAY)["filed"].dt.strftime("%F"))


def test_rows_with_right_dates_need_no_filing() -> None:
    assert "filed" not in filed(frame_of(["2024-05-01", "2024-06-01"]), today=TODAY)


def test_a_row_is_filed_under_the_line_before_it_or_else_after_it() -> None:
    days = [None, "2024-05-01", "2099-01-01", "1900-01-01", "2024-05-03 10:00", "2024-06-02"]
    first, third = "2024-05-01", "2024-05-03"
    assert filing(days) == [first, first, first, first, third, third]


def test_lines_of_the_same_file_are_nearer_than_those_of_another() -> None:
    days = ["2024-05-01", None, None, "2024-05-07", None]
    assert filing(days, ["a", "a", "b", "b", "c"]) == ["2024-05-01"] * 2 + ["2024-05-07"] * 3


def test_rows_without_an_order_are_filed_under_the_day_that_is_given() -> None:
    frame = filed(frame_of(["2024-05-04", None]), today=TODAY, under=date(2024, 5, 1))
    assert frame["filed"].dt.day.tolist() == [4, 1]


def test_a_table_without_any_date_is_refused() -> None:
    frame = frame_of([None, "2099-01-01"], ["a", "b"]).assign(unreadable=['{"ts": "bald"}', None])
    with pytest.raises(DataError, match=r'a and 1 more files: no row has a date between 1990 and today.*"bald".*zone'):
        filed(frame, today=TODAY)


def test_filed_rows_are_found_by_their_day_and_do_not_stretch_the_span() -> None:
    frame = filed(frame_of(["2024-05-01", "2099-01-01", "2024-05-02", None]), today=TODAY)
    assert first_and_last(frame) == (date(2024, 5, 1), date(2024, 5, 2))
    assert between(frame, date(2024, 5, 1), date(2024, 5, 1))["row"].tolist() == [0, 1]
    assert between(frame, date(2024, 5, 2), date(2024, 5, 2))["row"].tolist() == [2, 3]
    assert sound(frame)["row"].tolist() == [0, 2]


@given(
    st.lists(st.sampled_from(["2024-05-01", "2024-05-02", "2024-05-09", "2099-01-01", "1980-01-01", None]), min_size=1)
)
def test_every_row_belongs_to_exactly_one_day_of_the_span(days: list[str | None]) -> None:
    frame = frame_of(days)
    if not any(day is not None and day.startswith("2024") for day in days):
        with pytest.raises(DataError):
            filed(frame, today=TODAY)
        return
    frame = filed(frame, today=TODAY)
    first, last = first_and_last(frame)
    found = [row for day in pd.date_range(first, last) for row in between(frame, day.date(), day.date())["row"]]
    assert sorted(found) == list(range(len(days)))


def test_frames_are_joined_with_their_categories_and_what_one_of_them_lacks() -> None:
    left = pd.DataFrame({"id": pd.Categorical(["b", "a"]), "n": [1.0, 2.0]})
    right = pd.DataFrame({"id": pd.Categorical(["c", None]), "n": [3.0, np.nan], "text": ["x", None]})
    both = joined([left, right])
    assert both["id"].iloc[:3].tolist() == ["b", "a", "c"]
    assert both["id"].isna().tolist() == [False, False, False, True]
    assert both["text"].tolist() == [None, None, "x", None]
    assert both["n"].dtype == np.float64
