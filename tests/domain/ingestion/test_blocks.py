"""Blocks of validated rows become one table of demand, however many ids they have between them."""

import pandas as pd
import pytest

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.ingestion.blocks import demand_of


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
