"""Text files in any dialect: every row of the file is a row of the frame, read or kept with what it said."""

import csv
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.data.sources.cells import Kind
from shelfops_pipeline.data.sources.delimited import header, read_delimited
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError

KINDS: dict[str, Kind] = {"ts": "date", "item_id": "id", "quantity": "number"}
NAMES = {"ts": "Datum", "item_id": "Artikel", "quantity": "Menge"}
GERMAN = Format(separator=";", decimal=",", encoding="cp1252", date="%d.%m.%Y")
GOOD = "Datum;Artikel;Menge;Text\n01.02.2024;007;1,5;Käse\n02.02.2024;008;2;\n03.02.2024;009;3,25;x\n"


def read(text: str, form: Format = GERMAN, **options: Any) -> pd.DataFrame:
    options = {"lines": True, "lenient": True, "names": NAMES} | options
    return read_delimited("t.csv", text.encode(form.encoding), KINDS, form, **options)


def unread(frame: pd.DataFrame) -> list[dict[str, str] | None]:
    return [None if text is None else json.loads(text) for text in frame["unreadable"]]


def test_a_german_export_is_read_with_nothing_left_over() -> None:
    frame = read(GOOD)
    assert list(frame.columns) == ["ts", "item_id", "quantity", "source", "line"]
    assert frame["ts"].dt.strftime("%F").tolist() == ["2024-02-01", "2024-02-02", "2024-02-03"]
    assert frame["item_id"].tolist() == ["007", "008", "009"]
    assert frame["quantity"].tolist() == [1.5, 2, 3.25]
    assert frame["line"].tolist() == [2, 3, 4]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "latin-1", "mac_roman"])
def test_the_encoding_is_that_of_the_mapping(encoding: str) -> None:
    form = GERMAN.model_copy(update={"encoding": encoding})
    assert read(GOOD.replace("007", "Käse"), form)["item_id"].tolist()[0] == "Käse"


def test_a_file_in_another_encoding_names_the_line_and_the_remedy() -> None:
    with pytest.raises(DataError, match=r"t\.csv, line 3: not utf-8.*cp1252"):
        read_delimited("t.csv", b"Datum\n2024-01-01\nK\xe4se\n", {"Datum": "date"}, Format())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ending_will_do(end: str) -> None:
    assert read(GOOD.replace("\n", end))["line"].tolist() == [2, 3, 4]


def test_lines_before_the_header_are_skipped_and_counted() -> None:
    frame = read("Bericht Februar\n\n\n" + GOOD, GERMAN.model_copy(update={"skip_rows": 2}))
    assert frame["line"].tolist() == [5, 6, 7]


def test_separators_and_line_breaks_in_quotes_belong_to_the_cell() -> None:
    text = GOOD.replace("007", '"00;7"').replace("008", '"0\n""8"""').replace("\n03", "\n\n03")
    frame = read(text)
    assert frame["item_id"].tolist() == ["00;7", '0\n"8"', "009"]
    assert frame["line"].tolist() == [2, 3, 6]


def test_quotes_are_ordinary_where_the_mapping_says_so() -> None:
    text = GOOD.replace("007", '"5 Zoll').replace("008", '5" Rohr')
    assert read(text, GERMAN.model_copy(update={"quote": ""}))["item_id"].tolist() == ['"5 Zoll', '5" Rohr', "009"]


def test_a_lone_quote_inside_a_cell_does_not_move_line_numbers() -> None:
    assert read(GOOD.replace("Käse", '5" Rohr').replace("\n02", "\n\n02"))["line"].tolist() == [2, 4, 5]


def test_a_cell_that_cannot_be_read_keeps_its_row_and_its_text() -> None:
    frame = read(GOOD.replace("01.02.2024", "bald").replace(";2;", ";zwei Stück;"))
    assert frame["ts"].isna().tolist() == [True, False, False]
    assert frame["quantity"].isna().tolist() == [False, True, False]
    assert unread(frame) == [{"ts": "bald"}, {"quantity": "zwei Stück"}, None]
    assert frame["item_id"].tolist() == ["007", "008", "009"]


def test_a_row_with_too_few_or_too_many_cells_is_kept_as_its_line() -> None:
    frame = read(GOOD + "Summe;3\n\n   \n04.02.2024;1;2;3;4;5\n05.02.2024;011;5;\n")
    assert unread(frame) == [None, None, None, {"line": "Summe;3"}, {"line": "04.02.2024;1;2;3;4;5"}, None]
    assert frame["line"].tolist() == [2, 3, 4, 5, 8, 9]
    assert frame.loc[3:4, ["ts", "item_id", "quantity"]].isna().all(axis=None)
    assert frame["item_id"].iloc[5] == "011"


