"""Orders as CSV: what a supplier is to deliver, and nothing that a spreadsheet would run."""

import csv
import io
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.store.order_csv import COLUMNS, order_csv
from shelfops_pipeline.store.replenishment_records import OrderLine, PurchaseOrder

NOW = datetime(2025, 3, 3, tzinfo=UTC)


def order(*lines: OrderLine, supplier: str | None = "dairy") -> PurchaseOrder:
    day = date(2025, 3, 3)
    state = ("r1", day, 1, "accepted", False)
    return PurchaseOrder("o1", "shop", supplier, day, *state, NOW, NOW, NOW, "ann", 1, 1, None, lines)


def line(item: str = "milk", quantity: float = 12, store: str = "s1") -> OrderLine:
    return OrderLine(store, item, quantity, 12, 1.5, date(2025, 3, 5), "case_pack")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_says_what_goes_where_and_when() -> None:
    (row,) = read(order_csv([order(line(), line("eggs", 0))]))
    assert tuple(row) == COLUMNS
    assert list(row.values()) == ["o1", "dairy", "2025-03-03", "2025-03-05", "s1", "milk", "12", "1.5", "case_pack"]
    (row,) = read(order_csv([order(line(quantity=0.25), supplier=None)]))
    assert (row["supplier_id"], row["quantity"]) == ("", "0.25")


def test_no_id_becomes_a_formula() -> None:
    text = '=cmd|" /C calc"!A0'
    (row,) = read(order_csv([order(line(text, store=text), supplier=text)]))
    assert row["item_id"] == row["store_id"] == row["supplier_id"] == f"'{text}"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_id_is_one_cell_and_can_be_read_back(text: str) -> None:
    (row,) = read(order_csv([order(line(text))]))
    assert row["item_id"].removeprefix("'") == text.removeprefix("'")
    assert row["item_id"][0] not in "=+-@\t\r\n|%\uff1d\uff0b\uff0d\uff20"
