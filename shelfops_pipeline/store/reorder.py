"""The reorder plan of a release: one row per series."""

from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, delete, func, select, tuple_

from shelfops_pipeline.contracts.columns import ITEM_ID, REASON, STORE_ID
from shelfops_pipeline.store.replenishment_records import PlanLine
from shelfops_pipeline.store.replenishment_tables import LIKE_ITEM, PLAN_DATES, PLAN_NUMBERS, reorder_plan
from shelfops_pipeline.store.tables import RELEASE, SUPPLIER_ID

if TYPE_CHECKING:
    import pyarrow as pa

    from shelfops_pipeline.store.arrow import Rows

table = reorder_plan.c
_LINE: Final = [column for column in reorder_plan.columns if column.name != RELEASE]


def replace_plan(engine: Engine, release: str, columns: "Rows") -> int:
    """Make `columns` the release's plan, in one transaction; returns the number of series.

    `columns`: store_id, item_id and reason, and whatever else is known of supplier_id, like_item, PLAN_NUMBERS and
    PLAN_DATES. NaN, NaT and None are unknown. Raises DataError for a series that occurs twice, or lacks an id.
    """
    from shelfops_pipeline.store.arrow import canonical, constant
    from shelfops_pipeline.store.bulk import driver
    from shelfops_pipeline.store.copying import copy_in

    shape = _shape()
    batches = (
        batch.append_column(RELEASE, constant(release, batch.num_rows))
        for batch in canonical(columns, shape, reorder_plan.name)
    )
    with engine.begin() as connection:
        connection.execute(delete(reorder_plan).where(table.release == release))
        return copy_in(driver(connection), reorder_plan.name, batches, (*shape.names, RELEASE))


def read_plan(
    engine: Engine,
    release: str,
    *,
    store_id: str | None = None,
    item_id: str | None = None,
    supplier_id: str | None = None,
    only_orders: bool = False,
    after: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[PlanLine]:
    """The release's plan by store and item; `after` is the (store, item) last seen, `only_orders` what is ordered."""
    wanted = {STORE_ID: store_id, ITEM_ID: item_id, SUPPLIER_ID: supplier_id}
    conditions = [table[name] == value for name, value in wanted.items() if value is not None]
    if only_orders:
        conditions.append(table.quantity > 0)
    if after is not None:
        conditions.append(tuple_(table.store_id, table.item_id) > tuple_(*after))
    statement = select(*_LINE).where(table.release == release, *conditions)
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(table.store_id, table.item_id).limit(limit)).mappings()
        return [PlanLine(**row) for row in rows]


def planned_series(engine: Engine) -> tuple[int, int]:
    """(rows of plans, how many of them know the stock)."""
    with engine.connect() as connection:
        rows, known = connection.execute(select(func.count(), func.count(table.on_hand))).one()
    return int(rows), int(known)


def _shape() -> "pa.Schema":
    import pyarrow as pa

    from shelfops_pipeline.store.arrow import text_type

    return pa.schema(
        [
            *(pa.field(name, text_type(), nullable=False) for name in (STORE_ID, ITEM_ID, REASON)),
            *(pa.field(name, text_type()) for name in (SUPPLIER_ID, LIKE_ITEM)),
            *(pa.field(name, pa.float64()) for name in PLAN_NUMBERS),
            *(pa.field(name, pa.date32()) for name in PLAN_DATES),
        ]
    )
