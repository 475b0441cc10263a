"""Stock alerts: read them, and let people acknowledge and resolve them. `store.alert_sync` raises them."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, func, select, tuple_, update
from sqlalchemy.engine import RowMapping

from shelfops_pipeline.contracts.messages import AlertEvent, AlertMessage
from shelfops_pipeline.contracts.replenishment import AlertKind, AlertSeverity, AlertStatus
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.replenishment_records import StockAlert
from shelfops_pipeline.store.replenishment_tables import purchase_order_lines, stock_alerts

table, lines = stock_alerts.c, purchase_order_lines.c
ORDERED: Final = "ordered"
"""In an alert's details: units of the series in orders accepted since the plan that raised or changed the alert."""
SHORT: Final = (AlertKind.REORDER_NOW.value, AlertKind.STOCKOUT_RISK.value)
"""The kinds that an order may end."""
URGENCY: Final = {severity.value: rank for rank, severity in enumerate(AlertSeverity)}


class UnknownAlertError(ShelfOpsError):
    """The retailer has no alert of that id."""


class AlertStateError(ShelfOpsError):
    """The alert's state does not allow what was asked."""


def list_alerts(
    engine: Engine,
    dataset: str,
    *,
    status: AlertStatus | None = None,
    store_id: str | None = None,
    item_id: str | None = None,
    kind: str | None = None,
    severity: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[StockAlert]:
    """The alerts that match, the most urgent first, then the newest; `after` is the id of the last one already seen.

    Without a `status`, those that are not resolved. Raises UnknownAlertError when there is no alert `after`.
    """
    wanted = {"store_id": store_id, "item_id": item_id, "kind": kind, "severity": severity, "status": status}
    conditions = [table[name] == value for name, value in wanted.items() if value is not None]
    if status is None:
        conditions.append(table.status != AlertStatus.RESOLVED)
    statement = select(stock_alerts).where(table.dataset == dataset, *conditions)
    with engine.connect() as connection:
        if after is not None:
            place = select(*_order()).where(table.dataset == dataset, table.alert_id == after)
            seen = connection.execute(place).first()
            if seen is None:
                raise _unknown(dataset, after)
            statement = statement.where(tuple_(*_order()) > tuple_(*seen))
        rows = connection.execute(statement.order_by(*_order()).limit(limit)).mappings()
        return [StockAlert(**row) for row in rows]


def read_alert(engine: Engine, dataset: str, alert_id: str) -> StockAlert:
    """One alert. Raises UnknownAlertError."""
    with engine.connect() as connection:
        row = connection.execute(select(stock_alerts).where(*_this(dataset, alert_id))).mappings().first()
    if row is None:
        raise _unknown(dataset, alert_id)
    return StockAlert(**row)


def count_alerts(engine: Engine, dataset: str) -> dict[str, int]:
    """How many alerts of each kind are not resolved, the most frequent first."""
    statement = (
        select(table.kind, func.count())
        .where(table.dataset == dataset, table.status != AlertStatus.RESOLVED)
        .group_by(table.kind)
        .order_by(func.count().desc(), table.kind)
    )
    with engine.connect() as connection:
        return {kind: count for kind, count in connection.execute(statement)}


def acknowledge(engine: Engine, dataset: str, alert_id: str, *, who: str) -> StockAlert:
    """Somebody has seen an open alert and takes care of it. Raises UnknownAlertError and AlertStateError."""
    values = {
        "status": AlertStatus.ACKNOWLEDGED.value,
        "acknowledged_at": func.clock_timestamp(),
        "acknowledged_by": who,
        "updated_at": func.clock_timestamp(),
    }
    return _change(engine, dataset, alert_id, (AlertStatus.OPEN,), values)


def resolve(engine: Engine, dataset: str, alert_id: str, *, who: str, note: str = "") -> StockAlert:
    """Somebody has settled an alert. It is not raised again until its cause has been gone, or got worse.

    Raises UnknownAlertError, and AlertStateError when it is resolved already.
    """
    values = {
        "status": AlertStatus.RESOLVED.value,
        "resolved_at": func.clock_timestamp(),
        "resolved_by": who,
        "note": note,
        "updated_at": func.clock_timestamp(),
    }
    return _change(engine, dataset, alert_id, (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED), values)


def hold_alerts(connection: Connection, dataset: str) -> None:
    """Until this transaction ends nobody else changes several alerts of the retailer: two who lock the same rows in
    another order wait for each other."""
    connection.execute(select(func.pg_advisory_xact_lock(lock_key(f"alerts:{dataset}"))))


def mark_ordered(connection: Connection, dataset: str, order_id: str) -> None:
    """Let the alerts that stand for what is in an order say how much is ordered; the next plan counts with it."""
    hold_alerts(connection, dataset)
    this = and_(table.store_id == lines.store_id, table.item_id == lines.item_id, table.dataset == dataset)
    before = func.coalesce(table.details[ORDERED].as_float(), 0.0)
    ordered = func.jsonb_build_object(ORDERED, before + lines.quantity)
    values = {"details": table.details.concat(ordered), "updated_at": func.clock_timestamp()}
    standing = (table.status != AlertStatus.RESOLVED, table.kind.in_(SHORT), lines.quantity > 0)
    connection.execute(update(stock_alerts).where(lines.order_id == order_id, this, *standing).values(values))


def alerts_of_order(engine: Engine, dataset: str, order_id: str) -> list[StockAlert]:
    """The alerts that stand and say that this order was accepted, or another one of the same series since the plan."""
    this = and_(table.store_id == lines.store_id, table.item_id == lines.item_id)
    statement = select(stock_alerts).join(purchase_order_lines, this)
    here = (table.dataset == dataset, lines.order_id == order_id, table.details.has_key(ORDERED))
    with engine.connect() as connection:
        rows = connection.execute(statement.where(*here, table.status != AlertStatus.RESOLVED)).mappings()
        return [StockAlert(**row) for row in rows]


def alert_message(event: AlertEvent, alert: StockAlert) -> AlertMessage:
    """What is announced of an alert."""
    told = {name: getattr(alert, name) for name in AlertMessage.model_fields if name != "event"}
    return AlertMessage(event=event, **told)


def urgency(severity: ColumnElement[Any]) -> ColumnElement[int]:
    """0 for the most urgent severity."""
    return case(URGENCY, value=severity, else_=len(URGENCY))


def _order() -> tuple[ColumnElement[Any], ...]:
    """Urgency, then age; no two alerts are equal in it."""
    return urgency(table.severity), -func.extract("epoch", table.raised_at), table.alert_id


def _change(
    engine: Engine, dataset: str, alert_id: str, allowed: tuple[AlertStatus, ...], values: dict[str, Any]
) -> StockAlert:
    """One statement, so that of two people who decide at once only one does."""
    here = _this(dataset, alert_id)
    statement = update(stock_alerts).where(*here, table.status.in_(allowed)).values(values).returning(stock_alerts)
    with engine.begin() as connection:
        row: RowMapping | None = connection.execute(statement).mappings().first()
        if row is None:
            found = connection.execute(select(stock_alerts).where(*here)).mappings().first()
            raise _unknown(dataset, alert_id) if found is None else _not_now(StockAlert(**found))
    return StockAlert(**row)


def _this(dataset: str, alert_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.dataset == dataset, table.alert_id == alert_id


def _unknown(dataset: str, alert_id: str) -> UnknownAlertError:
    return UnknownAlertError(f"{dataset} has no alert {alert_id!r}; it may have been pruned")


def _not_now(alert: StockAlert) -> AlertStateError:
    who = alert.resolved_by if alert.status == AlertStatus.RESOLVED else alert.acknowledged_by
    return AlertStateError(f"alert {alert.alert_id} is {alert.status} already, by {who or 'somebody'}")
