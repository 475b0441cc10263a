"""Rows that the gate turned away: kept with their reason, shown, and released by a person who knows better."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Connection, Engine, Text, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from shelfops_pipeline.contracts.columns import FINGERPRINT, LINE, REASON, SOURCE
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.jsonb import storable, to_json
from shelfops_pipeline.store.records import QuarantinedRow, QuarantineView
from shelfops_pipeline.store.tables import DATASET, quarantine_releases, quarantined_transactions

_COLUMNS: Final = (DATASET, "partition_key", SOURCE, LINE, REASON, "row", FINGERPRINT)
_NAMED: Final = 5
FROM_BEFORE: Final = "old-"
"""Begins the fingerprints that migration 0002 gave to rows of earlier versions: not those that the gate gives."""

table = quarantined_transactions.c


def replace_quarantine(
    engine: Engine, dataset: str, partition_keys: Sequence[str], rows: Iterable[QuarantinedRow]
) -> int:
    """Replace the quarantined rows of these partitions; returns how many there are now.

    `rows` may be a generator; a row of another partition raises ValueError, and nothing changes.
    """
    allowed = frozenset(partition_keys)
    count = 0
    with engine.begin() as connection:
        here = table.partition_key.in_(_values(allowed))
        connection.execute(delete(quarantined_transactions).where(table.dataset == dataset, here))
        statement = f"COPY quarantined_transactions ({', '.join(_COLUMNS)}) FROM STDIN"
        with driver(connection).cursor().copy(statement) as copy:
            for r in rows:
                if r.partition_key not in allowed:
                    raise ValueError(f"row of partition {r.partition_key}, which is not being replaced")
                where = (dataset, r.partition_key, storable(r.source), r.line)
                copy.write_row((*where, storable(r.reason), to_json(r.row), r.fingerprint))
                count += 1
    return count


def quarantined(
    engine: Engine,
    dataset: str,
    *,
    reason: str | None = None,
    start: date | None = None,
    end: date | None = None,
    limit: int = 50,
) -> QuarantineView:
    """Up to `limit` quarantined rows, in order of partition, source and line, and the number of rows by reason.

    Of one reason and of the partitions start..end, both included, if given; `counts` counts all that match, not only
    those shown. A released row is among them until its partition has run again.
    """
    matching = [table.dataset == dataset]
    if reason is not None:
        matching.append(table.reason == reason)
    if start is not None:
        matching.append(table.partition_key >= start.isoformat())
    if end is not None:
        matching.append(table.partition_key <= end.isoformat())
    number = func.count()
    counts = select(table.reason, number).where(*matching).group_by(table.reason).order_by(number.desc(), table.reason)
    columns = (table.partition_key, table.source, table.line, table.reason, table.row, table.fingerprint)
    order = (table.partition_key, table.source, table.line, table.id)
    rows = select(*columns).where(*matching).order_by(*order).limit(limit)
    with engine.connect() as connection:
        found = tuple(QuarantinedRow(**row) for row in connection.execute(rows).mappings())
        return QuarantineView(found, {name: n for name, n in connection.execute(counts)})


def release(engine: Engine, dataset: str, fingerprints: Iterable[str], note: str, by: str) -> list[str]:
    """Record that these rows are to be accepted after all; returns the keys of the partitions to run again.

    Releasing a row again changes nothing; one that has been re-admitted since has no partition to run. Raises
    ShelfOpsError, naming them, for fingerprints that are neither quarantined nor released, and for those of rows
    that were quarantined before fingerprints were; nothing is recorded then.
    """
    wanted = frozenset(fingerprints)
    statement = insert(quarantine_releases)
    with engine.begin() as connection:
        columns = (table.fingerprint, table.reason, table.partition_key)
        known = select(*columns).where(table.dataset == dataset, table.fingerprint.in_(_values(wanted)))
        rows = connection.execute(known).all()
        if unknown := wanted - {row.fingerprint for row in rows} - _released(connection, dataset):
            raise ShelfOpsError(
                f"Not in the quarantine of {dataset}: {_some(unknown)}; "
                "`shelfops quarantine show` lists the fingerprints"
            )
        if old := {row.partition_key for row in rows if row.fingerprint.startswith(FROM_BEFORE)}:
            raise ShelfOpsError(
                f"Rows quarantined by an earlier version cannot be released: ingest {_some(old)} again, "
                "and release the rows by their new fingerprints"
            )
        reasons = {row.fingerprint: row.reason for row in rows}
        signed = {DATASET: dataset, "note": note, "released_by": by}
        values = [{**signed, FINGERPRINT: each, REASON: reason} for each, reason in reasons.items()]
        if values:
            connection.execute(statement.on_conflict_do_nothing(), values)
    return sorted({row.partition_key for row in rows})


def released(engine: Engine, dataset: str) -> frozenset[str]:
    """The fingerprints of all rows of `dataset` that were ever released."""
    with engine.connect() as connection:
        return _released(connection, dataset)


def _released(connection: Connection, dataset: str) -> frozenset[str]:
    known = select(quarantine_releases.c.fingerprint).where(quarantine_releases.c.dataset == dataset)
    return frozenset(connection.scalars(known))


def _some(names: Iterable[str]) -> str:
    first, *rest = sorted(names)
    return ", ".join((first, *rest[: _NAMED - 1])) + (", ..." if len(rest) >= _NAMED else "")


def _values(texts: Iterable[str]) -> ColumnElement[str]:
    """For IN: one parameter, however many there are."""
    return select(func.unnest(literal(list(texts), ARRAY(Text)))).scalar_subquery()


def reasons_by_partition(engine: Engine, dataset: str, partition_keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many rows of each of these partitions are in quarantine for which reason; those without any are absent."""
    number = func.count()
    here = (table.dataset == dataset, table.partition_key.in_(_values(partition_keys)))
    statement = select(table.partition_key, table.reason, number).where(*here).group_by("partition_key", "reason")
    found: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for key, reason, n in connection.execute(statement.order_by(table.partition_key, number.desc(), table.reason)):
            found.setdefault(key, {})[reason] = n
    return found
