"""From validated transactions to the dense panel that models eat."""

from typing import Any

import dagster as dg
import pandas as pd

from shelfops_pipeline.contracts.columns import DATE
from shelfops_pipeline.data.axes import LONGEST_AHEAD
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.defs.automation import CARRIED
from shelfops_pipeline.defs.ingestion import OWNERS
from shelfops_pipeline.defs.lineage import DEMAND, lineage
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.defs.partitions import PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer
from shelfops_pipeline.defs.types import TrainingData
from shelfops_pipeline.gate.validation import check_training_data
from shelfops_pipeline.ingestion.blocks import demand_of


@dg.asset(
    group_name="features",
    owners=OWNERS,
    kinds={"pandera"},
    io_manager_key="frames",
    dagster_type=TrainingData,
    pool=PANEL_POOL,
    automation_condition=CARRIED,
)
def training_data(retailer: Retailer, validated_transactions: Partitions) -> dg.MaterializeResult[pd.DataFrame]:
    """Demand per period, store and item, net of returns, through the training-data gate: any breach stops the run."""
    blocks = (part.rows() for part in validated_transactions.blocks())
    demand = check_training_data(demand_of(blocks, retailer.source.grain))
    facts: dict[str, Any] = {
        "dagster/row_count": len(demand),
        "from": str(demand[DATE].min()),
        "to": str(demand[DATE].max()),
    }
    return dg.MaterializeResult(value=demand, metadata=facts | lineage("validated_transactions", DEMAND))


@dg.asset(
    group_name="features",
    owners=OWNERS,
    kinds={"numpy"},
    io_manager_key="panels",
    pool=PANEL_POOL,
    automation_condition=CARRIED,
)
def panel(
    retailer: Retailer, training_data: pd.DataFrame, raw_reference: Reference, raw_inventory: Partitions
) -> dg.MaterializeResult[Panel]:
    """The dense [series x time] panel, with a mask that keeps "no demand" apart from "nobody knows"."""
    source = retailer.source
    inventory = raw_inventory.stored().read()
    value = build_panel(
        source.name, source.grain, source.absence, training_data, raw_reference, inventory, ahead=LONGEST_AHEAD
    )
    states = {state.name.lower(): int((value.state == state).sum()) for state in State}
    facts: dict[str, Any] = {
        "series": value.n_series,
        "periods": value.n_observed,
        "last period": str(value.last_observed),
    }
    channels = {"channels": list(value.channels), "cells": states}
    return dg.MaterializeResult(value=value, metadata=facts | channels)
