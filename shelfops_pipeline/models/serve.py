"""Forecast a whole panel: each series by the tier that its history allows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import MEMBERS, Transform
from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.backends import BATCH
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import Forecast, ServedModel, calibrated
from shelfops_pipeline.inference.sequence import Scales
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.totals import Totals
from shelfops_pipeline.schemas.prediction import check_prediction_input, check_series

Floats = NDArray[np.float32]


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
    members: dict[str, Floats]
    """[S, H] what each member expects of them, before calibration"""


@dataclass(frozen=True)
class ServedPart:
    """A serving input and the forecast made from it."""

    input: ServingInput
    forecast: Forecast


def serve(panel: Panel, models: Mapping[Tier, ServedModel], metric: Metric) -> list[ServedPart]:
    """Forecast every series of the panel from its last observed period."""
    calibration = {model.version: model.calibration for model in models.values()}
    return [served(part, calibration[part.version], metric) for part in serving_inputs(panel, models)]


def served(part: ServingInput, calibration: Calibration, metric: Metric) -> ServedPart:
    """The calibrated forecast of an input, by the calibration of its version."""
    return ServedPart(part, calibrated(calibration, part.state, part.members, metric))


def serving_inputs(panel: Panel, models: Mapping[Tier, ServedModel]) -> list[ServingInput]:
    """The inputs of each version, from the panel's last observed period, through the prediction-input gate; with the
    shift of every series towards its total.

    With both tiers, series with at least the production tier's `min_history` observed periods go to production, the
    rest to cold start. Raises DataError where the gate fails.
    """
    parts = [make_inputs(panel, models[shard.tier], shard) for shard in serving_shards(panel, models, 1)]
    return join_inputs(panel, parts, served_totals(panel, models))


@dataclass(frozen=True)
class Shard:
    """Some of the series that a tier serves, at most about as many as one of several workers should have."""

    tier: Tier
    rows: NDArray[np.intp]
    """their rows in the panel, ascending"""


def serving_shards(panel: Panel, models: Mapping[Tier, Fitted], shards: int) -> list[Shard]:
    """Series by the tier that serves them, in about `shards` parts of whole batches of the network: what a library
    computes of a row may depend, in the last bit, on how many others are in its batch."""
    tiers = assign_tiers(panel, models)
    size = -(-sum(-(-len(rows) // BATCH) for rows in tiers.values()) // shards) * BATCH
    return [Shard(tier, rows[low : low + size]) for tier, rows in tiers.items() for low in range(0, len(rows), size)]


def make_inputs(panel: Panel, model: ServedModel, shard: Shard) -> ServingInput:
    """What is known of the series of a shard, through the prediction-input gate, and what the members make of it; no
    shift towards totals yet. Raises DataError where the gate fails."""
    rows = shard.rows
    first = int(rows[0]) // BATCH * BATCH  # in whole blocks, as they are made for all series
    within = slice(first, min(-(-int(rows[-1] + 1) // BATCH) * BATCH, panel.n_series))
    state = origin_state(panel, model, panel.n_observed - 1, within).take(rows - first)
    check_prediction_input(panel.take(rows), state)
    return ServingInput(model.version, model.spec, rows, state, model.members.predict(state))


def served_totals(panel: Panel, models: Mapping[Tier, Fitted]) -> Totals | None:
    """The forecast of the totals that the series are moved towards, as far ahead as every tier that serves some; None
    where there are none. It takes nothing of what the members expect."""
    return Totals.of(panel, min(models[tier].spec.horizon for tier in assign_tiers(panel, models)))


def join_inputs(panel: Panel, parts: Sequence[ServingInput], totals: Totals | None) -> list[ServingInput]:
    """The inputs of each version from those of shards, in the order of the series; each series with its shift towards
    its total, whose sum takes series of all shards and both tiers together. Raises DataError when a series is there
    twice, which a shard cannot see."""
    check_series(panel)
    versions = dict.fromkeys(part.version for part in parts)
    joined = [_joined([part for part in parts if part.version == version]) for version in versions]
    return joined if totals is None else _shifted(panel, joined, totals)


def _joined(parts: Sequence[ServingInput]) -> ServingInput:
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: int(part.rows[0]))
    return replace(
        parts[0],
        rows=np.concatenate([part.rows for part in parts]),
        state=SeriesState.join([part.state for part in parts]),
        members={name: np.concatenate([part.members[name] for part in parts]) for name in parts[0].members},
    )


def _shifted(panel: Panel, parts: list[ServingInput], totals: Totals) -> list[ServingInput]:
    horizon = totals.forecast.shape[1]
    whole = {name: np.zeros((panel.n_series, horizon), dtype=np.float32) for name in MEMBERS}
    for part in parts:
        for name in MEMBERS:
            whole[name][part.rows] = part.members[name][:, :horizon]
    shifts = totals.shifts(whole)
    out = []
    for part in parts:
        shift = np.zeros_like(part.state.shift)
        shift[:, :, :horizon] = shifts[part.rows]
        out.append(replace(part, state=replace(part.state, shift=shift)))
    return out


def reconciled_state(panel: Panel, model: ServedModel) -> SeriesState:
    """The state of all series at the panel's last observed period, with their shift towards totals, as one model that
    serves all of them sees it."""
    state = origin_state(panel, model, panel.n_observed - 1)
    everything = np.arange(panel.n_series)
    whole = ServingInput(model.version, model.spec, everything, state, model.members.predict(state))
    totals = Totals.of(panel, model.spec.horizon)
    return state if totals is None else _shifted(panel, [whole], totals)[0].state


def assign_tiers(panel: Panel, models: Mapping[Tier, Fitted]) -> dict[Tier, NDArray[np.intp]]:
    """Which series each tier serves; a tier with none is left out."""
    everything = np.arange(panel.n_series)
    if len(models) == 1:
        return {next(iter(models)): everything}
    history = np.isfinite(np.asarray(panel.demand[:, : panel.n_observed])).sum(axis=1)
    enough = history >= models[Tier.PRODUCTION].spec.min_history
    split = {Tier.PRODUCTION: everything[enough], Tier.COLD_START: everything[~enough]}
    return {tier: rows for tier, rows in split.items() if len(rows)}


def origin_state(panel: Panel, model: Shaped, origin: int, series: slice | None = None) -> SeriesState:
    """The state of all series at an origin, or of some, in the shape and with the codes that the model was fitted
    with."""
    aligned = panel.aligned(model.static_categories, model.holiday_kinds)
    return StateBuilder(aligned, model.spec, model.transform, model.channel_scales, series=series).at(origin)


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
