"""Raw data in, validated data out; bad rows to the quarantine."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from shelfops_pipeline.contracts.columns import NAME
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.defs.gate import Gate
from shelfops_pipeline.defs.lineage import SAME_ROW, lineage
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.defs.partitions import FRESH, ONE_RUN, PERIODS
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.types import RawTransactions
from shelfops_pipeline.ingestion.blocks import RawBlock, read_blocks, validate_blocks

OWNERS = ["team:data-engineering"]
"""Shown in the UI; a deployment renames the team."""


@dg.asset(
    group_name="ingestion",
    owners=OWNERS,
    kinds={"pandas"},
    io_manager_key="references",
    freshness_policy=FRESH,
)
def raw_reference(retailer: Retailer) -> dg.MaterializeResult[Reference]:
    """Stores, items, calendar, suppliers and covariates (past and known future), as the source gives them."""
    reference = retailer.source.reference()
    facts = {"stores": len(reference.stores), "items": len(reference.items), "calendar days": len(reference.calendar)}
    covariates = {str(f[NAME].iloc[0]): len(f) for f in reference.covariates if len(f)}
    return dg.MaterializeResult(value=reference, metadata=facts | {"covariate rows": covariates})


@dg.asset(
    group_name="ingestion",
    owners=OWNERS,
    kinds={"pandas", "parquet"},
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    freshness_policy=FRESH,
    io_manager_key="partitions",
    dagster_type=RawTransactions,
)
def raw_transactions(context: dg.AssetExecutionContext, retailer: Retailer) -> dg.MaterializeResult[Partitions]:
    """Transactions exactly as the source gives them, one Parquet file per period."""
    source, target = retailer.source, Partitions.of(context, "raw_transactions")
    rows = 0
    for block in read_blocks(source, target.periods):
        target.at(block.periods).replace(block.rows)
        rows += len(block.rows)
        context.log.info(f"read {len(block.rows):,} rows of {block.periods[0]} to {block.periods[-1]}")
    return dg.MaterializeResult(value=target, metadata={"rows of the run": rows, "source": source.name})


@dg.asset(
    group_name="ingestion",
    owners=OWNERS,
    kinds={"pandas", "parquet"},
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    freshness_policy=FRESH,
    io_manager_key="partitions",
)
def raw_inventory(context: dg.AssetExecutionContext, retailer: Retailer) -> dg.MaterializeResult[Partitions]:
    """Inventory snapshots (on hand, on order, lead times); nothing where the retailer gives none."""
    target = Partitions.of(context, "raw_inventory")
    frame = retailer.source.inventory(target.periods[0], target.end)
    if frame is not None:
        target.replace(frame)
    return dg.MaterializeResult(value=target, metadata={"rows of the run": 0 if frame is None else len(frame)})


@dg.multi_asset(
    group_name="ingestion",
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    outs={
        "validated_transactions": dg.AssetOut(
            description="Transactions that passed the gate, row by row; nothing filled, nothing dropped in silence.",
            io_manager_key="partitions",
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
    check_specs=[
        dg.AssetCheckSpec(
            "bad_rows",
            asset="validated_transactions",
            description="Is the share of quarantined rows of every period below SHELFOPS_MAX_QUARANTINED_SHARE?",
        )
    ],
)
def validate(
    context: dg.AssetExecutionContext,
    retailer: Retailer,
    warehouse: Warehouse,
    raw_transactions: Partitions,
    raw_reference: Reference,
) -> Iterator[dg.Output[Any] | dg.AssetCheckResult]:
    """The training-data gate, row by row; fails hard, after storing the good periods, when one is too bad."""
    source, target = retailer.source, Partitions.of(context, "validated_transactions")
    with warehouse.engine() as engine:
        gate = Gate(engine, source, target, retailer.settings.max_quarantined_share)
        blocks = (RawBlock(part.periods, part.rows()) for part in raw_transactions.whole().blocks())
        for block in validate_blocks(blocks, source, raw_reference, gate.history(), gate.released()):
            gate.store(block)
            context.log.info(gate.told(block))
    for period, facts in gate.by_period():
        context.add_asset_metadata(facts, asset_key="validated_transactions", partition_key=period)
    yield gate.check()
    gate.raise_if_bad()
    yield dg.Output(target, "validated_transactions", metadata=lineage("raw_transactions", SAME_ROW))
    yield dg.Output(None, "quarantined_transactions", metadata={"rows of the run": gate.quarantined})
