"""Transactions as they come in, and demand as it goes into training."""

from typing import Any, cast

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing.pandas import Series

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, QUANTITY, STORE_ID


class RawTransactionSchema(pa.DataFrameModel):
    """The shape of raw transactions. Bad rows are the quarantine's business; a missing column, or two of one name, is
    not."""

    ts: Series[Any] = pa.Field(nullable=True)
    store_id: Series[Any] = pa.Field(nullable=True)
    item_id: Series[Any] = pa.Field(nullable=True)
    quantity: Series[Any] = pa.Field(nullable=True)

    class Config:
        unique_column_names = True


class TrainingDataSchema(pa.DataFrameModel):
    """Demand per period, store and item that is about to be used for training. Any breach stops the run.

    `quantity` is net of returns, so it may be negative; a row per (date, store_id, item_id).
    """

    date: Series[pd.Timestamp]
    store_id: Series[pd.CategoricalDtype]
    item_id: Series[pd.CategoricalDtype]
    quantity: Series[float]
    unit_price: Series[float] | None = pa.Field(nullable=True, ge=0)
    on_promotion: Series[float] | None = pa.Field(nullable=True, ge=0, le=1)

    class Config:
        unique = [DATE, STORE_ID, ITEM_ID]  # noqa: RUF012  # Pandera reads a plain list

    @pa.check(QUANTITY, name="finite")
    def _finite(cls, values: Series[float]) -> Series[bool]:  # noqa: N805  # Pandera passes the class
        return cast(Series[bool], np.isfinite(values))

    @pa.check(DATE, name="whole days")
    def _whole_days(cls, values: Series[pd.Timestamp]) -> Series[bool]:  # noqa: N805
        return cast(Series[bool], values == values.dt.normalize())
