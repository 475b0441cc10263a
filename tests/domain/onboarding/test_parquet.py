"""Parquet files are typed already: what their types can hold and others cannot, and files that disagree."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.column import parquet_column
from shelfops_pipeline.onboarding.findings import Role
from shelfops_pipeline.onboarding.propose import Proposal, propose

FIRST = date(2024, 1, 1)


def sales(days: int = 60) -> pd.DataFrame:
    cells = [(FIRST + timedelta(days=d), f"S{s}", f"I{i}") for d in range(days) for s in range(2) for i in range(3)]
    frame = pd.DataFrame(cells, columns=["date", "store", "item"])
    return frame.assign(units=np.arange(len(frame)) % 7)


def onboarded(folder: Path) -> tuple[Proposal, Mapped]:
    proposal = propose(read_catalog(folder))
    return proposal, Mapped(proposal.mapping, folder, today=date(2030, 1, 1))


def test_numbers_of_receipts_keep_every_digit(tmp_path: Path) -> None:
    frame = sales()
    frame.assign(receipt_id=1234567890123456789 + np.arange(len(frame))).to_parquet(tmp_path / "sales.parquet")
    proposal, source = onboarded(tmp_path)
    assert proposal.mapping.transactions.columns["transaction_id"] == "receipt_id"
    assert source.transactions(FIRST, FIRST)["transaction_id"].iloc[0] == "1234567890123456789"


def test_a_price_that_holds_for_ever_is_a_plan(tmp_path: Path) -> None:
    sales().to_parquet(tmp_path / "sales.parquet")
    spans = [(FIRST, date(2024, 1, 31), 2.0), (date(2024, 2, 1), date(9999, 12, 31), 2.5)]
    rows = [(f"I{i}", begin, end, price + i) for i in range(3) for begin, end, price in spans]
    prices = pd.DataFrame(rows, columns=["item", "valid_from", "valid_to", "price"])
    prices.to_parquet(tmp_path / "prices.parquet")
    proposal, source = onboarded(tmp_path)
    plan = next(finding for finding in proposal.findings if finding.table.name == "prices.parquet")
    assert (plan.role, plan.columns["until"]) == (Role.PLAN, "valid_to")
    [price] = source.reference().covariates
    assert price["date"].max() > pd.Timestamp(2025, 1, 1)
    assert price["value"][price["date"] == "2024-12-24"].tolist() == [2.5, 3.5, 4.5]


def test_a_column_of_another_type_in_another_file_is_text(tmp_path: Path) -> None:
    frame = sales()
    for year, store in ((2023, [1] * len(frame)), (2024, ["1"] * len(frame))):
        frame.assign(date=frame["date"] - timedelta(days=366 * (2024 - year)), store=store).to_parquet(
            tmp_path / f"sales_{year}.parquet"
        )
    proposal, source = onboarded(tmp_path)
    assert proposal.sales.table.rows == 2 * len(frame)
    assert set(source.transactions(*source.span())["store_id"]) == {"1"}


@pytest.mark.parametrize(
    ("values", "number"),
    [
        (pa.array([1e20, 3.0]), 1e20),
        (pa.array([Decimal("12345678901234567890123.45"), Decimal(3)]), 1.2345678901234568e22),
        (pa.array([2**64 - 1, 3], pa.uint64()), 2.0**64),
    ],
)
def test_a_number_that_no_integer_holds_is_a_number(values: pa.Array, number: float) -> None:
    assert parquet_column("x", pa.chunked_array([values])).finite.tolist() == [number, 3]


def test_products_of_numbers_may_be_too_large(tmp_path: Path) -> None:
    frame = sales()
    frame.assign(a=np.where(frame.index % 2, -1e300, 7.5), b=np.where(frame.index % 3, 1e200, 2.5)).to_parquet(
        tmp_path / "sales.parquet"
    )
    assert onboarded(tmp_path)[0].mapping.transactions.columns["quantity"] == "units"


@pytest.mark.parametrize(
    ("values", "example"),
    [
        (pa.array([None, None]), ""),
        (pa.array([None, b"S1"]), "S1"),  # as `ingest` reads it
        (pa.array([None, [1, 2]]), "[1, 2]"),
        (pa.array([None, datetime(9999, 12, 31)], pa.timestamp("us")), ""),
        (pa.array([None, True]), "1"),
        (pa.array([None, "A"]).dictionary_encode(), "A"),
    ],
)
def test_an_empty_cell_is_empty_whatever_the_type(values: pa.Array, example: str) -> None:
    column = parquet_column("x", pa.chunked_array([values]))
    assert column.missing == (1 if example else 2)
    assert column.example == example


def test_a_table_of_dates_that_are_all_missing_is_not_used(tmp_path: Path) -> None:
    sales().to_parquet(tmp_path / "sales.parquet")
    empty = pa.table({"day": pa.nulls(3, pa.date32()), "rain": [1.0, 2.0, 3.0]})
    pq.write_table(empty, tmp_path / "weather.parquet")
    proposal, _ = onboarded(tmp_path)
    assert [f.role for f in proposal.findings] == [Role.SALES, Role.UNUSED]
