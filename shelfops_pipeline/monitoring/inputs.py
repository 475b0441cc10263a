"""The model's inputs at some origins: a row of the model matrix per series and origin, for one of the periods ahead."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.state import Request, StateBuilder
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.models.serve import Shaped

Floats = NDArray[np.float32]

_CALENDAR: Final = ("horizon", "weekday", "day_of_month", "payday_distance", "month", "day_of_year")
_HOLIDAYS: Final = ("holiday", "since_holiday", "until_holiday", "holiday_days")
_OPENING: Final = ("closed_prev", "closed_next", "since_closed", "until_closed", "closed_run", "since_reopening")
NOT_COMPARED: Final = frozenset((*_CALENDAR, *_HOLIDAYS, *_OPENING, "history"))
"""Features that say which day it is, or how long a series is known: they change by themselves. Closed days are holidays
and weekdays, planned a year ahead: compared, they called Christmas drift."""
_WINDOW: Final = {Grain.DAY: (0, 2, 4, 6), Grain.WEEK: (0, 1, 2, 3)}  # periods before a window's last origin
_MOST_WINDOWS: Final = 26
_MOST_SERIES: Final = 1_000
_SEED: Final = 0


def window_of(last: int, grain: Grain) -> tuple[int, ...]:
    """The origins of the window that ends at `last`, ascending; every weekday is among their targets."""
    return tuple(last - back for back in reversed(_WINDOW[grain]) if back <= last)


def past_windows(n_observed: int, spec: TierSpec) -> list[tuple[int, ...]]:
    """Windows apart from each other, spread over the history: the last ends with it, the first begins where the longest
    window of features (or two fifths of a short history) is filled."""
    length = max(_WINDOW[spec.grain]) + 1
    first = min(max(spec.level_windows), int(0.4 * n_observed)) + length
    last = n_observed - 1
    fit = max((last - first) // length + 1, 1)
    ends = np.linspace(last, min(first, last), min(fit, _MOST_WINDOWS))[::-1]
    return [window_of(int(end), spec.grain) for end in ends]


def input_rows(panel: Panel, model: Shaped, origins: Sequence[int]) -> tuple[Floats, NDArray[np.intp]]:
    """([n, F] inputs, [n] origin of each) of at most a thousand series, drawn once; at each origin those that were on
    sale within the month before it. Columns as in `feature_names`; origins ascend."""
    spec, rng = model.spec, np.random.default_rng(_SEED)
    drawn = np.sort(rng.permutation(panel.n_series)[:_MOST_SERIES])
    observed = np.isfinite(np.asarray(panel.demand[drawn][:, : panel.n_observed]))
    requests = []
    for origin in origins:
        rows = drawn[observed[:, max(origin + 1 - spec.month, 0) : origin + 1].any(axis=1)]
        if len(rows):
            requests.append(Request(origin, rows, np.zeros(len(rows), dtype=np.uint8)))
    aligned = panel.aligned(model.static_categories, model.holiday_kinds)
    parts, at = [np.empty((0, len(feature_names(spec))), dtype=np.float32)], [np.empty(0, dtype=np.intp)]
    for k, _, state in StateBuilder(aligned, spec, model.transform, model.channel_scales).over(requests):
        ahead = rng.integers(0, spec.horizon, state.n_series)
        parts.append(model_matrix(spec, state)[np.arange(state.n_series), ahead])
        at.append(np.full(state.n_series, requests[k].origin))
    return np.concatenate(parts), np.concatenate(at)
