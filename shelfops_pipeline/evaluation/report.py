"""A backtest as tables: one row per metric, and one row per forecast."""

from collections.abc import Container, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import BY, COUNT, GROUP, METRIC, TIER, WHY, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.tables import coded
from shelfops_pipeline.evaluation.backtest import Backtest, ScoredFold
from shelfops_pipeline.evaluation.groups import ALL, BY_ORIGIN
from shelfops_pipeline.evaluation.scores import ENSEMBLE, SERVED, scores_table
from shelfops_pipeline.evaluation.served import served_fold

Floats = NDArray[np.float32]

MOST_ROWS = 3_000_000
"""Of backtest forecasts in memory as a frame."""


def metrics_table(backtest: Backtest) -> pd.DataFrame:
    """(tier, model, origin, metric, value, n, why): the scores of every model and baseline per fold and over all.

    `origin` is a fold's date, or `all`. See `scores_table`, of which this is a part.
    """
    return per_fold(scores_table(backtest))


def per_fold(scores: pd.DataFrame) -> pd.DataFrame:
    """The `metrics_table` within a table of scores."""
    own = scores[scores[BY].isin([ALL, BY_ORIGIN]) & (scores[TIER] != SERVED)]
    own = own.rename(columns={GROUP: c.ORIGIN}).reset_index(drop=True)
    return own[[TIER, c.MODEL, c.ORIGIN, METRIC, c.VALUE, COUNT, WHY]]


def headline(table: pd.DataFrame, tier: Tier, model: str = ENSEMBLE) -> dict[str, float | None]:
    """Metrics over all folds of one model, of a `metrics_table`; None where undefined."""
    chosen = table[(table[TIER] == tier.value) & (table[c.MODEL] == model) & (table[c.ORIGIN] == ALL)]
    values = zip(chosen[METRIC], chosen[c.VALUE], strict=True)
    return {name: None if np.isnan(v) else float(v) for name, v in values}


def forecast_frames(
    panel: Panel, backtest: Backtest, tier: Tier | None = None, models: Container[str] | None = None
) -> Iterator[pd.DataFrame]:
    """One frame per fold and model with contracts.columns.BACKTEST_COLUMNS, scored rows only (`y` was observed).

    With no tier, each series is shown with the tier that serves a history of its length. `models` limits the models.
    """
    for k in range(len(backtest.origins)):
        fold = served_fold(backtest, k) if tier is None else backtest.folds[tier][k]
        seen = np.isfinite(fold.actual)
        if not seen.any():  # closed throughout: a frame without a row would have columns of no type
            continue
        shared = _keys(panel, fold)
        everything = {ENSEMBLE: (fold.forecast.mean, fold.forecast.point)}
        everything |= {n: (v, v) for n, v in (fold.forecast.members | backtest.baselines[k].forecasts).items()}
        for name, (mean, point) in everything.items():
            if models is None or name in models:
                quantiles = fold.forecast.quantiles[seen] if name == ENSEMBLE else None
                yield _frame(shared, name, mean[seen], point[seen], quantiles)


def version_forecasts(panel: Panel, backtest: Backtest, tier: Tier) -> pd.DataFrame:
    """What a tier's ensemble forecast on every fold, BACKTEST_COLUMNS; of large retailers, for a sample of series."""
    panel, backtest = sample_of_series(panel, backtest, 1)
    return pd.concat(list(forecast_frames(panel, backtest, tier, models=(ENSEMBLE,))), ignore_index=True)


def sample_of_series(panel: Panel, backtest: Backtest, models: int) -> tuple[Panel, Backtest]:
    """The two as they are, or of as many random series as give MOST_ROWS forecasts of so many models."""
    expected = len(backtest.origins) * panel.n_series * len(next(iter(backtest.folds.values()))[0].dates) * models
    if expected <= MOST_ROWS:
        return panel, backtest
    keep = max(int(panel.n_series * MOST_ROWS / expected), 1)
    rows = np.sort(np.random.default_rng(0).permutation(panel.n_series)[:keep])
    return panel.take(rows), backtest.take(rows)


def _keys(panel: Panel, fold: ScoredFold) -> dict[str, object]:
    """Id, date, origin and actual columns of the scored rows."""
    series, step = np.nonzero(np.isfinite(fold.actual))
    stores, store_codes = np.unique(panel.store_ids, return_inverse=True)
    items, item_codes = np.unique(panel.item_ids, return_inverse=True)
    return {
        c.STORE_ID: coded(store_codes[series], stores),
        c.ITEM_ID: coded(item_codes[series], items),
        c.DATE: fold.dates[step].astype("datetime64[ns]"),
        c.ORIGIN: np.repeat(np.datetime64(fold.origin_date, "ns"), len(series)),
        c.ACTUAL: fold.actual[series, step],
    }


def _frame(keys: dict[str, object], model: str, mean: Floats, point: Floats, quantiles: Floats | None) -> pd.DataFrame:
    frame = pd.DataFrame(keys)
    frame[c.MEAN], frame[c.POINT] = mean, point
    for i, column in enumerate(c.QUANTILE_COLUMNS):
        frame[column] = np.float32(np.nan) if quantiles is None else quantiles[:, i]
    frame[c.MODEL] = pd.Categorical([model]).repeat(len(frame))
    return frame[list(c.BACKTEST_COLUMNS)]
