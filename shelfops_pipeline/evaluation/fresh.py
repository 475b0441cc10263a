"""What a fold's models would have forecast for series that they know, had they been new: the evidence by which the
cold-start tier's forecasts of new series are calibrated, of which there are seldom any in a fold."""

from dataclasses import replace

import numpy as np

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.sample import ways_to_be_new
from shelfops_pipeline.features.state import Request, StateBuilder
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.fold import FoldForecast, Fresh
from shelfops_pipeline.models.recipe import Recipe

_MOST_ROWS = 3_000  # forecast a second time: bounds the work on a large retailer


def with_fresh(fold: FoldForecast, known: Panel, recipe: Recipe, members: Members) -> FoldForecast:
    """The fold with some of its series forecast a second time, each as if it, its item and its store were new in turn.

    `known` is the panel as of the fold's origin. A random sample of the series whose demand was then observed, drawn by
    the recipe's seed and the origin; the fold as it is where there are none.
    """
    marks = ways_to_be_new(known)
    observed = np.flatnonzero(fold.scored.any(axis=1))
    rng = np.random.default_rng([recipe.seed, fold.origin])
    chosen = np.sort(rng.permutation(observed)[: _MOST_ROWS // len(marks)])
    if len(chosen) == 0:
        return fold
    rows = np.repeat(chosen, len(marks))
    request = Request(fold.origin, rows, np.tile(np.array(marks, dtype=np.uint8), len(chosen)))
    builder = StateBuilder(known, recipe.spec, recipe.transform, members.channel_scales)
    state = SeriesState.join([part for _, _, part in builder.over([request])])
    state = replace(state, shift=fold.state.shift[rows])  # a new series is moved with its total like any other
    return replace(fold, fresh=Fresh(rows, state, members.predict(state)))
