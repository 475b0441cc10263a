"""Predict series with changes to their known future: what each request asks is checked for itself, and all that are
asked together are computed with one model call per version and origin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from shelfops_api.errors import Code, Fault, Problem, pointer
from shelfops_api.schemas import SeriesForecast, SeriesRequest
from shelfops_api.snapshot import Snapshot
from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, Grain, Metric
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.state import Layout, SeriesState, target_dates
from shelfops_pipeline.store.records import OnlineFeatures

SeriesKey = tuple[str, str]
Changes = dict[str, list[tuple[int, float]]]

PERIOD_COLUMNS = FORECAST_COLUMNS[2:]


@dataclass(frozen=True)
class Question:
    """One series of a request that can be answered: its model, what was published for it, and what is different."""

    series: SeriesRequest
    model: ServedModel
    features: OnlineFeatures
    changes: Changes

    @property
    def group(self) -> tuple[str, date]:
        """Those of one group are predicted together."""
        return self.features.model_version, self.features.origin


def checked(
    snapshot: Snapshot, features: Mapping[SeriesKey, OnlineFeatures], batch: Sequence[SeriesRequest]
) -> list[Question]:
    """What is asked of each series of one request; every series must be in `features`.

    Raises Problem, naming everything wrong at once, for a date outside of the horizon or a channel that the series'
    model does not know; BundleError or ValueError where what was published is not of the release's models.
    """
    questions, faults = list[Question](), list[Fault]()
    for i, series in enumerate(batch):
        row = features[series.key]
        model = snapshot.model(row.model_version)
        Layout.of(model.spec).check(row.values)
        changes, wrong = _changes(series, model, _horizons(model.spec.grain, model.spec.horizon, row.origin), i)
        questions.append(Question(series, model, row, changes))
        faults += wrong
    if faults:
        first = min(faults, key=lambda fault: fault.pointer)
        raise Problem(Code(first.code), f"{first.pointer}: {first.detail}", faults)
    return questions


def forecasts(release: str, questions: Sequence[Question], metric: Metric) -> list[SeriesForecast | ArithmeticError]:
    """The answers in the order of `questions`; an error in place of a forecast that is not finite."""
    groups: dict[tuple[str, date], list[int]] = {}
    for i, question in enumerate(questions):
        groups.setdefault(question.group, []).append(i)
    answers: dict[int, SeriesForecast | ArithmeticError] = {}
    for at in groups.values():
        asked = [questions[i] for i in at]
        forecast = predict_demand(asked[0].model, _state(asked), metric, others=False)
        answers |= dict(zip(at, _answers(release, asked, forecast), strict=True))
    return [answers[i] for i in range(len(questions))]


def _state(asked: Sequence[Question]) -> SeriesState:
    """The states of one group's series, changed as asked."""
    origin = np.datetime64(asked[0].features.origin)
    state = SeriesState.of_rows(asked[0].model.spec, origin, np.stack([one.features.values for one in asked]))
    for row, one in enumerate(asked):
        state.override(row, one.changes)
    return state


@lru_cache(maxsize=64)
def _horizons(grain: Grain, horizon: int, origin: date) -> dict[date, int]:
    """Date -> horizon, 1..H."""
    return {day: h for h, day in enumerate(target_dates(grain, horizon, np.datetime64(origin)).tolist(), start=1)}


def _changes(
    series: SeriesRequest, model: ServedModel, horizons: Mapping[date, int], i: int
) -> tuple[Changes, list[Fault]]:
    """(what series `i` of a request overrides, what of it cannot be done)."""
    changes, known = Changes(), model.spec.channels
    faults = [
        _outside(("series", i, "dates", k), day, horizons)
        for k, day in enumerate(series.dates or ())
        if day not in horizons
    ]
    for k, override in enumerate(series.overrides):
        at = ("series", i, "overrides", k)
        if override.date not in horizons:
            faults.append(_outside((*at, "date"), override.date, horizons))
            continue
        for name, value in override.changes().items():
            if name in known:
                changes.setdefault(name, []).append((horizons[override.date], value))
            else:
                place = (*at, "covariates", name) if name in override.covariates else (*at, name)
                detail = f"model {model.version} does not use '{name}'; it knows {', '.join(known) or 'none'}"
                faults.append(Fault(location="body", pointer=pointer(place), detail=detail, code=Code.UNKNOWN_CHANNEL))
    return changes, faults


def _outside(place: tuple[object, ...], day: date, horizons: Mapping[date, int]) -> Fault:
    detail = f"{day} is not a date of the forecast; it has {covered(list(horizons))}"
    return Fault(location="body", pointer=pointer(place), detail=detail, code=Code.DATE_OUTSIDE_HORIZON)


def covered(dates: Sequence[date]) -> str:
    """Says which dates a forecast has."""
    step = (dates[1] - dates[0]).days if len(dates) > 1 else 1
    return f"{dates[0]} to {dates[-1]}" + (f", every {step} days" if step > 1 else "")


def _answers(release: str, asked: Sequence[Question], forecast: Forecast) -> Iterable[SeriesForecast | ArithmeticError]:
    days: list[date] = forecast.dates.tolist()
    table = np.concatenate([forecast.mean[..., None], forecast.point[..., None], forecast.quantiles], axis=2)
    finite = np.isfinite(table).all(axis=(1, 2)).tolist()
    # float32 has seven digits; more would only make the answer longer.
    rows = table.astype(np.float64).round(6).tolist()
    for one, periods, usable in zip(asked, rows, finite, strict=True):
        version = one.features.model_version
        if not usable:
            yield ArithmeticError(f"model {version} gave a forecast that is not finite")
            continue
        wanted = set(one.series.dates or days)
        yield SeriesForecast.model_validate(  # at once: a call per period would take several times as long
            {
                "store_id": one.series.store_id,
                "item_id": one.series.item_id,
                "release": release,
                "model_version": version,
                "forecast": [
                    dict(zip(PERIOD_COLUMNS, (day, *values), strict=True))
                    for day, values in zip(days, periods, strict=True)
                    if day in wanted
                ],
            }
        )
