"""What the asset graph writes to the warehouse. Each function is one transaction, and idempotent.

Publishing order: forecasts and online features of a release first, its pointer row last; only then do
readers, who start from `latest_release`, see any of it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from shelfops_pipeline.contracts.columns import DATE, FORECAST_COLUMNS, ITEM_ID, ORIGIN, STORE_ID
from shelfops_pipeline.store.bulk import Columns, arrow_table, as_bytea, delete_others, delete_series, replace_series
from shelfops_pipeline.store.jsonb import clean, storable
from shelfops_pipeline.store.replenishment_tables import reorder_plan
from shelfops_pipeline.store.tables import (
    MEMBER,
    MODEL_VERSION,
    PAYLOAD,
    PERIODS,
    PREDICTION,
    REASONS,
    RELEASE,
    SENTENCE,
    START,
    demand_forecasts,
    forecast_explanations,
    online_features,
    releases,
)
from shelfops_pipeline.store.totals import forecast_totals

_OF_SERIES: Final = (demand_forecasts, forecast_explanations, online_features)
_PRUNED: Final = (demand_forecasts, forecast_explanations, forecast_totals, online_features, reorder_plan, releases)


def publish_forecasts(engine: Engine, release: str, columns: Columns) -> int:
    """Write forecasts for the series in `columns`, replacing what the release had for them; returns the rows.

    Explanations of the replaced forecasts go with them, and the release's totals: none outlives its forecasts.

    `columns`: `contracts.columns.FORECAST_COLUMNS` and `model_version`, as arrays or lists of one length (a
    string stands for a constant column). Raises DataError for missing columns or values, or duplicate keys.
    """
    data = arrow_table(columns, (*FORECAST_COLUMNS, MODEL_VERSION), release)
    with engine.begin() as connection:
        delete_series(connection, forecast_explanations.name, data)
        connection.execute(delete(forecast_totals).where(forecast_totals.c.release == release))
        return replace_series(connection, demand_forecasts.name, data)


def forget_series(engine: Engine, release: str, columns: Columns) -> int:
    """Delete what the release has of series that are not in `columns` (store_id and item_id); returns the rows.

    A release is published again each day: a series that the retailer has taken back since would stay as it once was.
    """
    data = arrow_table(columns, (STORE_ID, ITEM_ID), release)
    with engine.begin() as connection:
        return sum(delete_others(connection, table.name, release, data) for table in _OF_SERIES)


def publish_explanations(engine: Engine, release: str, columns: Columns) -> int:
    """Write explanations for the series in `columns`, replacing what the release had for them; returns the rows.

    `columns`: store_id, item_id, date, periods, model_version, member, start (None where there is none), prediction,
    sentence, and reasons as lists of mappings. Raises DataError for missing columns or values, or duplicate keys.
    """
    texts = {SENTENCE: [storable(text) for text in columns[SENTENCE]]} if SENTENCE in columns else {}
    if REASONS in columns:
        texts[REASONS] = [json.dumps([clean(r) for r in row], ensure_ascii=False) for row in columns[REASONS]]
    names = (STORE_ID, ITEM_ID, DATE, PERIODS, MODEL_VERSION, MEMBER, START, PREDICTION, SENTENCE, REASONS)
    data = arrow_table({**columns, **texts}, names, release)
    with engine.begin() as connection:
        return replace_series(connection, forecast_explanations.name, data)


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
