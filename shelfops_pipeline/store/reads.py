"""What the API and the command line read from the warehouse. All values are bound, never pasted into SQL."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from sqlalchemy import ARRAY, Engine, Text, column, func, literal, select

from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID
from shelfops_pipeline.store import tables
from shelfops_pipeline.store.records import (
    ForecastExplanation,
    ForecastRow,
    OnlineFeatures,
    Release,
)
from shelfops_pipeline.store.tables import (
    demand_forecasts,
    forecast_explanations,
    releases,
)

SeriesKey = tuple[str, str]

features = tables.online_features  # the function below has the table's name
_EXPLANATION_COLUMNS: Final = tuple(forecast_explanations.c[name] for name in ForecastExplanation._fields)
_FORECAST_COLUMNS: Final = tuple(demand_forecasts.c[name] for name in ForecastRow._fields)


def latest_release(engine: Engine, dataset: str) -> Release | None:
    """The release being served, or None before the first one is published."""
    statement = (
        select(releases)
        .where(releases.c.dataset == dataset)
        .order_by(releases.c.published_at.desc(), releases.c.release.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(statement).mappings().first()
    return None if row is None else Release(**row)


def series_forecast(engine: Engine, release: str, store_id: str, item_id: str) -> list[ForecastRow]:
    """The series' forecast in order of date; empty for a series that the release does not have."""
    table = demand_forecasts.c
    statement = (
        select(*_FORECAST_COLUMNS)
        .where(table.release == release, table.store_id == store_id, table.item_id == item_id)
        .order_by(table.date)
    )
    with engine.connect() as connection:
        return [ForecastRow(*row) for row in connection.execute(statement)]


def series_explanations(engine: Engine, release: str, store_id: str, item_id: str) -> list[ForecastExplanation]:
    """Why the series' forecast is what it is: over all explained periods first, then by date.

    Empty for a series that the release does not have, or whose forecasts are not explained yet.
    """
    table = forecast_explanations.c
    statement = (
        select(*_EXPLANATION_COLUMNS)
        .where(table.release == release, table.store_id == store_id, table.item_id == item_id)
        .order_by(table.periods.desc(), table.date)
    )
    with engine.connect() as connection:
        return [ForecastExplanation(*row) for row in connection.execute(statement)]


def online_features(engine: Engine, release: str, keys: Sequence[SeriesKey]) -> dict[SeriesKey, OnlineFeatures]:
    """Model inputs of the series in `keys`, in one query; series that are not in the release are left out."""
    if not keys:
        return {}
    wanted = (
        func.unnest(*(literal([key[i] for key in keys], ARRAY(Text)) for i in (0, 1)))
        .table_valued(column(STORE_ID, Text), column(ITEM_ID, Text), name="wanted")
        .render_derived()
    )
    same = (features.c.store_id == wanted.c.store_id) & (features.c.item_id == wanted.c.item_id)
    statement = (
        select(
            features.c.store_id,
            features.c.item_id,
            features.c.model_version,
            features.c.origin,
            features.c.payload,
            releases.c.published_at,
        )
        .join_from(features, wanted, same)
        .join(releases, releases.c.release == features.c.release, isouter=True)
        .where(features.c.release == release)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    return {(s, i): OnlineFeatures(version, at, np.frombuffer(data, "<f4"), t) for s, i, version, at, data, t in rows}
