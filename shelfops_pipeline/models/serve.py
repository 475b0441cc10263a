"""Forecast a whole panel: each series by the tier that its history allows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.schemas.prediction import check_prediction_input


@dataclass(frozen=True)
class ServedPart:
    """The series that one model version serves."""

    version: str
    rows: NDArray[np.intp]
    """their rows in the panel"""
    state: SeriesState
    forecast: Forecast


def serve(panel: Panel, models: dict[Tier, ServedModel], metric: Metric) -> list[ServedPart]:
    """Forecast every series of the panel from its last observed period.

    With both tiers, series with at least the production tier's `min_history` observed periods go to production, the
    rest to cold start. The prediction-input gate runs before each call. Raises DataError where it fails.
    """
    parts = []
    for tier, rows in assign_tiers(panel, models).items():
        model = models[tier]
        state = origin_state(panel, model, panel.n_observed - 1).take(rows)
        check_prediction_input(panel.take(rows), state)
        parts.append(ServedPart(model.version, rows, state, predict_demand(model, state, metric)))
    return parts


def assign_tiers(panel: Panel, models: dict[Tier, ServedModel]) -> dict[Tier, NDArray[np.intp]]:
    """Which series each tier serves; a tier with none is left out."""
    everything = np.arange(panel.n_series)
    if len(models) == 1:
        return {next(iter(models)): everything}
    history = np.isfinite(np.asarray(panel.demand[:, : panel.n_observed])).sum(axis=1)
    enough = history >= models[Tier.PRODUCTION].spec.min_history
    split = {Tier.PRODUCTION: everything[enough], Tier.COLD_START: everything[~enough]}
    return {tier: rows for tier, rows in split.items() if len(rows)}


def origin_state(panel: Panel, model: ServedModel, origin: int) -> SeriesState:
    """The state of all series at an origin, in the shape that the model was fitted with."""
    members = model.members
    return StateBuilder(panel, members.spec, members.transform, members.channel_scales).at(origin)


def forecast_columns(panel: Panel, part: ServedPart) -> dict[str, NDArray[np.generic]]:
    """contracts.columns.FORECAST_COLUMNS as arrays, one entry per series and period."""
    n, H = part.forecast.mean.shape
    columns: dict[str, NDArray[np.generic]] = {
        c.STORE_ID: np.repeat(panel.store_ids[part.rows], H),
        c.ITEM_ID: np.repeat(panel.item_ids[part.rows], H),
        c.DATE: np.tile(part.forecast.dates.astype("datetime64[D]"), n),
        c.MEAN: part.forecast.mean.reshape(-1),
        c.POINT: part.forecast.point.reshape(-1),
    }
    quantiles = part.forecast.quantiles.reshape(-1, len(c.QUANTILES))
    return columns | {name: quantiles[:, i] for i, name in enumerate(c.QUANTILE_COLUMNS)}


def forecast_table(panel: Panel, parts: list[ServedPart]) -> pa.Table:
    """The forecast file: store_id, item_id (string), date (date32), mean, point and quantiles (float32)."""
    tables = [pa.table(forecast_columns(panel, part)) for part in parts]
    schema = pa.schema(
        [
            (c.STORE_ID, pa.string()),
            (c.ITEM_ID, pa.string()),
            (c.DATE, pa.date32()),
            *((name, pa.float32()) for name in (c.MEAN, c.POINT, *c.QUANTILE_COLUMNS)),
        ]
    )
    keys = [(name, "ascending") for name in (c.STORE_ID, c.ITEM_ID, c.DATE)]
    return pa.concat_tables(tables).cast(schema).sort_by(keys)
