"""Sums over forecasts that the charts and the model card share. Frames in, small frames out."""

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import (
    ACTUAL,
    DATE,
    ITEM_ID,
    MODEL,
    ORIGIN,
    POINT,
    QUANTILE_COLUMNS,
    STORE_ID,
    Grain,
)

HORIZON = "horizon"
MEDIAN = "median"
"""The column that MAE and WAPE are scored on: q50 where there is one, else `point`."""
WAPE = "wape"
MAE = "mae"
ROWS = "n"


def scored(forecasts: pd.DataFrame) -> pd.DataFrame:
    """The rows whose actual is known, with dates as timestamps. Adds MEDIAN."""
    frame = forecasts.loc[forecasts[ACTUAL].notna() & forecasts[POINT].notna()]
    median = frame[QUANTILE_COLUMNS[2]].astype(float).fillna(frame[POINT])
    dates = {column: pd.to_datetime(frame[column]) for column in (DATE, ORIGIN)}
    return frame.assign(**dates, **{MEDIAN: median})


def with_horizon(frame: pd.DataFrame, grain: Grain = Grain.DAY) -> pd.DataFrame:
    """`frame` of `scored`, with the periods from origin to target."""
    return frame.assign(**{HORIZON: (frame[DATE] - frame[ORIGIN]).dt.days // grain.days})


def errors_by(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """MAE and WAPE of the median for each combination of `keys`, with the number of rows.

    WAPE is the sum of absolute errors over the sum of actuals: NaN where nothing was sold.
    """
    parts = frame[keys].assign(error=(frame[MEDIAN] - frame[ACTUAL]).abs(), actual=frame[ACTUAL].abs())
    sums = parts.groupby(keys, observed=True, sort=True).agg(
        error=("error", "sum"), actual=("actual", "sum"), n=("error", "size")
    )
    volume = sums["actual"].where(sums["actual"] > 0)
    return pd.DataFrame({WAPE: sums["error"] / volume, MAE: sums["error"] / sums["n"], ROWS: sums["n"]}).reset_index()


def errors_by_horizon(forecasts: pd.DataFrame, grain: Grain = Grain.DAY) -> pd.DataFrame:
    """Columns model, horizon, wape, mae, n."""
    return errors_by(with_horizon(scored(forecasts), grain), [MODEL, HORIZON])


def main_model(forecasts: pd.DataFrame) -> str | None:
    """The model a chart is about: the ensemble, or the first one there is; None for an empty frame."""
    from shelfops_pipeline.charts.theme import sort_models

    models = sort_models(forecasts[MODEL].dropna().unique())
    return models[0] if models else None


def representative_series(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """What a series is an example of → its (store, item): by volume, least regular, hardest to forecast.

    `frame` holds scored rows of one model. Each series is chosen once, so fewer series give fewer examples.
    """
    parts = frame[[STORE_ID, ITEM_ID]].assign(
        error=(frame[MEDIAN] - frame[ACTUAL]).abs(), actual=frame[ACTUAL], idle=frame[ACTUAL].le(0)
    )
    table = parts.groupby([STORE_ID, ITEM_ID], observed=True).agg(
        error=("error", "sum"), actual=("actual", "sum"), idle=("idle", "mean")
    )
    by_volume = table.sort_values("actual", ascending=False, kind="stable")
    sold = by_volume[by_volume["actual"] > 0]
    chosen: dict[str, tuple[str, str]] = {}

    def choose(label: str, order: pd.DataFrame) -> None:
        for key in order.index:
            if key not in chosen.values():
                chosen[label] = key
                return

    def around(share: float) -> pd.DataFrame:
        place = np.abs(np.arange(len(sold)) - share * (len(sold) - 1))
        return sold.iloc[np.argsort(place, kind="stable")]

    choose("highest volume", by_volume)
    choose("upper-quartile volume", around(0.25))
    choose("median volume", around(0.5))
    choose("lower-quartile volume", around(0.75))
    choose(
        "most periods without demand",
        sold[sold["idle"] > 0].sort_values("idle", ascending=False, kind="stable"),
    )
    wape = (sold["error"] / sold["actual"]).sort_values(ascending=False, kind="stable")
    choose("largest WAPE", sold.loc[wape.index])
    return chosen
