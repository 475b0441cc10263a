"""Why the served forecasts are what they are: per period, and over all explained periods of a series, in units.

TreeSHAP explains the XGBoost member. What the served `mean` has beyond it are reasons of their own, so that start and
reasons always add up to it: the cut at 0 (`floor`), the other member (`lstm`), the shift towards totals (`totals`), and
the bias factor (`calibration`).
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, STORE_ID
from shelfops_pipeline.contracts.features import feature_list
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.explain.grouped_shap import grouped_shap
from shelfops_pipeline.explain.shap_values import Explanation, UnitExplanation, to_units
from shelfops_pipeline.explain.themes import Themes
from shelfops_pipeline.explain.told import Doubles, Indices, Terms, tell
from shelfops_pipeline.inference.calibration import demand_class
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.inference.predict import Forecast, ServedModel, predict_demand
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.serve import ServingInput
from shelfops_pipeline.store.tables import MEMBER, MODEL_VERSION, PERIODS

MOST_ROWS: Final = 250_000
"""Series x periods that are explained; docs/explanations.md has the time and size that this costs."""
_SERIES_AT_ONCE: Final = 1024
_MEMBER: Final = MEMBERS[0]
_CLOSE: Final = 1e-3

Floats = NDArray[np.float32]
Dates = NDArray[np.datetime64]


def explained_periods(series: int, spec: TierSpec) -> int:
    """How many of the first periods are explained: all, or as many whole weeks as `MOST_ROWS` allows; at least one."""
    fits = max(MOST_ROWS // max(series, 1), 1)
    if fits >= spec.horizon:
        return spec.horizon
    return fits - fits % spec.season if fits >= spec.season else fits


def explain_served(panel: Panel, part: ServingInput, model: ServedModel, periods: int) -> Iterator[dict[str, Any]]:
    """The columns of `store.tables.forecast_explanations`, a block of series at a time.

    Raises ValueError if the SHAP values do not add up to what the model says.
    """
    themes = Themes.among(feature_list(part.spec, log=model.transform == "log"), model.static_categories)
    forecast = predict_demand(model, part.state)
    at_once = max(MOST_ROWS // periods, 1)
    for i in range(0, len(part.rows), at_once):
        some = np.arange(i, min(i + at_once, len(part.rows)))
        terms, series, step = _terms(model, part.state.take(some), forecast.take(some), themes, periods)
        for j in range(0, len(some), _SERIES_AT_ONCE):
            block = slice(*np.searchsorted(series, (j, j + _SERIES_AT_ONCE)))
            rows = part.rows[some[j : j + _SERIES_AT_ONCE]]
            dates = part.state.target_dates[:periods].astype("datetime64[D]")
            told = _columns(panel, rows, dates, terms.take(block), series[block] - j, step[block])
            yield told | {MODEL_VERSION: part.version, MEMBER: _MEMBER}


def _terms(
    model: ServedModel, state: SeriesState, forecast: Forecast, themes: Themes, periods: int
) -> tuple[Terms, Indices, Indices]:
    """What the forecasts of some series are made of, with the series and the step of each: of open periods only."""
    series, step = np.nonzero(~state.closed()[:, :periods])
    booster: Any = model.members.backend.booster  # type: ignore[attr-defined]
    matrix = _matrix(model.spec, state, periods)[series * periods + step]
    values, base = grouped_shap(booster, matrix, themes.cells, themes.n_cells)
    told = to_units(Explanation(values, base, matrix, tuple(f.name for f in themes.features)), model.transform)
    terms = Terms(
        themes=themes,
        start=told.start,
        by_cell=told.parts,
        beyond=_beyond(model, state, forecast, told, series, step),
        prediction=forecast.mean[series, step].astype(np.float64),
        begins=told.begins,
        data=matrix,
    )
    return terms, series, step


def _matrix(spec: TierSpec, state: SeriesState, periods: int) -> Floats:
    """[S x periods, F] the model matrix of the first periods, made a block of series at a time."""
    blocks = (slice(i, i + _SERIES_AT_ONCE) for i in range(0, state.n_series, _SERIES_AT_ONCE))
    parts = [model_matrix(spec, state.take(block))[:, :periods] for block in blocks]
    return np.concatenate(parts).reshape(state.n_series * periods, -1)


def _beyond(
    model: ServedModel,
    state: SeriesState,
    forecast: Forecast,
    told: UnitExplanation,
    series: Indices,
    step: Indices,
) -> Doubles:
    """[k, len(_BEYOND)] what the served mean has beyond the booster's own prediction."""
    member = forecast.members[_MEMBER][series, step]
    floor = np.maximum(told.prediction, 0) - told.prediction
    if not np.allclose(told.prediction + floor, member, rtol=_CLOSE, atol=_CLOSE):
        raise ValueError(f"{model.version}: the SHAP values explain another forecast than the one that is served.")
    calibration, classes = model.calibration, demand_class(state)
    mixed = calibration.blend(forecast.members, classes)[series, step]
    shifted = calibration.blend(calibration.reconciled(forecast.members, state.shift), classes)[series, step]
    levels = (told.prediction, told.prediction + floor, mixed, shifted, forecast.mean[series, step])
    return np.diff(np.stack(levels, axis=1, dtype=np.float64), axis=1)


def _columns(panel: Panel, rows: Indices, dates: Dates, terms: Terms, series: Indices, step: Indices) -> dict[str, Any]:
    """A row per period, and, where there are several, a row over all of them, of the panel's `rows`."""
    n, periods = len(rows), len(dates)
    keys = [(np.repeat(rows, periods), np.tile(dates, n), np.ones(n * periods, np.int32))]
    told = [tell(terms, series * periods + step, n * periods)]
    if periods > 1:
        over, at = terms.over(series)
        keys.append((rows, np.repeat(dates[:1], n), np.full(n, periods, np.int32)))
        told.append(tell(over, at, n, f" in the {periods} {panel.grain.value}s from {dates[0]}"))
    which, first, span = (np.concatenate(column) for column in zip(*keys, strict=True))
    texts = {name: [value for part in told for value in part[name]] for name in told[0]}
    return {STORE_ID: panel.store_ids[which], ITEM_ID: panel.item_ids[which], DATE: first, PERIODS: span} | texts
