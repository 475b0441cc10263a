"""Time partitions of the large tables, behind functions that are the same with TimescaleDB and without.

A table is either a TimescaleDB hypertable (it makes its chunks itself, compresses old ones, drops expired ones) or
partitioned natively by calendar month: then months are made here when they are first written to. Migration 0002
decided which; `is_native` reads it from the catalogue.
"""

import logging
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import OperationalError

from shelfops_pipeline.contracts.columns import DATE
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.tables import PERIOD, inventory, transactions

BY_TIME: Final = (transactions, inventory)
_TIME: Final = {transactions.name: PERIOD, inventory.name: DATE}
_LOCK_TIMEOUT: Final = "10s"
_SUMMARISE: Final = """
    SELECT brin_summarize_new_values(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'brin' AND i.indrelid = ANY(CAST(:leaves AS regclass[])) ORDER BY i.indrelid"""
_NEVER_ANALYSED: Final = """
    SELECT oid::regclass::text FROM pg_class
    WHERE oid = ANY(CAST(:leaves AS regclass[])) AND reltuples < 0 ORDER BY oid"""

log = logging.getLogger(__name__)


def is_native(connection: Connection, table: Table) -> bool:
    """Is `table` partitioned by PostgreSQL itself, rather than by TimescaleDB?"""
    kind = connection.scalar(text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": table.name})
    return bool(kind in ("p", b"p"))


def ensure_partitions(engine: Engine, table: Table, days: Sequence[date]) -> None:
    """Make the months of `days` that `table` lacks. Safe under concurrency; a no-op on a hypertable.

    A transaction of its own, so that months can be made while others read and write: ATTACH, unlike CREATE TABLE ...
    PARTITION OF, lets both go on.
    """
    wanted = {month_of(day) for day in days}
    with engine.connect() as connection:
        if not is_native(connection, table) or wanted <= months(connection, table).keys():
            return
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("partitions")})
        for first in sorted(wanted - months(connection, table).keys()):
            name = f"{table.name}_{first:%Y_%m}"
            connection.execute(text(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL)"))
            bounds = f"FROM ('{first}') TO ('{next_month(first)}')"
            connection.execute(text(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES {bounds}"))


def months(connection: Connection, table: Table) -> dict[date, str]:
    """The native partitions of `table`: first day of the month to name. Others, made by hand, are not ours."""
    found = connection.scalars(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name) ORDER BY 1"),
        {"name": table.name},
    )
    pattern = re.compile(rf"(?:.*\.)?{table.name}_(\d{{4}})_(\d\d)")
    parts = {name: match for name in found if (match := pattern.fullmatch(name))}
    return {date(int(match[1]), int(match[2]), 1): name for name, match in parts.items()}


def months_in_use(connection: Connection, table: Table) -> list[date]:
    """First days of the months that `table` has, or may have, rows in."""
    if is_native(connection, table):
        return sorted(months(connection, table))
    column = _TIME[table.name]
    query = f"SELECT DISTINCT CAST(date_trunc('month', {column}) AS date) FROM {table.name} ORDER BY 1"  # noqa: S608
    return list(connection.scalars(text(query)))


def settle(engine: Engine, table: Table, days: Sequence[date]) -> None:
    """After a load of `days`, tell the indexes and the planner about the new rows.

    New pages of a BRIN index are read in full until they are summarised, and without statistics the planner does
    not use the index. Autovacuum does both, some time later; a command-line run may be over by then.
    """
    if not days:
        return
    with engine.begin() as connection:
        leaves = {"leaves": _leaves(connection, table, min(days), max(days))}
        connection.execute(text(_SUMMARISE), leaves)
        for name in list(connection.scalars(text(_NEVER_ANALYSED), leaves)):  # regclass quotes what needs quotes
            connection.execute(text(f"ANALYZE {name}"))


def _leaves(connection: Connection, table: Table, first: date, last: date) -> list[str]:
    if is_native(connection, table):
        return [name for start, name in months(connection, table).items() if month_of(first) <= start <= last]
    bounds = {"name": table.name, "after": first - timedelta(days=1), "before": last + timedelta(days=1)}
    chunks = text(
        "SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks"
        " WHERE hypertable_name = :name AND hypertable_schema = current_schema() AND NOT is_compressed"
        " AND range_end > :after AND range_start < :before"
    )
    return list(connection.scalars(chunks, bounds))


def maintain(
    engine: Engine, *, today: date, compress_after: int | None = None, keep: int | None = None
) -> tuple[str, ...]:
    """Apply the ages, in days, at which rows are compressed and dropped (None: never); returns what was dropped.

    A partition is dropped when all of it is older than `keep` days, with the rows of every data set in it; the
    records of `ingested_periods` stay. With TimescaleDB its own jobs go on doing both; without it nothing is
    compressed. Idempotent. Raises ShelfOpsError when a long query holds a partition that is to be dropped.
    """
    if any(age is not None and age < 1 for age in (compress_after, keep)):
        raise ValueError("ages are counted in days, from 1")
    dropped: list[str] = []
    for table in BY_TIME:
        with engine.begin() as connection:
            if not is_native(connection, table):
                _set_policies(connection, table, compress_after, keep)
            if keep is not None:
                dropped += _drop_before(connection, table, today - timedelta(days=keep))
    return tuple(dropped)


def _drop_before(connection: Connection, table: Table, day: date) -> list[str]:
    if not is_native(connection, table):
        drop = text("SELECT drop_chunks(CAST(:name AS regclass), older_than => CAST(:day AS date))")
        return [str(name) for name in connection.scalars(drop, {"name": table.name, "day": day})]
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("partitions")})
    old = [name for first, name in months(connection, table).items() if next_month(first) <= day]
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    try:
        for name in old:
            connection.execute(text(f"DROP TABLE {name}"))
    except OperationalError as error:
        raise ShelfOpsError(f"{table.name} is in use, so its old months were not dropped; try again later") from error
    return old


def _set_policies(connection: Connection, table: Table, compress_after: int | None, keep: int | None) -> None:
    """Replace Timescale's jobs for `table`. A changed age needs a new job: there is no other way to change it."""
    compresses = connection.scalar(
        text(
            "SELECT compression_enabled FROM timescaledb_information.hypertables"
            " WHERE hypertable_name = :name AND hypertable_schema = current_schema()"
        ),
        {"name": table.name},
    )
    if compresses:
        _replace_policy(connection, table, "compression", "compress_after", compress_after)
    elif compress_after is not None:
        log.warning("%s is not compressed: this TimescaleDB cannot, or could not when it was migrated", table.name)
    _replace_policy(connection, table, "retention", "drop_after", keep)


def _replace_policy(connection: Connection, table: Table, policy: str, argument: str, days: int | None) -> None:
    name = {"name": table.name}
    connection.execute(text(f"SELECT remove_{policy}_policy(CAST(:name AS regclass), if_exists => true)"), name)
    if days is not None:
        added = f"SELECT add_{policy}_policy(CAST(:name AS regclass), {argument} => make_interval(days => :days))"
        connection.execute(text(added), {**name, "days": days})


def month_of(day: date) -> date:
    """The first day of the month of `day`."""
    return day.replace(day=1)


def next_month(first: date) -> date:
    """The first day of the month after that which begins on `first`."""
    return (first + timedelta(days=31)).replace(day=1)
