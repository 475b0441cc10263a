"""Forecast a whole panel: each series by the tier that its history allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.sequence import Scales
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.schemas.prediction import check_prediction_input


class Shaped(Protocol):
    """What a model's inputs depend on: a manifest has it, and so have fitted members."""

    @property
    def spec(self) -> TierSpec: ...
    @property
    def transform(self) -> Transform: ...
    @property
    def channel_scales(self) -> Scales: ...
    @property
    def static_categories(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def holiday_kinds(self) -> tuple[str, ...]: ...


class Fitted(Shaped, Protocol):
    """A version of a model, in memory or as its manifest."""

    @property
    def version(self) -> str: ...


@dataclass(frozen=True)
class ServingInput:
    """The series that one model version serves, and what is known of them."""

    version: str
    spec: TierSpec
    rows: NDArray[np.intp]
    """their rows in the panel"""
    state: SeriesState


@dataclass(frozen=True)
class ServedPart:
    """A serving input and the forecast made from it."""

    input: ServingInput
    forecast: Forecast


def serve(panel: Panel, models: Mapping[Tier, ServedModel], metric: Metric) -> list[ServedPart]:
    """Forecast every series of the panel from its last observed period."""
    by_version = {model.version: model for model in models.values()}
    inputs = serving_inputs(panel, models)
    return [ServedPart(i, predict_demand(by_version[i.version], i.state, metric)) for i in inputs]


def serving_inputs(panel: Panel, models: Mapping[Tier, Fitted]) -> list[ServingInput]:
    """The inputs of each version, from the panel's last observed period, through the prediction-input gate.

    With both tiers, series with at least the production tier's `min_history` observed periods go to production, the
    rest to cold start. Raises DataError where the gate fails.
    """
    inputs = []
    for tier, rows in assign_tiers(panel, models).items():
        state = origin_state(panel, models[tier], panel.n_observed - 1).take(rows)
        check_prediction_input(panel.take(rows), state)
        inputs.append(ServingInput(models[tier].version, models[tier].spec, rows, state))
    return inputs


def assign_tiers(panel: Panel, models: Mapping[Tier, Fitted]) -> dict[Tier, NDArray[np.intp]]:
    """Which series each tier serves; a tier with none is left out."""
    everything = np.arange(panel.n_series)
    if len(models) == 1:
        return {next(iter(models)): everything}
    history = np.isfinite(np.asarray(panel.demand[:, : panel.n_observed])).sum(axis=1)
    enough = history >= models[Tier.PRODUCTION].spec.min_history
    split = {Tier.PRODUCTION: everything[enough], Tier.COLD_START: everything[~enough]}
    return {tier: rows for tier, rows in split.items() if len(rows)}


def origin_state(panel: Panel, model: Shaped, origin: int) -> SeriesState:
    """The state of all series at an origin, in the shape and with the codes that the model was fitted with."""
    aligned = panel.aligned(model.static_categories, model.holiday_kinds)
    return StateBuilder(aligned, model.spec, model.transform, model.channel_scales).at(origin)


def forecast_columns(panel: Panel, part: ServedPart) -> dict[str, NDArray[np.generic]]:
    """contracts.columns.FORECAST_COLUMNS as arrays, one entry per series and period."""
    n, H = part.forecast.mean.shape
    columns: dict[str, NDArray[np.generic]] = {
        c.STORE_ID: np.repeat(panel.store_ids[part.input.rows], H),
        c.ITEM_ID: np.repeat(panel.item_ids[part.input.rows], H),
        c.DATE: np.tile(part.forecast.dates.astype("datetime64[D]"), n),
        c.MEAN: part.forecast.mean.reshape(-1),
        c.POINT: part.forecast.point.reshape(-1),
    }
    quantiles = part.forecast.quantiles.reshape(-1, len(c.QUANTILES))
    return columns | {name: quantiles[:, i] for i, name in enumerate(c.QUANTILE_COLUMNS)}


def forecast_table(panel: Panel, parts: list[ServedPart], with_version: bool = False) -> pa.Table:
    """The forecast file: store_id, item_id (string), date (date32), mean, point and quantiles (float32), sorted; and
    the version that made each row where asked for."""
    fields = [(c.STORE_ID, pa.string()), (c.ITEM_ID, pa.string()), (c.DATE, pa.date32())]
    fields += [(name, pa.float32()) for name in (c.MEAN, c.POINT, *c.QUANTILE_COLUMNS)]
    tables = []
    for part in parts:
        columns = forecast_columns(panel, part)
        if with_version:
            columns["model_version"] = np.full(len(columns[c.MEAN]), part.input.version)
        tables.append(pa.table(columns))
    if with_version:
        fields.append(("model_version", pa.string()))
    keys = [(name, "ascending") for name in (c.STORE_ID, c.ITEM_ID, c.DATE)]
    return pa.concat_tables(tables).cast(pa.schema(fields)).sort_by(keys)
