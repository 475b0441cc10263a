"""Make the stored alerts what a new evaluation of all series says: raise, change, resolve. One transaction, by COPY."""
# ruff: noqa: S608 - the pieces of a statement are constants of ours; values are bound

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, text

from shelfops_pipeline.contracts.messages import AlertEvent
from shelfops_pipeline.contracts.replenishment import AlertStatus
from shelfops_pipeline.store.alerts import URGENCY
from shelfops_pipeline.store.arrow import canonical
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import JSONB_VERSION, copy_in
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.jsonb import storable, to_json
from shelfops_pipeline.store.replenishment_records import Alert, StockAlert
from shelfops_pipeline.store.replenishment_tables import stock_alerts

SYSTEM: Final = "shelfops"
"""Who did it, where nobody did."""
_COLUMNS: Final = ("alert_id", "store_id", "item_id", "kind", "severity", "message", "details")
_SAME: Final = "(a.store_id, a.item_id, a.kind) = (f.store_id, f.item_id, f.kind)"
_FOUND: Final = """
    CREATE TEMPORARY TABLE found (
        alert_id text COLLATE "C", store_id text COLLATE "C", item_id text COLLATE "C", kind text, severity text,
        message text, details jsonb
    ) ON COMMIT DROP
"""
_RANK: Final = "CASE {}.severity " + " ".join(f"WHEN '{s}' THEN {r}" for s, r in URGENCY.items()) + " END"
_NOTICED: Final = "UPDATE stock_alerts AS a SET cause_gone_at = :at WHERE a.dataset = :dataset" + (
    f" AND a.status = 'resolved' AND a.cause_gone_at IS NULL AND NOT EXISTS (SELECT FROM found AS f WHERE {_SAME}"
    f" AND {_RANK.format('f')} >= {_RANK.format('a')})"
)
_RESOLVED: Final = f"""
    UPDATE stock_alerts AS a SET status = 'resolved', resolved_at = :at, resolved_by = :system, updated_at = :at,
        cause_gone_at = :at, note = 'the cause is gone', release = :release
    WHERE a.dataset = :dataset AND a.status <> 'resolved' AND NOT EXISTS (SELECT FROM found AS f WHERE {_SAME})
    RETURNING a.*
"""
_UPDATED: Final = f"""
    UPDATE stock_alerts AS a SET severity = f.severity, message = f.message, details = f.details, updated_at = :at
    FROM found AS f
    WHERE a.dataset = :dataset AND a.status <> 'resolved' AND {_SAME}
        AND (a.severity, a.message, a.details) IS DISTINCT FROM (f.severity, f.message, f.details)
    RETURNING a.alert_id
"""
_EVALUATED: Final = f"""
    UPDATE stock_alerts AS a SET release = :release FROM found AS f
    WHERE a.dataset = :dataset AND a.status <> 'resolved' AND {_SAME} AND a.release <> :release
"""
_RAISED: Final = f"""
    INSERT INTO stock_alerts AS a ({", ".join(_COLUMNS)}, dataset, raised_release, release, raised_at, updated_at)
    SELECT {", ".join(f"f.{name}" for name in _COLUMNS)}, :dataset, :release, :release, :at, :at
    FROM found AS f
    WHERE NOT EXISTS (
        SELECT FROM stock_alerts AS a WHERE a.dataset = :dataset AND {_SAME}
            AND (a.status <> 'resolved' OR a.cause_gone_at IS NULL)
    )
    RETURNING a.*
"""


def sync_alerts(
    engine: Engine, dataset: str, release: str, alerts: Sequence[Alert], *, at: datetime
) -> list[tuple[AlertEvent, StockAlert]]:
    """Make `alerts`, found in all series of `dataset` at `at`, those that stand; returns what happened, in that order.

    One that stands already keeps its id, state and first time; one that is not found any more is resolved. One that a
    person resolved is not raised again before its cause was gone or got worse. Of two that are equal in store, item and
    kind the last counts.
    """
    values = {"dataset": dataset, "release": release, "at": at, "system": SYSTEM}
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(f"alerts:{dataset}")})
        _copy_found(connection, alerts)
        _execute(connection, _NOTICED, values)
        resolved = _execute(connection, _RESOLVED, values)
        updated = {row["alert_id"] for row in _execute(connection, _UPDATED, values)}
        _execute(connection, _EVALUATED, values)
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

    latest = list({(a.store_id, a.item_id, a.kind): a for a in alerts}.values())
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
