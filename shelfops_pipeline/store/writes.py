"""What the asset graph writes to the warehouse. Each function is one transaction, and idempotent.

Publishing order: forecasts and online features of a release first, its pointer row last; only then do
readers, who start from `latest_release`, see any of it.
"""

import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Engine, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, ITEM_ID, KIND, ORIGIN, STORE_ID
from shelfops_pipeline.store.bulk import Columns, arrow_table, as_bytea, driver, replace_series
from shelfops_pipeline.store.records import Alert, QuarantinedRow
from shelfops_pipeline.store.tables import (
    MODEL_VERSION,
    PAYLOAD,
    RELEASE,
    demand_forecasts,
    online_features,
    quarantined_transactions,
    releases,
    stock_alerts,
)

_ALERT_SPACE: Final = uuid.UUID("5d1a9c52-4f0b-5b8e-9a53-6a1c6a3f2f10")
_PRUNED: Final = (demand_forecasts, online_features, stock_alerts, releases)


def publish_forecasts(engine: Engine, release: str, columns: Columns) -> int:
    """Write forecasts for the series in `columns`, replacing what the release had for them; returns the rows.

    `columns`: `contracts.columns.FORECAST_COLUMNS` and `model_version`, as arrays or lists of one length (a
    string stands for a constant column). Raises DataError for missing columns or values, or duplicate keys.
    """
    data = arrow_table(columns, (*FORECAST_COLUMNS, MODEL_VERSION), release)
    with engine.begin() as connection:
        return replace_series(connection, demand_forecasts.name, data)


def publish_online_features(engine: Engine, release: str, columns: Columns) -> int:
    """Write model inputs for the series in `columns`, replacing what the release had; returns the row count.

    `columns`: store_id, item_id, model_version, origin, and payload as float32 `[n x k]` or n byte strings.
    """
    packed = {**columns, PAYLOAD: as_bytea(columns[PAYLOAD])} if PAYLOAD in columns else columns
    data = arrow_table(packed, (STORE_ID, ITEM_ID, MODEL_VERSION, ORIGIN, PAYLOAD), release)
    with engine.begin() as connection:
        return replace_series(connection, online_features.name, data)


def publish_release(
    engine: Engine,
    release: str,
    *,
    champion_version: str,
    cold_start_version: str | None,
    dataset: str,
    manifest: Mapping[str, Any],
) -> None:
    """Point readers at `release`. Call it last. Publishing again makes the release the latest once more."""
    values = {
        "champion_version": champion_version,
        "cold_start_version": cold_start_version,
        "dataset": dataset,
        "manifest": dict(manifest),
        "published_at": func.clock_timestamp(),
    }
    statement = insert(releases).values(release=release, **values)
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=[RELEASE], set_=values))


def prune_releases(engine: Engine, dataset: str, keep: int = 2) -> tuple[str, ...]:
    """Delete all but the `keep` latest releases of `dataset`, with their rows; returns the deleted ones."""
    if keep < 1:
        raise ValueError("keep at least the release that is being served")
    old = (
        select(releases.c.release)
        .where(releases.c.dataset == dataset)
        .order_by(releases.c.published_at.desc(), releases.c.release.desc())
        .offset(keep)
    )
    with engine.begin() as connection:
        names = tuple(connection.scalars(old))
        if names:
            for table in _PRUNED:
                connection.execute(delete(table).where(table.c.release.in_(names)))
    return names


def replace_alerts(engine: Engine, release: str, alerts: Iterable[Alert]) -> int:
    """Make `alerts` the release's alerts; returns how many there are.

    An alert raised again keeps its id, status and first time; one that is no longer raised disappears.
    """
    rows = {
        alert_id(release, a): {
            "alert_id": alert_id(release, a),
            RELEASE: release,
            STORE_ID: a.store_id,
            ITEM_ID: a.item_id,
            KIND: a.kind,
            "severity": a.severity,
            "message": a.message,
            "details": _clean(a.details),
        }
        for a in alerts
    }
    statement = insert(stock_alerts)
    changed = {name: statement.excluded[name] for name in ("severity", "message", "details")}
    gone = stock_alerts.c.alert_id.not_in(select(func.unnest(literal(list(rows), _text_array()))))
    with engine.begin() as connection:
        connection.execute(delete(stock_alerts).where(stock_alerts.c.release == release, gone))
        if rows:
            upsert = statement.on_conflict_do_update(index_elements=["alert_id"], set_=changed)
            connection.execute(upsert, list(rows.values()))
    return len(rows)


def alert_id(release: str, alert: Alert) -> str:
    """The same alert of the same release always has the same id."""
    return str(uuid.uuid5(_ALERT_SPACE, json.dumps([release, alert.store_id, alert.item_id, alert.kind])))


def replace_quarantine(
    engine: Engine, dataset: str, partition_keys: Sequence[str], rows: Iterable[QuarantinedRow]
) -> int:
    """Replace the quarantined rows of these partitions; returns how many there are now.

    `rows` may be a generator; a row of another partition raises ValueError, and nothing changes.
    """
    table = quarantined_transactions
    allowed = frozenset(partition_keys)
    names = "dataset, partition_key, source, line, reason, row"
    count = 0
    with engine.begin() as connection:
        here = table.c.partition_key.in_(select(func.unnest(literal(list(allowed), _text_array()))))
        connection.execute(delete(table).where(table.c.dataset == dataset, here))
        with driver(connection).cursor().copy(f"COPY quarantined_transactions ({names}) FROM STDIN") as copy:
            for r in rows:
                if r.partition_key not in allowed:
                    raise ValueError(f"row of partition {r.partition_key}, which is not being replaced")
                text = (_storable(r.source), r.line, _storable(r.reason))
                copy.write_row((dataset, r.partition_key, *text, _json(r.row)))
                count += 1
    return count


def _text_array() -> Any:
    from sqlalchemy import ARRAY, Text

    return ARRAY(Text)


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(_clean(row), default=str, ensure_ascii=False)


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON and PostgreSQL know neither NaN nor the NUL character; dirty files have both."""
    return {_storable(str(key)): _storable(value) for key, value in row.items()}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
