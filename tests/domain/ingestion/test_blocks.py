"""Blocks of validated rows become one table of demand, however many ids they have between them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.tables import coded
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.ingestion.blocks import demand_of, together


def block(day: str, ids: range) -> pd.DataFrame:
    """A sale of each of some items, whose categories are those of the block."""
    items = pd.Categorical([f"i{n:05}" for n in ids])
    return pd.DataFrame(
        {c.TS: pd.Timestamp(day), c.STORE_ID: pd.Categorical(["s"] * len(ids)), c.ITEM_ID: items, c.QUANTITY: 1.0}
    )


@pytest.mark.parametrize("n", [100, 20_000])  # of which codes of one byte, and of two, hold one block but not both
def test_an_assortment_that_changes_from_block_to_block_is_one(n: int) -> None:
    demand = demand_of([block("2024-01-01", range(n)), block("2024-01-02", range(n, 2 * n))], Grain.DAY)
    assert demand[c.ITEM_ID].nunique() == len(demand) == 2 * n
    assert demand[c.ITEM_ID].iloc[-1] == f"i{2 * n - 1:05}"


def test_a_column_that_is_empty_throughout_is_empty() -> None:
    frame = pd.DataFrame({c.TRANSACTION_ID: coded(np.array([-1]), []), c.QUANTITY: [1.0]})
    assert together([pa.Table.from_pandas(frame) for _ in range(2)])[c.TRANSACTION_ID].isna().tolist() == [True, True]


def test_blocks_of_which_nothing_was_accepted_are_none() -> None:
    as_read = {c.STORE_ID: object, c.ITEM_ID: object}
    empty = block("2024-01-01", range(1)).head(0).astype(as_read)
    assert len(demand_of([empty, block("2024-01-02", range(3))], Grain.DAY)) == 3
    with pytest.raises(
        DataError, match=r"no validated transactions yet; .*what it refused: `shelfops quarantine show`"
    ):
        demand_of([empty], Grain.DAY)
