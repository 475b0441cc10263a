"""The quality report counts what was put into the data."""

from datetime import date
from pathlib import Path

import pytest

from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.propose import propose
from shelfops_pipeline.onboarding.quality import Quality, assess
from shelfops_pipeline.services.onboard_view import quality_facts
from tests.domain.onboarding.retailers import days, lines


def assessed(folder: Path) -> Quality:
    return assess(Mapped(propose(read_catalog(folder)).mapping, folder, today=date(2030, 1, 1)))


def test_it_counts_what_is_wrong_and_what_is_there(tmp_path: Path) -> None:
    header = ("date", "store", "item", "units", "promo")
    rows = [
        [f"{d}", s, i, 2 + (n + d.day) % 5, int(d.day < 5)]
        for d in days("2024-01-01", 90)
        for s in ("A", "B")
        for n, i in enumerate(("x", "y", "z"))
        if not (s == "B" and date(2024, 3, 4) <= d <= date(2024, 3, 10))
    ]
    rows[10][3] = "many"
    rows[20][3] = ""
    rows[30][3] = 0
    rows[40][3] = -2
    rows[50][2] = ""
    rows.append(rows[60])
    lines(tmp_path, "sales.csv", [header, *rows], ",")
    lines(tmp_path, "stores.csv", [("store", "region"), ("A", "n"), ("C", "s"), ("D", "s")], ",")
    plan = [(f"{d}", s, i, 1) for d in days("2024-03-31", 14) for s in ("A", "B") for i in ("x", "y", "z")]
    lines(tmp_path, "plan.csv", [("date", "store", "item", "promo"), *plan], ",")

    found = assessed(tmp_path)
    assert (found.rows, found.first, found.last) == (len(rows), date(2024, 1, 1), date(2024, 3, 30))
    assert (found.stores.sold, found.stores.listed, found.stores.unlisted) == (2, 3, ("B",))
    assert (found.returns, found.zeros) == (1, 1)
    assert found.unreadable == {"quantity": 1}
    assert found.missing == {"quantity": 1, "item_id": 1}
    assert found.refused["unknown_store"] == sum(row[1] == "B" for row in rows)
    assert found.refused["quantity_not_a_number"] == sum(row[3] in ("many", "") and row[1] == "A" for row in rows)
    assert found.gaps == (("B", date(2024, 3, 4), date(2024, 3, 10)),)
    assert found.plans["on_promotion"] >= date(2024, 4, 13)
    assert found.ahead("on_promotion") >= 14
    assert len(found.preview) == 5


def test_a_repeated_row_is_counted_as_a_duplicate(tmp_path: Path) -> None:
    rows = [(d, "A", 3) for d in days("2024-01-01", 90)]
    lines(tmp_path, "sales.csv", [("date", "store", "units"), *rows, rows[5]], ",")
    assert assessed(tmp_path).refused == {"duplicate_transaction": 1}


def test_lines_of_receipts_that_stand_in_two_files_are_told_and_a_copied_file_is_refused(tmp_path: Path) -> None:
    header = ("date", "store", "item", "receipt", "units")
    rows = [(d, "A", i, f"r{n // 2}", 1) for n, d in enumerate(days("2024-01-01", 60)) for i in ("x", "y", "y")]
    lines(tmp_path, "sales_1.csv", [header, *rows[:100]], ",")
    lines(tmp_path, "sales_2.csv", [header, *rows[100:]], ",")
    assert assessed(tmp_path).repeated == 0  # y twice on a receipt is two sales
    lines(tmp_path, "sales_2.csv", [header, *rows[90:]], ",")
    found = assessed(tmp_path)
    assert (found.rows, found.repeated) == (190, 10)
    assert ("in two files", "10 lines; do exports overlap? they would count twice", False) in quality_facts(found)
    lines(tmp_path, "sales_1 (1).csv", [header, *rows[:100]], ",")
    with pytest.raises(DataError, match=r"sales_1.csv is a copy of sales_1 \(1\).csv: remove one"):
        assessed(tmp_path)


def test_a_plan_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    lines(tmp_path, "sales.csv", [("date", "store", "units"), *((d, "A", 3) for d in days("2024-01-01", 90))], ",")
    lines(tmp_path, "promos.csv", [("from", "until"), ("2024-02-05", "2024-02-01")], ",")
    with pytest.raises(DataError, match="earlier"):
        assessed(tmp_path)


@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("twice", [False, True])
def test_a_return_beside_its_days_sale_is_no_second_copy_of_it(tmp_path: Path, weekly: bool, twice: bool) -> None:
    """Days and weeks whose returns are rows of their own, fewer than make lines of receipts of them."""
    every = days("2024-01-01", 7 * 60)[::7] if weekly else days("2024-01-01", 60)
    rows = [(d, s, i, 3 + (d.day + n) % 4) for d in every for s in "AB" for n, i in enumerate("pqrst")]
    returns = [(*row[:3], -1) for row in rows[::61]]
    rows += returns + (returns[:1] if twice else [rows[3]])
    found = assessed(lines(tmp_path, "sales.csv", [("date", "store", "item", "units"), *rows], ","))
    assert found.refused == ({} if twice else {"duplicate_transaction": 1})
    assert found.returns == len(returns) + (1 if twice else 0)
