"""Cells of text, Parquet and SQL in the canonical types: what is read, and what is marked as unreadable."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from shelfops_pipeline.data.sources.cells import Kind, as_text, typed
from shelfops_pipeline.data.text_format import Format

BYTES = pa.dictionary(pa.int8(), pa.string())
GERMAN = Format(separator=";", decimal=",", thousands=".")


def read(values: list[Any], kind: Kind, form: Format | None = None, of: Any = None) -> tuple[list[Any], list[int]]:
    """(values, positions of those that could not be read)."""
    found, bad = typed(pa.chunked_array([pa.array(values, of)]), kind, form or Format())
    return list(found), [] if bad is None else np.flatnonzero(bad).tolist()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        ("+5", 5),
        (" 5.5 ", 5.5),
        (".5", 0.5),
        ("5.", 5),
        ("-1e3", -1000),
        ("12.5-", -12.5),  # the sign as mainframes write it
        ("123456789012345678901234567890", 1.2345678901234568e29),
        ("1e400", np.inf),
    ],
)
def test_a_number_is_read_however_its_sign_and_point_are_written(text: str, number: float) -> None:
    assert read([text], "number") == ([number], [])


@pytest.mark.parametrize("text", ["two", "5,5", "1_000", "0x10", "5\0", "٣", "--5", "5 kg", "1.2.3", "-"])
def test_what_is_no_number_is_marked(text: str) -> None:
    values, bad = read(["1", text], "number")
    assert np.isnan(values[1])
    assert bad == [1]


@pytest.mark.parametrize("text", ["", "?", "NA", "n/a", "NULL", "  ", "#N/A", "\\N"])
def test_an_empty_cell_is_missing_and_not_unreadable(text: str) -> None:
    for kind in ("number", "date", "flag"):
        values, bad = read([text], kind)  # type: ignore[arg-type]
        assert pd.isna(values[0])
        assert bad == []


def test_thousands_signs_stand_before_three_digits_or_the_number_is_refused() -> None:
    assert read(["1.234,5", "1234,5", "1.234.567"], "number", GERMAN) == ([1234.5, 1234.5, 1234567], [])
    # 12.5 is no German number: read as 125 it would be ten times too much.
    assert read(["12.5", "1.23", "1.2345"], "number", GERMAN)[1] == [0, 1, 2]


def test_spreadsheets_thousands_spaces_and_apostrophes_are_known() -> None:
    french, swiss = Format(separator=";", decimal=",", thousands=" "), Format(thousands="'")
    assert read(["1\u00a0234,5", "1\u202f234", "1 234"], "number", french) == ([1234.5, 1234, 1234], [])
    assert read(["1’234.5", "1'234"], "number", swiss) == ([1234.5, 1234], [])


def test_an_id_is_text_and_never_goes_through_a_number() -> None:
    assert read(["007", " 7 ", "1e3", "0x1"], "id")[0] == ["007", "7", "1e3", "0x1"]
    assert read(["Ünal ☕", "日本"], "id")[0] == ["Ünal ☕", "日本"]
    assert pd.isna(read(["", "  "], "id")[0]).all()


def test_whole_numbers_are_ids_without_a_decimal_point() -> None:
    values, bad = read([12.0, 1e15, 1.5, None, float("nan")], "id")
    assert values[:3] == ["12", "1000000000000000", "1.5"]
    assert pd.isna(values[3:]).all()
    assert bad == []
    assert read([12, 2**62], "id")[0] == ["12", str(2**62)]
    assert read([Decimal("12.00"), Decimal("12.50")], "id")[0] == ["12", "12.50"]


def test_an_id_with_a_nul_is_unreadable_because_no_database_would_store_it() -> None:
    values, bad = read(["a\0", "b"], "id")
    assert pd.isna(values[0])
    assert bad == [0]
    assert read(["a\0", "b"], "text") == ([None, "b"], [0])


def test_yes_and_no_in_several_languages_are_flags_beside_numbers() -> None:
    assert read(["ja", "NEIN", "x", "true", "0", "1.0", "2"], "flag") == ([1, 0, 1, 1, 0, 1, 2], [])
    assert read(["vielleicht"], "flag")[1] == [0]
    assert read([True, False], "flag") == ([1, 0], [])


DAY = np.datetime64("2024-02-01", "ns")


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("2024-02-01", None),
        ("20240201", None),
        ("2024-02-01T00:00:00", None),
        ("01.02.2024", "%d.%m.%Y"),
        ("1.2.2024", "%d.%m.%Y"),
        ("2/1/2024", "%m/%d/%Y"),
        ("Feb 1, 2024", "%b %d, %Y"),
    ],
)
def test_dates_are_read_in_their_own_format(text: str, layout: str | None) -> None:
    assert read([text], "date", Format(date=layout)) == ([DAY], [])


@pytest.mark.parametrize(("text", "layout"), [("2024-W05", "%G-W%V"), ("202405", "%Y%W"), ("2024 KW05", "%G KW%V")])
def test_a_week_is_dated_by_its_monday(text: str, layout: str) -> None:
    assert read([text], "date", Format(date=layout)) == ([np.datetime64("2024-01-29", "ns")], [])


@pytest.mark.parametrize("text", ["31.02.2024", "2024-02-01", "01.02.9999", "gestern"])
def test_what_is_no_date_is_marked(text: str) -> None:
    values, bad = read(["01.02.2024", text], "date", Format(date="%d.%m.%Y"))
    assert np.isnat(values[1])
    assert bad == [1]


def test_a_year_or_a_month_is_no_day() -> None:
    assert read(["2024", "2024-02"], "date")[1] == [0, 1]


def test_timestamps_with_an_offset_are_turned_to_the_shops_own_time_and_naive_ones_are_it() -> None:
    vienna = Format(timezone="Europe/Vienna")
    late = ["2024-01-31T23:30:00Z", "2024-02-01 00:30:00", "2024-01-31T18:30:00-0500"]
    assert read(late, "date", vienna) == ([np.datetime64("2024-02-01T00:30", "ns")] * 3, [])
    typed_late = [datetime(2024, 1, 31, 23, 30, tzinfo=UTC)]
    assert read(typed_late, "date", vienna)[0] == [np.datetime64("2024-02-01T00:30", "ns")]
    formatted = Format(timezone="Europe/Vienna", date="%d.%m.%Y %H:%M %z")
    assert read(["31.01.2024 23:30 +0000"], "date", formatted)[0] == [np.datetime64("2024-02-01T00:30", "ns")]


def test_without_a_zone_a_timestamp_with_an_offset_belongs_to_no_day() -> None:
    assert read(["2024-01-31T23:30:00Z", "2024-02-01"], "date")[1] == [0]
    assert read([datetime(2024, 1, 31, 23, 30, tzinfo=UTC)], "date")[1] == [0]


def test_typed_dates_are_cast_and_those_beyond_nanoseconds_marked() -> None:
    assert read([date(2024, 2, 1), None], "date")[0][0] == DAY
    assert read([datetime(2024, 2, 1), datetime(9999, 12, 31)], "date")[1] == [1]
    assert read([20240201], "date", Format(date="%Y%m%d")) == ([DAY], [])


@pytest.mark.parametrize("text", ["9999-12-31", "2999-12-31", "", "99991231"])
def test_an_end_may_be_never(text: str) -> None:
    values, bad = read(["2024-02-01", text], "end")
    assert values[0] == DAY
    assert np.isnat(values[1])
    assert bad == []
    assert read(["bald"], "end")[1] == [0]


@pytest.mark.parametrize("kind", ["id", "text", "number", "date", "flag", "end"])
def test_no_rows_and_rows_without_any_value_are_read(kind: Kind) -> None:
    assert read([], kind, of=pa.string()) == ([], [])
    values, bad = read([None, None], kind)
    assert pd.isna(values).all()
    assert bad == []


def test_bytes_are_text_where_they_are_utf8() -> None:
    assert as_text(pa.chunked_array([pa.array(["ä".encode(), b"\xff", None])])).to_pylist() == ["ä", "\\xff", None]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.large_string())])
def test_text_is_text_in_whichever_way_a_file_stores_it(kind: pa.DataType) -> None:
    def stored(values: list[str | None]) -> pa.ChunkedArray:
        array = pa.array(values, pa.string())
        return pa.chunked_array([(array.dictionary_encode() if pa.types.is_dictionary(kind) else array).cast(kind)])

    flags, bad = typed(stored(["yes", "0", None]), "flag", Format())
    assert flags[:2].tolist() == [1, 0]
    assert bad is None
    assert np.isnat(typed(stored(["9999-12-31"]), "end", Format()).values).all()


def test_short_codes_of_one_chunk_do_not_limit_the_texts_of_all() -> None:
    chunks = [pa.array([f"i{n + k}" for k in range(100)]).dictionary_encode().cast(BYTES) for n in (0, 100)]
    assert list(typed(pa.chunked_array(chunks), "id", Format()).values) == [f"i{n}" for n in range(200)]


def test_what_arrow_cannot_write_as_text_is_written_by_python() -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    assert read([uuid], "id")[0] == [str(uuid)]  # as PostgreSQL's driver gives them
    assert read([["a", "b"]], "text")[0] == ["['a', 'b']"]
    assert read([{"a": 1}, None], "number")[1] == [0]
    assert read([timedelta(days=3)], "number")[1] == [0]  # three days, or 259,200,000,000 microseconds?
