"""The gate before `predict_demand()`: what goes into the models must be possible. Any breach stops the run."""

from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa

from shelfops_pipeline.contracts.columns import DATE, HOLIDAY, ITEM_ID, ON_PROMOTION, OPEN, PRICE, STORE_ID
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.inference.state import SeriesState

_FRAME_ROWS: Final = 5_000
_LARGEST: Final = float(np.finfo(np.float32).max)


class PredictionInputSchema(pa.DataFrameModel):
    """Known future of one series and period, as the models will read it."""

    store_id: str = pa.Field(str_length={"min_value": 1})
    item_id: str = pa.Field(str_length={"min_value": 1})
    date: pd.Timestamp
    open: float | None = pa.Field(isin=[0.0, 1.0], nullable=True, coerce=True)
    on_promotion: float | None = pa.Field(ge=0, le=1, nullable=True, coerce=True)
    price: float | None = pa.Field(gt=0, nullable=True, coerce=True)
    holiday: float | None = pa.Field(ge=0, nullable=True, coerce=True)

    class Config:
        unique = [STORE_ID, ITEM_ID, DATE]  # noqa: RUF012  # Pandera reads a plain list


def check_prediction_input(panel: Panel, state: SeriesState) -> pd.DataFrame:
    """Check every series as arrays, and a bounded frame through the schema; returns that frame.

    Raises DataError naming the first channel or series that cannot be predicted from.
    """
    for name, low, high, told in (
        (OPEN, 0, 1, "0 or 1"),
        (ON_PROMOTION, 0, 1, "0 to 1"),
        (PRICE, np.nextafter(0, 1), _LARGEST, "more than 0"),
        (HOLIDAY, 0, _LARGEST, "0 or the number of a kind"),
    ):
        if name in state.layout.channels:
            _check_channel(panel, state, name, low, high, told)
    if np.isinf(state.scalars).any():
        bad = int(np.isinf(state.scalars).any(axis=1).argmax())
        raise DataError(f"prediction input: {panel.store_ids[bad]}/{panel.item_ids[bad]} has an infinite feature")
    frame = prediction_frame(panel, state)
    try:
        return PredictionInputSchema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        raise DataError(
            f"prediction input: column '{first['column']}' fails {first['check']},"
            f" for example with {first['failure_case']}"
        ) from None


def prediction_frame(panel: Panel, state: SeriesState) -> pd.DataFrame:
    """The known future as a frame, all periods of at most 5,000 / H series spread evenly over the panel."""
    H = state.layout.horizon
    n = max(min(_FRAME_ROWS // H, state.n_series), 1)
    rows = np.unique(np.linspace(0, state.n_series - 1, n).astype(np.intp))
    columns: dict[str, object] = {
        STORE_ID: np.repeat(panel.store_ids[rows].astype(object), H),
        ITEM_ID: np.repeat(panel.item_ids[rows].astype(object), H),
        DATE: np.tile(state.target_dates.astype("datetime64[ns]"), len(rows)),
    }
    for name in (OPEN, ON_PROMOTION, PRICE, HOLIDAY):
        if name in state.layout.channels:
            columns[name] = state.channel(name)[rows, -H:].reshape(-1).astype(np.float64)
    return pd.DataFrame(columns)


def check_series(panel: Panel) -> None:
    """The part of the gate that takes all series together. Raises DataError when one appears twice."""
    keys = np.char.add(np.char.add(panel.store_ids, "\x1f"), panel.item_ids)
    if len(np.unique(keys)) != panel.n_series:
        raise DataError("prediction input: a series appears twice in the panel; rebuild it with `shelfops ingest`")


def _check_channel(panel: Panel, state: SeriesState, name: str, low: float, high: float, told: str) -> None:
    """Raises DataError at the first value ahead that is known and not within `low`..`high`, which are `told` so."""
    values = state.channel(name)[:, -state.layout.horizon :]
    bad = (values < low) | (values > high)
    if bad.any():
        s, h = np.argwhere(bad)[0]
        raise DataError(
            f"prediction input: {name} of {panel.store_ids[s]}/{panel.item_ids[s]} on {state.target_dates[h]} is"
            f" {values[s, h]:g}, expected {told}; correct the known-future data"
            f" ({int(bad.sum())} such values)"
        )
