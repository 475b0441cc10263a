"""The columns of tables, and which column comes from which of the table before it, as the UI shows them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    ON_PROMOTION,
    QUANTITY,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
)
from shelfops_pipeline.store.tables import PERIOD

_ROW: Final = {
    TS: ("timestamp", "when it was sold; midnight where a row is a day"),
    STORE_ID: ("string", "the store"),
    ITEM_ID: ("string", "the item"),
    QUANTITY: ("float", "units, or turnover; below 0 it is a return"),
    UNIT_PRICE: ("float", "price of one, where known"),
    ON_PROMOTION: ("float", "0 or 1, where known"),
    TRANSACTION_ID: ("string", "the receipt, where known"),
}
_PERIOD: Final = {PERIOD: ("date", "the day, or the Monday, under which it is counted")}
_DAY: Final = {DATE: ("date", "first day of the period")}

Origins = Mapping[str, Sequence[str]]
Columns = Mapping[str, tuple[str, str]]

SAME_ROW: Final[Origins] = {name: (name,) for name in _ROW}
STORED_ROW: Final[Origins] = {PERIOD: (TS,), **SAME_ROW}
DEMAND: Final[Origins] = {DATE: (TS,), **{n: (n,) for n in (STORE_ID, ITEM_ID, QUANTITY, UNIT_PRICE, ON_PROMOTION)}}


def lineage(upstream: str, columns: Origins) -> dict[str, Any]:
    """Metadata of a materialization: each column, with those of the asset `upstream` that it is made from."""
    key = dg.AssetKey(upstream)
    deps = {name: [dg.TableColumnDep(key, source) for source in sources] for name, sources in columns.items()}
    known: Columns = {**_ROW, **_PERIOD, **_DAY}
    schema = [dg.TableColumn(name, type=known[name][0], description=known[name][1]) for name in columns]
    return {
        "dagster/column_lineage": dg.TableColumnLineage(deps),
        "dagster/column_schema": dg.TableSchema(schema),
    }
