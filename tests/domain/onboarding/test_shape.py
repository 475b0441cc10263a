"""What one row is, and what no row means, also where only pieces of a long file were read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shelfops_pipeline.onboarding import sample
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.propose import propose
from shelfops_pipeline.onboarding.sales import find_sales
from shelfops_pipeline.onboarding.shape import Shape, shape_of
from tests.domain.onboarding.retailers import days, lines


def shape(folder: Path) -> Shape:
    return shape_of(find_sales(read_catalog(folder).tables))


def write(folder: Path, density: float, zeros: float, order: str, n_days: int = 200) -> Path:
    rng = np.random.default_rng(0)
    grid = [(d, s, i) for d in days("2023-01-01", n_days) for s in range(100, 110) for i in range(1000, 1030)]
    grid = [cell for cell in grid if rng.random() < density]
    if order == "by series":
        grid.sort(key=lambda cell: cell[1:])
    rows = [(*cell, 0 if rng.random() < zeros else 1 + rng.poisson(3)) for cell in grid]
    return lines(folder, "sales.csv", [("date", "store", "item", "units"), *rows], ",")


@pytest.mark.parametrize("order", ["by date", "by series"])
@pytest.mark.parametrize(
    ("density", "zeros", "absence"), [(1.0, 0.3, "missing"), (0.4, 0.0, "zero"), (1.0, 0.0, "zero"), (0.4, 0.3, "zero")]
)
def test_a_part_of_a_file_says_the_same_as_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, density: float, zeros: float, absence: str, order: str
) -> None:
    folder = write(tmp_path, density, zeros, order)
    whole = shape(folder)
    monkeypatch.setattr(sample, "WHOLE", 300_000)
    part = find_sales(read_catalog(folder).tables)
    assert not part.table.whole
    assert abs(part.table.rows - density * 60_000) < 3_000
    found = shape_of(part)
    assert (found.rows, found.grain) == (whole.rows, whole.grain) == ("day", "day")
    assert found.absence == whole.absence == absence
    assert abs(found.filled - density) < 0.15


def test_a_share_of_repeated_rows_makes_lines_of_receipts_of_days(tmp_path: Path) -> None:
    rows = [(d, "A", 1 + n % 3) for d in days("2024-01-01", 60) for n in range(4)]
    assert shape(lines(tmp_path, "sales.csv", [("date", "store", "units"), *rows], ",")).rows == "transaction"


def test_weeks_that_repeat_stay_weeks_and_may_repeat(tmp_path: Path) -> None:
    rows = [(d, "A", n + d.day) for d in days("2023-01-02", 364)[::7] for n in range(3)]
    mapping = propose(read_catalog(lines(tmp_path, "sales.csv", [("week", "store", "units"), *rows], ","))).mapping
    assert (mapping.grain, mapping.transactions.rows) == ("week", "week")
    assert mapping.rules.unique_key == ()


def test_weeks_that_end_on_a_saturday_start_on_a_monday(tmp_path: Path) -> None:
    rows = [(d, "A", d.day) for d in days("2023-01-07", 364)[::7]]
    found = shape(lines(tmp_path, "sales.csv", [("week_ending", "store", "units"), *rows], ","))
    assert found.grain == "week"
    assert found.start_date.isoformat() == "2023-01-02"


def test_a_store_that_reports_late_does_not_make_the_grid_sparse(tmp_path: Path) -> None:
    rows = [(d, s, 1 + d.day) for n, d in enumerate(days("2023-01-01", 100)) for s in "AB" if s == "A" or n > 60]
    found = shape(lines(tmp_path, "sales.csv", [("date", "store", "units"), *rows], ","))
    assert found.complete
    assert not replace(found, dense=0.5).complete
