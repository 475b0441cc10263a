"""Accepted data into PostgreSQL, read back and compared."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import dagster as dg
import pyarrow as pa

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, STORE_ID
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.defs.ingestion import OWNERS
from shelfops_pipeline.defs.lineage import STORED_ROW, lineage
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.defs.partitions import ONE_RUN, PERIODS
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.ingestion.warehouse import Loader
from shelfops_pipeline.store.reference import replace_inventory, replace_reference

CHECK: Final = "reconciled"


@dg.asset(
    group_name="warehouse",
    owners=OWNERS,
    kinds={"postgres"},
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    io_manager_key="partitions",
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset="transactions_table",
            description="Is every raw row accepted or quarantined, and are the rows read back those that were sent?",
        )
    ],
)
def transactions_table(
    context: dg.AssetExecutionContext,
    retailer: Retailer,
    warehouse: Warehouse,
    raw_transactions: Partitions,
    raw_reference: Reference,
    validated_transactions: Partitions,
) -> Iterator[dg.AssetCheckResult | dg.Output[Partitions]]:
    """The warehouse's table of accepted transactions, with a record of each period; late rows are counted here."""
    with warehouse.engine() as engine:
        loader = Loader(engine, retailer.source, raw_reference, context.run.run_id)
        for part in validated_transactions.whole().blocks():
            loader.load(part.periods, raw_transactions.at(part.periods).rows(), part.rows())
            context.log.info(f"stored and read back {loader.rows:,} rows, up to {part.keys[-1]}")
    for period, counts in loader.changed.items():
        context.add_asset_metadata(counts, partition_key=period.isoformat())
    facts = {"rows of the run": loader.rows, **loader.totals, **lineage("validated_transactions", STORED_ROW)}
    wrong: dict[str, Any] = {str(m.period): f"{m.stored_rows} rows of {m.expected_rows}" for m in loader.mismatches}
    wrong |= {str(day): f"{n} raw rows neither accepted nor quarantined" for day, n in loader.unaccounted.items()}
    yield dg.Output(Partitions.of(context, "transactions_table"), metadata=facts)
    yield dg.AssetCheckResult(check_name=CHECK, passed=not wrong, metadata={"rows": loader.rows, "periods": wrong})


@dg.asset(
    group_name="warehouse",
    owners=OWNERS,
    kinds={"postgres"},
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    io_manager_key="partitions",
)
def inventory_table(
    context: dg.AssetExecutionContext, retailer: Retailer, warehouse: Warehouse, raw_inventory: Partitions
) -> dg.MaterializeResult[Partitions]:
    """The warehouse's table of inventory snapshots, without those that do not say when, where or of what they are."""
    rows = left_out = 0
    with warehouse.engine() as engine:
        for part in raw_inventory.blocks():
            days = [period + timedelta(days=n) for period in part.periods for n in range(part.days)]
            found = part.rows()
            known = found.dropna(subset=[DATE, STORE_ID, ITEM_ID])
            rows += replace_inventory(
                engine, retailer.source.name, days, pa.Table.from_pandas(known, preserve_index=False)
            )
            left_out += len(found) - len(known)
    if left_out:
        context.log.warning(
            f"{left_out:,} counts have no date that can be right, no store or no item: they are left out"
        )
    target = Partitions.of(context, "inventory_table")
    return dg.MaterializeResult(value=target, metadata={"rows of the run": rows, "rows left out": left_out})


@dg.asset(group_name="warehouse", owners=OWNERS, kinds={"postgres"})
def reference_tables(retailer: Retailer, warehouse: Warehouse, raw_reference: Reference) -> dg.MaterializeResult[None]:
    """Stores, items, suppliers and calendar in the warehouse."""
    frames = {name: getattr(raw_reference, name) for name in ("stores", "items", "suppliers", "calendar")}
    tables = {
        name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in frames.items() if frame is not None
    }
    with warehouse.engine() as engine:
        counts = replace_reference(engine, retailer.source.name, **tables)
    return dg.MaterializeResult(metadata=counts)
