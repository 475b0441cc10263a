"""What people said of items, as arrays of series: discontinued, and the item that one without a past will sell like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID
from shelfops_pipeline.replenishment.demand import Demand, Floats
from shelfops_pipeline.replenishment.inputs import IDS, or_none
from shelfops_pipeline.store.replenishment_records import ItemFlag

OWN_PAST_DAYS: Final = 28
"""An item with so long a past of its own is forecast by it alone; until then the like item's share falls with it."""


@dataclass(frozen=True)
class Flagged:
    """Flags of n series: that of the store where there is one, else that of every store."""

    discontinued: NDArray[np.bool_]
    like_item: NDArray[np.object_]
    """None where nobody said so"""


def with_new_items(keys: pd.DataFrame, demand: Demand, flags: Sequence[ItemFlag]) -> tuple[pd.DataFrame, Demand]:
    """The series and their demand, with those added that have no forecast because nothing of them was ever sold: items
    with a like item, in every store that sells that one. Their own demand is 0."""
    said = pd.DataFrame([(f.store_id, f.item_id, f.like_item) for f in flags if f.like_item], columns=[*IDS, "like"])
    if said.empty:
        return keys, demand
    like = said.merge(keys.rename(columns={ITEM_ID: "like", STORE_ID: "there"}), on="like")
    here = like[like[STORE_ID].isna() | (like[STORE_ID] == like["there"])]
    new = here.assign(**{STORE_ID: here["there"]})[IDS].drop_duplicates()
    new = new[~pd.MultiIndex.from_frame(new).isin(pd.MultiIndex.from_frame(keys))]
    more = len(new)
    mean = np.concatenate([demand.mean, np.zeros((more, *demand.mean.shape[1:]), np.float32)])
    quantiles = np.concatenate([demand.quantiles, np.zeros((more, *demand.quantiles.shape[1:]), np.float32)])
    return pd.concat([keys, new], ignore_index=True), Demand(mean, quantiles, demand.correlation)


def flagged(flags: Sequence[ItemFlag], keys: pd.DataFrame) -> Flagged:
    """The flags that hold for each series."""
    columns = ["discontinued", "like_item"]
    said = pd.DataFrame([(f.store_id, f.item_id, f.discontinued, f.like_item) for f in flags], columns=[*IDS, *columns])
    said = said.astype(object)
    of_store = keys.merge(said[said[STORE_ID].notna()], how="left", on=IDS)
    of_all = keys.merge(said[said[STORE_ID].isna()].drop(columns=STORE_ID), how="left", on=ITEM_ID)
    discontinued, like = (of_store[name].where(of_store[name].notna(), of_all[name]) for name in columns)
    return Flagged(
        discontinued=np.array(discontinued == True, dtype=bool),  # noqa: E712  (missing is False)
        like_item=or_none(like),
    )


def borrowed(demand: Demand, keys: pd.DataFrame, like_item: NDArray[np.object_], past_days: Floats) -> Demand:
    """Demand, of series whose like item sells in the same store mixed from that one's and their own: the more of their
    own, the more of OWN_PAST_DAYS they have been on sale (`past_days`, [n])."""
    wanted = pd.MultiIndex.from_arrays([keys[STORE_ID], pd.Series(like_item, dtype=object).fillna("")])
    row = pd.MultiIndex.from_frame(keys).get_indexer(wanted)
    known = (row >= 0) & pd.notna(like_item)
    share = np.where(known, np.clip(1 - past_days / OWN_PAST_DAYS, 0, 1), 0).astype(np.float32)
    lent = np.where(known, row, 0)
    mean = demand.mean + share[:, None] * (demand.mean[lent] - demand.mean)
    quantiles = demand.quantiles + share[:, None, None] * (demand.quantiles[lent] - demand.quantiles)
    return Demand(mean, quantiles, demand.correlation)
