"""What people have accepted and no count may know of yet: on order, whatever the inventory says."""

from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.replenishment import OrderStatus


@dataclass(frozen=True)
class AcceptedLine:
    """Units of one series in orders that were placed on one day."""

    store_id: str
    item_id: str
    placed_on: date
    quantity: float


@dataclass(frozen=True)
class Accepted:
    """What had been accepted at a moment, and nothing that was accepted later."""

    as_of: datetime
    lines: tuple[AcceptedLine, ...]


# Somebody may accept an order days after its plan. These days pass on the plan's calendar, which is that of the counts:
# the two run together where the data are of today, and the clock says nothing where older data are replayed. They are
# whole days since the proposal, not dates: midnight lies between plan and planner in some part of the world.
_LINES = """
    SELECT l.store_id, l.item_id, o.placed_on, sum(l.quantity) AS quantity
    FROM (
        SELECT order_id, greatest(
            order_date, planned_on + CAST(floor(extract(epoch FROM decided_at - proposed_at) / 86400) AS integer)
        ) AS placed_on
        FROM purchase_orders WHERE dataset = :dataset AND status = :accepted
    ) AS o JOIN purchase_order_lines AS l USING (order_id)
    WHERE o.placed_on > :after AND l.quantity > 0
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
# Whoever is deciding now has done so before we look, and whoever decides from now on waits until we have looked.
_HELD = "SELECT FROM purchase_orders WHERE dataset = :dataset AND status = :proposed ORDER BY order_id FOR SHARE"


def accepted_lines(engine: Engine, dataset: str, *, after: date) -> Accepted:
    """What was accepted and placed after that day, by series and day.

    An order is placed on its day or, if it was accepted later, on the day of its plan plus the whole days that passed
    between the proposal and the decision.
    """
    values = {"dataset": dataset, "after": after, "accepted": OrderStatus.ACCEPTED, "proposed": OrderStatus.PROPOSED}
    with engine.begin() as connection:
        connection.execute(text(_HELD), values)
        as_of = connection.scalar(text("SELECT clock_timestamp()"))
        rows = connection.execute(text(_LINES), values)
        return Accepted(
            as_of, tuple(AcceptedLine(*(getattr(row, f.name) for f in fields(AcceptedLine))) for row in rows)
        )
