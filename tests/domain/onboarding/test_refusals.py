"""Directories that cannot be onboarded: one clear line each, saying what was seen and what is needed."""

import gzip
from pathlib import Path

import pytest

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.propose import Proposal, propose
from tests.domain.onboarding.retailers import days, lines

SALES = [("date", "store", "item", "units"), *((d, "S1", "A", d.day) for d in days("2023-01-01", 60))]


def onboard(folder: Path, sales: str | None = None) -> Proposal:
    return propose(read_catalog(folder), sales=sales)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such directory"):
        onboard(tmp_path / "nowhere")


def test_a_file_instead_of_a_directory(tmp_path: Path) -> None:
    lines(tmp_path, "sales.csv", SALES, ",")
    with pytest.raises(DataError, match="is a file"):
        onboard(tmp_path / "sales.csv")


def test_a_directory_without_tables_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sales.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"no CSV or Parquet file.*sales\.xlsx: a spreadsheet; save its sheets as CSV"):
        onboard(tmp_path)


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    (tmp_path / "b.parquet").write_bytes(b"no parquet at all")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n")[:-6])
    with pytest.raises(
        DataError, match=r"nothing in it can be read: a\.csv: the file is empty; copy .*; b\.parquet: not a read"
    ):
        onboard(tmp_path)


def test_unreadable_files_beside_readable_ones_are_told_and_left_alone(tmp_path: Path) -> None:
    lines(tmp_path, "sales.csv", SALES, ",")
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip")
    catalog = read_catalog(tmp_path)
    assert [table.name for table in catalog.tables] == ["sales.csv"]
    assert catalog.others[0].startswith("broken.csv.gz: not a valid gzip file")


def test_a_file_with_an_endless_line_is_told_and_left_alone(tmp_path: Path) -> None:
    lines(tmp_path, "sales.csv", SALES, ",")
    (tmp_path / "dump.txt").write_text("x" * 200_000)
    catalog = read_catalog(tmp_path)
    assert [table.name for table in catalog.tables] == ["sales.csv"]
    assert catalog.others[0].startswith("dump.txt: one column only")


def test_no_table_of_sales_says_what_was_seen(tmp_path: Path) -> None:
    lines(tmp_path, "items.csv", [("sku", "group"), ("A", "x"), ("B", "y")], ",")
    lines(tmp_path, "visits.csv", [("date", "weather"), ("2023-01-01", "sun"), ("2023-01-02", "rain")], ",")
    told = r"no table looks like sales.*items\.csv: no column of dates .*\(sku, group\); visits\.csv: no quantity"
    with pytest.raises(DataError, match=told):
        onboard(tmp_path)


def test_two_tables_of_sales_ask_which(tmp_path: Path) -> None:
    lines(tmp_path, "sales_a.csv", SALES, ",")
    lines(tmp_path, "webshop_sales.csv", [("day", "shop", "sku", "qty"), *SALES[1:]], ",")
    with pytest.raises(DataError, match=r"all look like sales; say which one it is with --sales FILE"):
        onboard(tmp_path)
    assert onboard(tmp_path, sales="webshop_sales.csv").mapping.transactions.columns["quantity"] == "qty"
    with pytest.raises(DataError, match=r"--sales other\.csv: no such table; found: sales_a\.csv"):
        onboard(tmp_path, sales="other.csv")


def test_a_wide_table_is_refused_with_how_to_melt_it(tmp_path: Path) -> None:
    header = ("store", "item", *(f"{d}" for d in days("2023-01-01", 30)))
    lines(tmp_path, "sales.csv", [header, ("S1", "A", *range(30)), ("S1", "B", *range(30))], ",")
    with pytest.raises(
        DataError, match=r"column per period \(2023-01-01, .*pandas\.melt\(frame, id_vars=\['store', 'item'\]"
    ):
        onboard(tmp_path)


def test_monthly_sales_are_refused(tmp_path: Path) -> None:
    rows = [(f"{y}-{m:02d}-01", "S1", 100 + m) for y in (2021, 2022) for m in range(1, 13)]
    lines(tmp_path, "sales.csv", [("month_start_date", "store", "units"), *rows], ",")
    with pytest.raises(DataError, match="31 days apart; sales by day or by week are needed"):
        onboard(tmp_path)


def test_a_file_without_a_header_is_told(tmp_path: Path) -> None:
    lines(tmp_path, "sales.csv", SALES[1:], ",")
    with pytest.raises(DataError, match=r"no header line \(the first row is 2023-01-01,S1,A,1\); add one"):
        onboard(tmp_path)


def test_one_column_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("word\nanother\n")
    with pytest.raises(DataError, match=r"list\.csv: one column only"):
        onboard(tmp_path)


def test_a_table_with_repeated_keys_is_not_used_and_says_why(tmp_path: Path) -> None:
    items = [(f"A{n}", "x") for n in range(40)]
    lines(tmp_path, "items.csv", [("sku", "group"), *items, ("A1", "y")], ",")
    sales = [("date", "sku", "units"), *((d, f"A{n}", 1 + n % 3) for d in days("2023-01-01", 30) for n in range(40))]
    lines(tmp_path, "sales.csv", sales, ",")
    proposal = onboard(tmp_path)
    assert proposal.mapping.items is None
    assert "make `sku` unique" in next(f.why for f in proposal.findings if f.table.name == "items.csv")


def test_a_column_that_cannot_be_read_throughout_is_left_out_and_told(tmp_path: Path) -> None:
    items = [(f"A{n}", "x", "soon" if n == 7 else n) for n in range(40)]
    lines(tmp_path, "items.csv", [("sku", "group", "cost"), *items], ",")
    sales = [("date", "sku", "units"), *((d, f"A{n}", 1 + n % 3) for d in days("2023-01-01", 30) for n in range(40))]
    lines(tmp_path, "sales.csv", sales, ",")
    proposal = onboard(tmp_path)
    assert proposal.mapping.items is not None
    assert "cost" not in proposal.mapping.items.columns
    assert "items.csv: `cost` has 1 cells that cannot be read; it is left out" in proposal.questions
