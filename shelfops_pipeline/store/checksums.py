"""Does the warehouse hold what was to be written? Checksums of rows that do not depend on their order.

A row is hashed column by column: numbers by their bits, texts by their UTF-8 bytes (SipHash, as pandas does it). The
checksum of many rows is the sum of their hashes modulo 2^64, so it can be added up in chunks, in any order, and a row
that is there twice counts twice. It is the same in every process and on every platform, and it finds accidents, not
forgeries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from shelfops_pipeline.store.arrow import Rows, canonical
from shelfops_pipeline.store.partitions import month_of
from shelfops_pipeline.store.tables import transactions
from shelfops_pipeline.store.transactions import schema, stored_batches

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = NDArray[np.uint64]
Sum = tuple[int, str]
"""Number of rows, and their checksum in 16 hexadecimal digits."""
EMPTY: Final[Sum] = (0, "0" * 16)
_MISSING: Final = np.uint64(0x7FF8000000000000)  # the bits of NaN: None and NaN are the same
_MODULUS: Final = 1 << 64


@dataclass(frozen=True)
class Mismatch:
    """A period whose stored rows are not those that were to be written."""

    period: date
    expected_rows: int
    stored_rows: int
    expected_checksum: str
    stored_checksum: str


def checksum(table: "pa.Table") -> str:
    """The checksum of all rows of `table`, which has the columns of `transactions.schema`."""
    total = sum(int(_row_hashes(batch).sum(dtype=np.uint64)) for batch in canonical(table, schema(), transactions.name))
    return f"{total % _MODULUS:016x}"


def period_checksums(rows: Rows) -> dict[date, Sum]:
    """Number and checksum of the rows of every period that has any."""
    return _by_period(canonical(rows, schema(), transactions.name))


def stored_checksums(engine: Engine, dataset: str, periods: Sequence[date]) -> dict[date, Sum]:
    """The same of these periods as the warehouse has them: every row is read back, chunk by chunk."""
    found: dict[date, Sum] = {}
    days = sorted(set(periods))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        for _, month in groupby(days, month_of):
            these = list(month)
            found |= _by_period(stored_batches(connection, dataset, these[0], these[-1]))
    return {day: found.get(day, EMPTY) for day in days}


def reconcile(engine: Engine, dataset: str, periods: Sequence[date], rows: Rows) -> tuple[Mismatch, ...]:
    """The periods whose stored rows differ from `rows`, in number or content; empty when all is well."""
    expected, stored = period_checksums(rows), stored_checksums(engine, dataset, periods)
    days = sorted({*stored, *expected})
    both = {day: (expected.get(day, EMPTY), stored.get(day, EMPTY)) for day in days}
    return tuple(Mismatch(day, e[0], s[0], e[1], s[1]) for day, (e, s) in both.items() if e != s)


def _by_period(batches: "Iterable[pa.RecordBatch]") -> dict[date, Sum]:
    totals: dict[date, tuple[int, int]] = {}
    for batch in batches:
        day = batch.column(0).to_numpy(zero_copy_only=False)
        order = np.argsort(day, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(day[order]).astype(bool)])[: len(day)]
        sums = np.add.reduceat(_row_hashes(batch)[order], starts) if len(day) else np.empty(0, np.uint64)
        counts = np.diff(np.r_[starts, len(day)])
        for at, count, value in zip(day[order][starts].tolist(), counts.tolist(), sums.tolist(), strict=True):
            rows, total = totals.get(at, (0, 0))
            totals[at] = (rows + count, (total + value) % _MODULUS)
    return {at: (rows, f"{total:016x}") for at, (rows, total) in totals.items()}


def _row_hashes(batch: "pa.RecordBatch") -> Hashes:
    total = np.zeros(batch.num_rows, dtype=np.uint64)
    for column in batch.columns:
        total = _mixed(total * np.uint64(0x9E3779B97F4A7C15) + _column_hashes(column))
    return total


def _column_hashes(column: "pa.Array") -> Hashes:
    import pyarrow as pa
    from pandas.util import hash_array

    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        texts = hash_array(column.dictionary.to_numpy(zero_copy_only=False), categorize=False)
        codes = column.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
        return cast(Hashes, np.append(texts.astype(np.uint64), _MISSING)[codes])
    missing = column.is_null().to_numpy(zero_copy_only=False)
    return np.where(missing, _MISSING, _mixed(_bits(column)))


def _bits(column: "pa.Array") -> Hashes:
    import pyarrow as pa

    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: NDArray[Any] = column.fill_null(0).to_numpy(zero_copy_only=False)
    wide = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
    return wide.view(np.uint64)


def _mixed(x: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): every bit of the result depends on every bit of `x`."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
