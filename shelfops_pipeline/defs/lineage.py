"""Which column of a table comes from which column of the table before it, as the UI shows it."""

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

_ROW: Final = (TS, STORE_ID, ITEM_ID, QUANTITY, UNIT_PRICE, ON_PROMOTION, TRANSACTION_ID)
SAME_ROW: Final[Mapping[str, Sequence[str]]] = {name: (name,) for name in _ROW}
STORED_ROW: Final[Mapping[str, Sequence[str]]] = {PERIOD: (TS,), **SAME_ROW}
DEMAND: Final[Mapping[str, Sequence[str]]] = {
    DATE: (TS,),
    STORE_ID: (STORE_ID,),
    ITEM_ID: (ITEM_ID,),
    QUANTITY: (QUANTITY,),
    UNIT_PRICE: (UNIT_PRICE,),
    ON_PROMOTION: (ON_PROMOTION,),
}


def lineage(upstream: str, columns: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Metadata of a materialization: each column with those of the asset `upstream` that it is made from."""
    key = dg.AssetKey(upstream)
    deps = {name: [dg.TableColumnDep(key, source) for source in sources] for name, sources in columns.items()}
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}
