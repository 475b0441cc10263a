"""Write the orders that a plan proposes, beside those that people have decided or edited. One transaction, by COPY."""
# ruff: noqa: S608 - the pieces of a statement are constants of ours; values are bound

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, delete, text

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, REASON, STORE_ID
from shelfops_pipeline.contracts.replenishment import OrderStatus
from shelfops_pipeline.store.alert_sync import SYSTEM
from shelfops_pipeline.store.arrow import Rows, canonical, text_type
from shelfops_pipeline.store.assessed import copy_assessed, judged
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import copy_in
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.replenishment_tables import DELIVERY_DATE, ORDER_DATE, UNIT_COST, purchase_orders
from shelfops_pipeline.store.tables import SUPPLIER_ID

if TYPE_CHECKING:
    import pyarrow as pa

_WANTED: Final = """
    CREATE TEMPORARY TABLE wanted (
        store_id text COLLATE "C", item_id text COLLATE "C", supplier_id text COLLATE "C", order_date date,
        delivery_date date, quantity double precision, unit_cost double precision, reason text,
        order_id text COLLATE "C", PRIMARY KEY (store_id, item_id)
    ) ON COMMIT DROP
"""
# Where a person has said something of that day, it stays said. What was accepted since the plan looked is on order, and
# the plan does not know: the next one says what is still to be ordered.
_SETTLED: Final = """
    DELETE FROM wanted AS w USING purchase_order_lines AS l JOIN purchase_orders AS o USING (order_id)
    WHERE o.dataset = :dataset AND (l.store_id, l.item_id) = (w.store_id, w.item_id)
        AND (o.order_date >= :today OR o.decided_at > :as_of) AND (
            o.status IN ('accepted', 'rejected') AND o.order_date = w.order_date
            OR o.status = 'accepted' AND o.decided_at > :as_of
            OR o.status = 'proposed' AND o.edited
        )
"""
_OPEN: Final = "o.dataset = :dataset AND o.status = 'proposed' AND NOT o.edited"
_KEPT: Final = f"""
    INSERT INTO wanted (store_id, item_id, supplier_id, order_date, delivery_date, quantity, unit_cost, reason)
    SELECT l.store_id, l.item_id, o.supplier_id, o.order_date, l.delivery_date, l.quantity, l.unit_cost, l.reason
    FROM purchase_order_lines AS l JOIN purchase_orders AS o USING (order_id)
    WHERE {_OPEN} AND o.order_date >= :today AND NOT {judged("l")}
    ON CONFLICT DO NOTHING
"""
_WITHDRAWN: Final = """
    WITH withdrawn AS (
        UPDATE purchase_orders AS o SET status = 'withdrawn', updated_at = clock_timestamp(), revision = revision + 1
        WHERE o.dataset = :dataset AND o.status = 'proposed' AND (
            o.order_date < :today OR NOT o.edited AND NOT EXISTS (
                SELECT FROM wanted AS w
                WHERE w.order_date = o.order_date AND w.supplier_id IS NOT DISTINCT FROM o.supplier_id
            )
        )
        RETURNING o.order_id, CASE WHEN o.order_date < :today THEN 'its day has passed'
            ELSE 'the plan no longer asks for it' END AS note
    )
    INSERT INTO purchase_order_events (order_id, who, action, note, before, after)
    SELECT order_id, :system, 'withdrawn', note, '{"status": "proposed"}', '{"status": "withdrawn"}' FROM withdrawn
"""
# Revision 0: it becomes the first one when the order gets its lines.
_OPENED: Final = f"""
    INSERT INTO purchase_orders (order_id, dataset, supplier_id, order_date, release, planned_on, revision)
    SELECT gen_random_uuid()::text, :dataset, supplier_id, order_date, :release, :today, 0
    FROM (SELECT DISTINCT supplier_id, order_date FROM wanted) AS w
    WHERE NOT EXISTS (
        SELECT FROM purchase_orders AS o
        WHERE {_OPEN} AND o.order_date = w.order_date AND o.supplier_id IS NOT DISTINCT FROM w.supplier_id
    )
"""
_PLACED: Final = f"""
    UPDATE wanted AS w SET order_id = o.order_id FROM purchase_orders AS o
    WHERE {_OPEN} AND o.order_date = w.order_date AND o.supplier_id IS NOT DISTINCT FROM w.supplier_id
"""
_VALUES: Final = "{0}.quantity, {0}.unit_cost, {0}.delivery_date, {0}.reason"
_CHANGED: Final = f"""
    CREATE TEMPORARY TABLE changed ON COMMIT DROP AS
    SELECT DISTINCT coalesce(w.order_id, l.order_id) AS order_id
    FROM wanted AS w FULL JOIN (
        SELECT l.* FROM purchase_order_lines AS l JOIN purchase_orders AS o USING (order_id) WHERE {_OPEN}
    ) AS l USING (order_id, store_id, item_id)
    WHERE ({_VALUES.format("w")}) IS DISTINCT FROM ({_VALUES.format("l")})
"""
_TOTALS: Final = "jsonb_build_object('lines', count(*), 'units', coalesce(sum(quantity), 0))"
_EVENTS: Final = f"""
    INSERT INTO purchase_order_events (order_id, who, action, note, before, after)
    SELECT c.order_id, :system, 'proposed', 'release ' || :release,
        (SELECT {_TOTALS} FROM purchase_order_lines AS l WHERE l.order_id = c.order_id HAVING count(*) > 0),
        (SELECT {_TOTALS} FROM wanted AS w WHERE w.order_id = c.order_id)
    FROM changed AS c
"""
_EMPTIED: Final = "DELETE FROM purchase_order_lines AS l USING changed AS c WHERE l.order_id = c.order_id"
_FILLED: Final = """
    INSERT INTO purchase_order_lines
        (order_id, store_id, item_id, quantity, proposed_quantity, unit_cost, delivery_date, reason)
    SELECT order_id, store_id, item_id, quantity, quantity, unit_cost, delivery_date, reason
    FROM wanted JOIN changed USING (order_id)
"""
_TOUCHED: Final = """
    UPDATE purchase_orders AS o SET release = :release, updated_at = clock_timestamp(), revision = revision + 1
    FROM changed AS c WHERE o.order_id = c.order_id
"""
_PROPOSED: Final = """
    SELECT coalesce(supplier_id, '') AS supplier, count(DISTINCT order_id) AS orders, count(*) AS lines,
        sum(quantity) AS units FROM wanted GROUP BY 1 ORDER BY 1
"""
_STEPS: Final = (
    _SETTLED,
    _KEPT,
    _WITHDRAWN,
    _OPENED,
    _PLACED,
    "ANALYZE wanted",
    _CHANGED,
    _EVENTS,
    _EMPTIED,
    _FILLED,
    _TOUCHED,
)


