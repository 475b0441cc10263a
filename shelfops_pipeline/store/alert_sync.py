"""Make the stored alerts what a new evaluation of all series says: raise, change, resolve. One transaction, by COPY."""
# ruff: noqa: S608 - the pieces of a statement are constants of ours; values are bound

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, text

from shelfops_pipeline.contracts.messages import AlertEvent
from shelfops_pipeline.contracts.replenishment import AlertKind, AlertStatus
from shelfops_pipeline.store.alerts import ORDERED, SHORT, URGENCY, hold_alerts
from shelfops_pipeline.store.arrow import Rows, canonical
from shelfops_pipeline.store.assessed import copy_assessed, judged
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import JSONB_VERSION, copy_in
from shelfops_pipeline.store.jsonb import storable, to_json
from shelfops_pipeline.store.replenishment_records import Alert, StockAlert
from shelfops_pipeline.store.replenishment_tables import stock_alerts

SYSTEM: Final = "shelfops"
"""Who did it, where nobody did."""
_COLUMNS: Final = ("alert_id", "store_id", "item_id", "kind", "severity", "message", "details")
_FOUND: Final = """
    CREATE TEMPORARY TABLE found (
        alert_id text COLLATE "C", store_id text COLLATE "C", item_id text COLLATE "C", kind text, severity text,
        message text, details jsonb
    ) ON COMMIT DROP
"""
# Whether or not an order would still come in time, the stock is short: one cause, so one alert of changing severity.
_CAUSES: Final[dict[str, str]] = {AlertKind.REORDER_NOW: AlertKind.STOCKOUT_RISK.value}
_CAUSE: Final = (
    "CASE {0}.kind "
    + " ".join(f"WHEN '{kind}' THEN '{cause}'" for kind, cause in _CAUSES.items())
    + " ELSE {0}.kind END"
)
_KEY: Final = f"({{0}}.store_id, {{0}}.item_id, {_CAUSE})"
_SAME: Final = f"{_KEY.format('a')} = {_KEY.format('f')}"
_RANK: Final = "CASE {}.severity " + " ".join(f"WHEN '{s}' THEN {r}" for s, r in URGENCY.items()) + " END"
_WORSE: Final = f"{_RANK.format('f')} < {_RANK.format('a')}"
_STANDING: Final = "a.dataset = :dataset AND a.status <> 'resolved'"
_LASTING: Final = "a.dataset = :dataset AND (a.status <> 'resolved' OR a.cause_gone_at IS NULL)"
_OVER: Final = f"({judged('a')} OR a.unknown_since < :forgotten)"
# What was accepted since the plan looked is said by its alert, and stays said: that plan does not count with it.
_ORDERED: Final = f"""
    UPDATE found AS f SET details = f.details || jsonb_build_object('{ORDERED}', accepted.quantity)
    FROM (
        SELECT l.store_id, l.item_id, sum(l.quantity) AS quantity
        FROM purchase_orders AS o JOIN purchase_order_lines AS l USING (order_id)
        WHERE o.dataset = :dataset AND o.status = 'accepted' AND o.decided_at > :as_of AND l.quantity > 0
        GROUP BY l.store_id, l.item_id
    ) AS accepted
    WHERE (accepted.store_id, accepted.item_id) = (f.store_id, f.item_id) AND f.kind = ANY(:short)
"""
_NOTICED: Final = f"""
    UPDATE stock_alerts AS a SET cause_gone_at = :at
    WHERE a.dataset = :dataset AND a.status = 'resolved' AND a.cause_gone_at IS NULL AND {_OVER}
        AND NOT EXISTS (SELECT FROM found AS f WHERE {_SAME} AND NOT {_WORSE})
"""
_RESOLVED: Final = f"""
    UPDATE stock_alerts AS a SET status = 'resolved', resolved_at = :at, resolved_by = :system, updated_at = :at,
        cause_gone_at = :at, release = :release, note = CASE WHEN {judged("a")} THEN 'the cause is gone'
            ELSE 'the stock has not been known since ' || to_char(a.unknown_since AT TIME ZONE 'UTC', 'YYYY-MM-DD') END
    WHERE {_STANDING} AND {_OVER} AND NOT EXISTS (SELECT FROM found AS f WHERE {_SAME})
    RETURNING a.*
"""
_UPDATED: Final = f"""
    UPDATE stock_alerts AS a SET kind = f.kind, severity = f.severity, message = f.message, details = f.details,
        updated_at = :at, unknown_since = NULL, (status, acknowledged_at, acknowledged_by, note) = (
            SELECT CASE WHEN reopened THEN 'open' ELSE a.status END,
                CASE WHEN NOT reopened THEN a.acknowledged_at END, CASE WHEN NOT reopened THEN a.acknowledged_by END,
                CASE WHEN reopened THEN 'worse than when ' || a.acknowledged_by || ' acknowledged it' ELSE a.note END
            FROM (SELECT a.status = 'acknowledged' AND {_WORSE} AS reopened) AS r
        )
    FROM found AS f
    WHERE {_STANDING} AND {_SAME} AND (a.unknown_since IS NOT NULL
        OR (a.kind, a.severity, a.message, a.details) IS DISTINCT FROM (f.kind, f.severity, f.message, f.details))
    RETURNING a.alert_id
"""
_EVALUATED: Final = f"""
    UPDATE stock_alerts AS a SET release = :release, unknown_since = NULL FROM found AS f
    WHERE {_LASTING} AND {_SAME} AND (a.release <> :release OR a.unknown_since IS NOT NULL)
"""
_UNKNOWN: Final = f"""
    UPDATE stock_alerts AS a SET unknown_since = :at, updated_at = :at
    WHERE {_LASTING} AND a.unknown_since IS NULL AND NOT EXISTS (SELECT FROM found AS f WHERE {_SAME})
    RETURNING a.alert_id, a.status
"""
_RAISED: Final = f"""
    INSERT INTO stock_alerts AS a ({", ".join(_COLUMNS)}, dataset, raised_release, release, raised_at, updated_at)
    SELECT {", ".join(f"f.{name}" for name in _COLUMNS)}, :dataset, :release, :release, :at, :at
    FROM found AS f
    WHERE NOT EXISTS (SELECT FROM stock_alerts AS a WHERE {_LASTING} AND {_SAME})
    RETURNING a.*
"""