def test_a_quote_that_is_never_closed_is_one_unreadable_row() -> None:
    frame = read(GOOD.replace("\n02", '\n"02'))
    assert frame["quantity"].iloc[0] == 1.5
    assert len(frame) == 2
    assert "008" in unread(frame)[1]["line"]  # type: ignore[index]


def test_nul_characters_are_kept_in_sight() -> None:
    frame = read(GOOD.replace("2;\n", "2\0;\n") + "\0\0\0\n")
    assert unread(frame)[1:] == [{"quantity": "2␀"}, None, {"line": "␀␀␀"}]


def test_a_reference_table_is_refused_with_file_column_line_and_value() -> None:
    for text, message in (
        (GOOD.replace("1,5", "viel"), "t.csv, column Menge, line 2: a number is expected, found 'viel'"),
        (GOOD.replace("02.02.2024", ""), "t.csv, column Datum, line 3: unreadable date, found ''"),
        (GOOD + "Summe\n", "t.csv, line 5: 4 columns expected, 1 found"),
    ):
        with pytest.raises(DataError) as caught:
            read(text, lenient=False)
        assert str(caught.value) == message


def test_a_file_with_a_header_only_has_no_rows() -> None:
    frame = read("Datum;Artikel;Menge\n")
    assert frame.empty
    assert frame["ts"].dtype == np.dtype("datetime64[ns]")
    with pytest.raises(DataError, match="the file is empty"):
        read("")


def test_the_wrong_separator_is_suggested_by_what_is_found() -> None:
    with pytest.raises(
        DataError, match=r"column Datum is missing; columns found: Datum;Artikel;Menge;Text \(separator ','"
    ):
        read(GOOD, GERMAN.model_copy(update={"separator": ",", "decimal": "."}))


def test_header_cells_may_have_spaces_around_them_and_unnamed_columns_may_repeat() -> None:
    text = GOOD.replace("Datum;Artikel;Menge;Text", ' Datum ;"Artikel";Menge;').replace("\n", ";\n")
    assert read(text)["quantity"].tolist() == [1.5, 2, 3.25]


def test_a_line_break_in_a_header_and_a_lone_quote_in_one_are_told_apart() -> None:
    assert read(GOOD.replace("Text", '"Text\nlang"'))["line"].tolist() == [3, 4, 5]
    assert read(GOOD.replace("Text", 'Länge 5"') + "x;" * 100_000)["item_id"].tolist()[:3] == ["007", "008", "009"]
    with pytest.raises(DataError, match="4 columns expected, "):
        read(GOOD + '"' + "x;" * 100_000, lenient=False)


@pytest.mark.parametrize("odd", ["\f", "\v", "\x85", "\u2028"])
def test_a_header_ends_with_its_line_and_with_no_other_sign(odd: str) -> None:
    form = Format(separator=";")
    assert header("t.csv", f"Datum;Text{odd}lang;Nr\n".encode(), form) == ["Datum", f"Text{odd}lang", "Nr"]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12)


@given(rows=ROWS, separator=st.sampled_from(";,\t|"), end=st.sampled_from(["\n", "\r\n"]))
def test_whatever_a_file_says_each_of_its_rows_comes_back(
    rows: list[tuple[str, str, str]], separator: str, end: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([tuple(NAMES.values()), *rows])
    form = Format(separator=separator, date="%d.%m.%Y")
    frame = read_delimited("t.csv", out.getvalue().encode(), KINDS, form, names=NAMES, lines=True, lenient=True)
    assert frame["line"].tolist() == list(range(2, len(rows) + 2))
    texts = unread(frame) if "unreadable" in frame else [None] * len(rows)
    for (_, item, quantity), found, text in zip(rows, frame.to_dict("records"), texts, strict=True):
        text = text or {}
        assert found["item_id"] == item.strip() or pd.isna(found["item_id"])
        assert pd.isna(found["item_id"]) == (item.strip() == "" or "item_id" in text)
        if "quantity" in text:
            assert text["quantity"] == quantity.replace("\0", "␀")
            assert pd.isna(found["quantity"])
        elif not pd.isna(found["quantity"]):
            assert found["quantity"] == float(quantity.strip().rstrip("-")) * (-1 if quantity.strip()[-1] == "-" else 1)