def propose_orders(
    engine: Engine,
    dataset: str,
    release: str,
    columns: Rows,
    *,
    today: date,
    as_of: datetime | None = None,
    assessed: "Rows | None" = None,
) -> dict[str, int]:
    """Propose `columns`, one line per series, as orders by supplier and order date; returns each supplier's lines.

    `columns`: store_id, item_id, supplier_id (None: unknown), order_date (from `today` on), quantity, reason, and
    delivery_date and unit_cost where known; what was accepted until `as_of` (None: now) is taken off already. Orders
    that nobody has decided or edited are replaced and keep their ids; nothing else is touched. A series is not proposed
    again that has a line in an order decided for the same day, accepted since `as_of`, or edited by a person. What is
    no longer asked for, or was not decided on its day, is withdrawn; of series that are not `assessed` (store_id and
    item_id; None: all are), what is proposed stays until its day has passed. The same call again changes nothing.
    """
    values: dict[str, Any] = {"dataset": dataset, "release": release, "today": today, "system": SYSTEM}
    values |= {"as_of": datetime.now(UTC) if as_of is None else as_of}
    names = _shape().names
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(f"orders:{dataset}")})
        connection.execute(text(_WANTED))
        copy_in(driver(connection), "wanted", canonical(columns, _shape(), purchase_orders.name), names)
        copy_assessed(connection, assessed)
        _lock_proposed(connection, values)
        for step in _STEPS:
            connection.execute(text(step), values)
        return {row.supplier: int(row.lines) for row in connection.execute(text(_PROPOSED))}


def prune_orders(engine: Engine, dataset: str, before: datetime) -> int:
    """Delete the orders that were settled before that time for a day before it, with their lines and events; returns
    the number."""
    table = purchase_orders.c
    old = (table.updated_at < before, table.order_date < before.date(), table.status != OrderStatus.PROPOSED)
    with engine.begin() as connection:
        return connection.execute(delete(purchase_orders).where(table.dataset == dataset, *old)).rowcount


def _lock_proposed(connection: Connection, values: dict[str, Any]) -> None:
    """Nobody decides an order while it is being replaced; who decided just before is seen."""
    this = "SELECT FROM purchase_orders WHERE dataset = :dataset AND status = 'proposed' ORDER BY order_id FOR UPDATE"
    connection.execute(text(this), values)


def _shape() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            *(pa.field(name, text_type(), nullable=False) for name in (STORE_ID, ITEM_ID, REASON)),
            pa.field(SUPPLIER_ID, text_type()),
            pa.field(ORDER_DATE, pa.date32(), nullable=False),
            pa.field(DELIVERY_DATE, pa.date32()),
            pa.field(QUANTITY, pa.float64(), nullable=False),
            pa.field(UNIT_COST, pa.float64()),
        ]
    )
