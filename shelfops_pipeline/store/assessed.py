"""The series that a plan could judge, as a temporary table: of the others nothing is known, which ends nothing."""

from typing import Final

from sqlalchemy import Connection, text

from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID
from shelfops_pipeline.store.arrow import Rows, canonical, text_type
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import copy_in

_KEY: Final = (STORE_ID, ITEM_ID)
_TABLE: Final = """
    CREATE TEMPORARY TABLE assessed (
        everything boolean, store_id text COLLATE "C", item_id text COLLATE "C"
    ) ON COMMIT DROP
"""


def copy_assessed(connection: Connection, series: "Rows | None") -> None:
    """Make the table `assessed`, for `judged`, of store_id and item_id; None: every series there is."""
    import pyarrow as pa

    connection.execute(text(_TABLE))
    if series is None:
        connection.execute(text("INSERT INTO assessed VALUES (true, '', '')"))
    else:
        shape = pa.schema([pa.field(name, text_type(), nullable=False) for name in _KEY])
        copy_in(driver(connection), "assessed", canonical(series, shape, "assessed"), _KEY)
    connection.execute(text("ANALYZE assessed"))


def judged(alias: str) -> str:
    """SQL: the series of a row could be judged."""
    this = f"(s.store_id, s.item_id) = ({alias}.store_id, {alias}.item_id)"
    return f"(EXISTS (SELECT FROM assessed WHERE everything) OR EXISTS (SELECT FROM assessed AS s WHERE {this}))"  # noqa: S608
