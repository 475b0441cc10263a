"""CSV cells: Python and PostgreSQL write the same, and no cell is a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import ARRAY, Engine, Text, func, literal, literal_column, select

from shelfops_pipeline.store.csv_cells import cell, sql_cell

FORMULAS = ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n", " =1", "\u3000\xa0-1", '=cmd|" /C calc"!A0', "|x", "%1"]
FORMULAS += ["\uff1d1+1", "\uff0b1", " \uff0d1", "\uff20A1"]
PLAIN = ["milk", "BREAD/BAKERY", "a=b", "1-2", " x", 'say "hi"', "a,b", "a\nb", "Käse", "'quoted", "", "x-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_anything_else_stays(text: str) -> None:
    assert cell(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_spreadsheet_finds_no_formula_in_any_text(text: str) -> None:
    written = cell(text)
    assert written in (text, f"'{text}")
    assert not written.lstrip().startswith(("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert not written.startswith(("\t", "\r", "\n"))


def test_postgresql_writes_what_python_does(warehouse: Engine) -> None:
    blanks = [f"{chr(c)}=1" for c in range(1, 0x3100) if chr(c).isspace()]
    texts = [*FORMULAS, *PLAIN, *blanks, *(f"{text}," for text in FORMULAS)]
    given = select(func.unnest(literal(texts, ARRAY(Text))).label("id")).subquery()
    with warehouse.connect() as connection:
        cells = connection.scalars(select(literal_column(sql_cell("id"), Text)).select_from(given)).all()
    for text, written in zip(texts, cells, strict=True):
        (row,) = csv.reader(io.StringIO(f"x,{written}\n", newline=""), strict=True)
        assert row == ["x", cell(text)], text
