"""What one series sold, period by period, from the accepted rows."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from shelfops_pipeline.store.tables import transactions


class Sale(NamedTuple):
    """Units sold in one period, returns taken off, and the mean price of what was sold; None: no price is known."""

    period: date
    quantity: float
    price: float | None


def series_sales(engine: Engine, dataset: str, store_id: str, item_id: str, start: date, end: date) -> list[Sale]:
    """Sales from `start` to `end`, both included, in order; a period without rows is left out."""
    table = transactions.c
    priced = (table.quantity > 0) & (table.unit_price > 0) & (table.unit_price < float("inf"))
    paid = func.sum(table.quantity * table.unit_price).filter(priced) / func.sum(table.quantity).filter(priced)
    statement = (
        select(table.period, func.sum(table.quantity), paid)
        .where(
            table.dataset == dataset,
            table.store_id == store_id,
            table.item_id == item_id,
            table.period.between(start, end),
        )
        .group_by(table.period)
        .order_by(table.period)
    )
    with engine.connect() as connection:
        return [Sale(*row) for row in connection.execute(statement)]
