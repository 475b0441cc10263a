"""Raw data in, validated data out; bad rows to the quarantine."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, QUANTITY, TS
from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.validation import check_training_data, validate_transactions
from shelfops_pipeline.defs.partitions import ONE_RUN, PERIODS
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.types import RawTransactions, TrainingData
from shelfops_pipeline.store.records import QuarantinedRow
from shelfops_pipeline.store.writes import replace_quarantine

OWNERS = ["team:data-engineering"]
"""Shown in the UI; a deployment renames the team."""


@dg.asset(group_name="ingestion", owners=OWNERS, kinds={"pandas"}, io_manager_key="references")
def raw_reference(retailer: Retailer) -> dg.MaterializeResult[Reference]:
    """Stores, items, calendar, suppliers and covariates (past and known future), as the source gives them."""
    reference = retailer.source.reference()
    facts = {"stores": len(reference.stores), "items": len(reference.items), "calendar days": len(reference.calendar)}
    covariates = {str(f["name"].iloc[0]): len(f) for f in reference.covariates if len(f)}
    return dg.MaterializeResult(value=reference, metadata=facts | {"covariate rows": covariates})


@dg.asset(
    group_name="ingestion",
    owners=OWNERS,
    kinds={"pandas", "parquet"},
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    io_manager_key="frames",
    dagster_type=RawTransactions,
)
def raw_transactions(context: dg.AssetExecutionContext, retailer: Retailer) -> dg.MaterializeResult[pd.DataFrame]:
    """Transactions exactly as the source gives them, one Parquet file per period."""
    first, last = _span(context)
    frame = retailer.source.transactions(first, last)
    return dg.MaterializeResult(value=frame, metadata={"dagster/row_count": len(frame), "source": retailer.source.name})


@dg.asset(group_name="ingestion", owners=OWNERS, kinds={"pandas", "parquet"}, io_manager_key="frames")
def raw_inventory(retailer: Retailer) -> dg.MaterializeResult[pd.DataFrame]:
    """Inventory snapshots (on hand, on order, lead times); empty where the retailer gives none."""
    source = retailer.source
    frame = source.inventory(*source.span())
    empty = pd.DataFrame({DATE: pd.Series(dtype="datetime64[ns]")})
    return dg.MaterializeResult(
        value=empty if frame is None else frame, metadata={"dagster/row_count": 0 if frame is None else len(frame)}
    )


@dg.multi_asset(
    group_name="ingestion",
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    outs={
        "validated_transactions": dg.AssetOut(
            description="Transactions that passed the gate, row by row; nothing filled, nothing dropped in silence.",
            io_manager_key="frames",
            owners=OWNERS,
            kinds={"pandera", "parquet"},
        ),
        "quarantined_transactions": dg.AssetOut(
            description="Rows that failed it, with reason, source and line, in the warehouse.",
            dagster_type=dg.Nothing,
            owners=OWNERS,
            kinds={"pandera", "postgres"},
        ),
    },
)
def validate(
    context: dg.AssetExecutionContext,
    retailer: Retailer,
    warehouse: Warehouse,
    raw_transactions: pd.DataFrame,
    raw_reference: Reference,
) -> Iterator[dg.Output[Any]]:
    """The training-data gate, row by row: fails hard when too large a share of a run's rows is bad."""
    source, limit = retailer.source, retailer.settings.max_quarantined_share
    result = validate_transactions(
        raw_transactions, raw_reference, source.rules, last_date=source.span()[1], max_quarantined_share=limit
    )
    with warehouse.engine() as engine:
        rows = _quarantine_rows(result.quarantined, context.partition_keys)
        replace_quarantine(engine, source.name, context.partition_keys, rows)
    returns = int((result.valid[QUANTITY] < 0).sum())
    counts: dict[str, Any] = {"accepted": len(result.valid), "returns": returns, "quarantined": len(result.quarantined)}
    counts |= {"reasons": result.counts}
    yield dg.Output(result.valid, "validated_transactions", metadata=counts | {"dagster/row_count": len(result.valid)})
    yield dg.Output(None, "quarantined_transactions", metadata={"dagster/row_count": len(result.quarantined)})


@dg.asset(group_name="features", owners=OWNERS, kinds={"pandera"}, io_manager_key="frames", dagster_type=TrainingData)
def training_data(retailer: Retailer, validated_transactions: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """Demand per period, store and item, net of returns, through the training-data gate: any breach stops the run."""
    demand = check_training_data(daily_demand(validated_transactions, retailer.source.grain))
    facts: dict[str, Any] = {
        "dagster/row_count": len(demand),
        "from": str(demand[DATE].min()),
        "to": str(demand[DATE].max()),
    }
    return dg.MaterializeResult(value=demand, metadata=facts)


@dg.asset(group_name="features", owners=OWNERS, kinds={"numpy"}, io_manager_key="panels")
def panel(
    retailer: Retailer, training_data: pd.DataFrame, raw_reference: Reference, raw_inventory: pd.DataFrame
) -> dg.MaterializeResult[Panel]:
    """The dense [series x time] panel, with a mask that keeps "no demand" apart from "nobody knows"."""
    source, stock = retailer.source, None if raw_inventory.empty else raw_inventory
    value = build_panel(source.name, source.grain, source.absence, training_data, raw_reference, stock)
    states = {state.name.lower(): int((value.state == state).sum()) for state in State}
    facts: dict[str, Any] = {
        "series": value.n_series,
        "periods": value.n_observed,
        "last period": str(value.last_observed),
    }
    channels = {"channels": list(value.channels), "cells": states}
    return dg.MaterializeResult(value=value, metadata=facts | channels)


def _span(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """First and last day of the run's partitions."""
    window = context.partition_time_window
    return window.start.date(), (window.end - pd.Timedelta(days=1)).date()


def _quarantine_rows(frame: pd.DataFrame, keys: list[str]) -> list[QuarantinedRow]:
    """Rows for the warehouse; a row without a date belongs to the run's first partition."""
    days = frame[TS].dt.strftime("%Y-%m-%d").where(frame[TS].notna(), keys[0])
    columns = zip(days, frame["source"], frame["line"], frame["reason"], frame["original"], strict=True)
    known = set(keys)
    return [
        QuarantinedRow(
            partition_key=str(day) if day in known else keys[0],
            source=str(source),
            line=None if pd.isna(line) else int(line),
            reason=str(reason),
            row=json.loads(original),
        )
        for day, source, line, reason, original in columns
    ]
