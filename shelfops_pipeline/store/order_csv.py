"""A purchase order as CSV that a spreadsheet may open (`csv_cells`)."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

from shelfops_pipeline.store.csv_cells import cell
from shelfops_pipeline.store.replenishment_records import OrderLine, PurchaseOrder

COLUMNS: Final = (
    "order_id",
    "supplier_id",
    "order_date",
    "delivery_date",
    "store_id",
    "item_id",
    "quantity",
    "unit_cost",
    "reason",
)


def order_csv(orders: Iterable[PurchaseOrder]) -> str:
    """What is to be ordered: a header, and one line per store and item with a quantity above 0. RFC 4180."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(_row(order, line) for order in orders for line in order.lines if line.quantity > 0)
    return out.getvalue()


def _row(order: PurchaseOrder, line: OrderLine) -> list[Any]:
    texts = map(cell, (order.order_id, order.supplier_id))
    ids = map(cell, (line.store_id, line.item_id))
    cost = "" if line.unit_cost is None else f"{line.unit_cost:.6g}"
    return [*texts, order.order_date, line.delivery_date or "", *ids, f"{line.quantity:.12g}", cost, cell(line.reason)]