def sync_alerts(
    engine: Engine,
    dataset: str,
    release: str,
    alerts: Sequence[Alert],
    *,
    at: datetime,
    as_of: datetime | None = None,
    assessed: "Rows | None" = None,
    patience: timedelta = timedelta(0),
) -> list[tuple[AlertEvent, StockAlert]]:
    """Make `alerts`, found at `at`, those that stand; returns what happened, in that order.

    They count with the orders that were accepted until `as_of` (None: now); those of later ones say what is ordered.
    `assessed` has the store_id and item_id of the series whose stock is known; None: of all. One that stands already
    keeps its id, state and first time; one that gets more severe is open again. One that is not found any more is
    resolved; of a series that could not be assessed it stays, for `patience` from then on. One that a person resolved
    is not raised again before its cause was gone or got worse. Of two that are equal in store, item and cause the last
    counts.
    """
    values = {"dataset": dataset, "release": release, "at": at, "system": SYSTEM, "forgotten": at - patience}
    values |= {"as_of": datetime.now(UTC) if as_of is None else as_of, "short": list(SHORT)}
    with engine.begin() as connection:
        hold_alerts(connection, dataset)
        copy_assessed(connection, assessed)
        _copy_found(connection, alerts)
        _execute(connection, _ORDERED, values)
        _execute(connection, _NOTICED, values)
        resolved = _execute(connection, _RESOLVED, values)
        updated = {row["alert_id"] for row in _execute(connection, _UPDATED, values)}
        _execute(connection, _EVALUATED, values)
        unknown = _execute(connection, _UNKNOWN, values)
        updated |= {row["alert_id"] for row in unknown if row["status"] != AlertStatus.RESOLVED}
        changed = _stored(connection, updated)
        raised = _execute(connection, _RAISED, values)
    happened = ((AlertEvent.RESOLVED, resolved), (AlertEvent.UPDATED, changed), (AlertEvent.RAISED, raised))
    return [(event, StockAlert(**row)) for event, rows in happened for row in rows]


def prune_alerts(engine: Engine, dataset: str, before: datetime) -> int:
    """Delete what was resolved before that time, and whose cause is gone; returns the number."""
    table = stock_alerts.c
    old = (table.status == AlertStatus.RESOLVED, table.resolved_at < before, table.cause_gone_at.is_not(None))
    with engine.begin() as connection:
        return connection.execute(delete(stock_alerts).where(table.dataset == dataset, *old)).rowcount


def _copy_found(connection: Connection, alerts: Sequence[Alert]) -> None:
    import pyarrow as pa

    latest = list({(a.store_id, a.item_id, _CAUSES.get(a.kind, a.kind)): a for a in alerts}.values())
    columns = {name: [storable(getattr(a, name)) for a in latest] for name in _COLUMNS[1:-1]}
    columns |= {"alert_id": [str(uuid.uuid4()) for _ in latest]}
    columns |= {"details": [JSONB_VERSION + to_json(a.details) for a in latest]}
    shape = pa.schema([pa.field(name, pa.string()) for name in _COLUMNS])
    connection.execute(text(_FOUND))
    copy_in(driver(connection), "found", canonical(columns, shape, stock_alerts.name), _COLUMNS)
    connection.execute(text("ANALYZE found"))


def _execute(connection: Connection, statement: str, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    result = connection.execute(text(statement), dict(values))
    return [dict(row) for row in result.mappings()] if result.returns_rows else []


def _stored(connection: Connection, ids: set[str]) -> list[Mapping[str, Any]]:
    statement = text("SELECT * FROM stock_alerts WHERE alert_id = ANY(:ids)")
    return [dict(row) for row in connection.execute(statement, {"ids": list(ids)}).mappings()]
