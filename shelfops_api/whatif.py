"""Predict a batch of series with changes to their known future: one model call per version and origin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from shelfops_api.errors import Code, Fault, Problem, pointer
from shelfops_api.schemas import SeriesForecast, SeriesRequest
from shelfops_api.snapshot import Snapshot
from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, Metric
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.store.records import OnlineFeatures

SeriesKey = tuple[str, str]
Changes = dict[str, list[tuple[int, float]]]

PERIOD_COLUMNS = FORECAST_COLUMNS[2:]


@dataclass(frozen=True)
class _Group:
    """The requested series that one model serves from one origin; row r of `state` is series `at[r]` of the batch."""

    model: ServedModel
    state: SeriesState
    at: list[int]

    @cached_property
    def horizons(self) -> dict[date, int]:
        """Date -> horizon, 1..H."""
        return {day: h for h, day in enumerate(self.state.target_dates.tolist(), start=1)}


def predict_batch(
    snapshot: Snapshot,
    features: Mapping[SeriesKey, OnlineFeatures],
    batch: Sequence[SeriesRequest],
    metric: Metric,
) -> list[SeriesForecast]:
    """The forecasts in the order of `batch`.

    Every series must be in `features`. Raises Problem, naming everything wrong at once, for a date outside of the
    horizon or a channel that the series' model does not know; nothing is predicted then.
    """
    groups = _groups(snapshot, features, batch)
    faults = [fault for group in groups for row, i in enumerate(group.at) for fault in _apply(group, row, i, batch[i])]
    if faults:
        first = min(faults, key=lambda fault: fault.pointer)
        raise Problem(Code(first.code), f"{first.pointer}: {first.detail}", faults)
    answers: dict[int, SeriesForecast] = {}
    for group in groups:
        forecast = predict_demand(group.model, group.state, metric, others=False)
        answers |= dict(zip(group.at, _answers(snapshot.release, group, forecast, batch), strict=True))
    return [answers[i] for i in range(len(batch))]


def _groups(
    snapshot: Snapshot, features: Mapping[SeriesKey, OnlineFeatures], batch: Sequence[SeriesRequest]
) -> list[_Group]:
    members: dict[tuple[str, date], list[int]] = {}
    for i, series in enumerate(batch):
        row = features[series.key]
        members.setdefault((row.model_version, row.origin), []).append(i)
    groups = []
    for (version, origin), at in members.items():
        model = snapshot.model(version)
        payloads = [features[batch[i].key].values.tobytes() for i in at]
        groups.append(_Group(model, SeriesState.unpack(model.spec, np.datetime64(origin), payloads), at))
    return groups


def _apply(group: _Group, row: int, i: int, series: SeriesRequest) -> Iterable[Fault]:
    """Write the overrides of one series into the group's state; yields what cannot be done."""
    horizons, known = group.horizons, group.state.layout.channels
    for k, day in enumerate(series.dates or ()):
        if day not in horizons:
            yield _outside(("series", i, "dates", k), day, horizons)
    changes: Changes = {}
    for k, override in enumerate(series.overrides):
        at = ("series", i, "overrides", k)
        if override.date not in horizons:
            yield _outside((*at, "date"), override.date, horizons)
            continue
        for name, value in override.changes().items():
            if name in known:
                changes.setdefault(name, []).append((horizons[override.date], value))
            else:
                place = (*at, "covariates", name) if name in override.covariates else (*at, name)
                detail = f"model {group.model.version} does not use '{name}'; it knows {', '.join(known) or 'none'}"
                yield Fault(location="body", pointer=pointer(place), detail=detail, code=Code.UNKNOWN_CHANNEL)
    group.state.override(row, changes)


def _outside(place: tuple[object, ...], day: date, horizons: Mapping[date, int]) -> Fault:
    detail = f"{day} is not a date of the forecast; it has {covered(list(horizons))}"
    return Fault(location="body", pointer=pointer(place), detail=detail, code=Code.DATE_OUTSIDE_HORIZON)


def covered(dates: Sequence[date]) -> str:
    """Says which dates a forecast has."""
    step = (dates[1] - dates[0]).days if len(dates) > 1 else 1
    return f"{dates[0]} to {dates[-1]}" + (f", every {step} days" if step > 1 else "")


def _answers(
    release: str, group: _Group, forecast: Forecast, batch: Sequence[SeriesRequest]
) -> Iterable[SeriesForecast]:
    days: list[date] = forecast.dates.tolist()
    table = np.concatenate([forecast.mean[..., None], forecast.point[..., None], forecast.quantiles], axis=2)
    if not np.isfinite(table).all():
        raise ArithmeticError(f"model {group.model.version} gave a forecast that is not finite")
    # float32 has seven digits; more would only make the answer longer.
    rows = table.astype(np.float64).round(6).tolist()
    for r, i in enumerate(group.at):
        series = batch[i]
        wanted = set(series.dates or days)
        yield SeriesForecast.model_validate(  # at once: a call per period would take several times as long
            {
                "store_id": series.store_id,
                "item_id": series.item_id,
                "release": release,
                "model_version": group.model.version,
                "forecast": [
                    dict(zip(PERIOD_COLUMNS, (day, *values), strict=True))
                    for day, values in zip(days, rows[r], strict=True)
                    if day in wanted
                ],
            }
        )
