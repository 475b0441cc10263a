"""Read and validate a range of periods block by block, so that memory does not grow with the range."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pandas as pd
import pyarrow as pa

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.source import Reference, Source
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.gate.history import History
from shelfops_pipeline.gate.validation import ValidationResult, validate_transactions

BLOCK_ROWS: Final = 1_000_000
_FIRST_PERIODS: Final = 4
_MOST_PERIODS: Final = 400


@dataclass(frozen=True)
class RawBlock:
    """Consecutive periods (first days, ascending), and all rows that are filed under them."""

    periods: Sequence[date]
    rows: pd.DataFrame


@dataclass(frozen=True)
class ValidatedBlock:
    """The same, judged."""

    periods: Sequence[date]
    raw: pd.DataFrame
    result: ValidationResult


def read_blocks(source: Source, periods: Sequence[date], rows: int = BLOCK_ROWS) -> Iterator[RawBlock]:
    """The raw rows of consecutive `periods`, about `rows` at a time."""
    width = timedelta(days=source.grain.days)
    at, size = 0, _FIRST_PERIODS
    while at < len(periods):
        part = periods[at : at + size]
        frame = source.transactions(part[0], part[-1] + width - timedelta(days=1))
        yield RawBlock(part, frame)
        at += len(part)
        size = min(max(rows * len(part) // max(len(frame), 1), 1), _MOST_PERIODS)


def validate_blocks(
    blocks: Iterable[RawBlock],
    source: Source,
    reference: Reference,
    history: History,
    released: frozenset[str] = frozenset(),
) -> Iterator[ValidatedBlock]:
    """Each block through the row gate; what earlier blocks accepted is history to the later.

    The share of bad rows is left to the caller, who knows the periods (`quality.bad_periods`).
    """
    last = source.span()[1]
    for block in blocks:
        result = validate_transactions(
            block.rows,
            reference,
            source.rules,
            last_date=last,
            max_quarantined_share=1.0,
            history=history,
            released=released,
        )
        yield ValidatedBlock(block.periods, block.rows, result)
        history = history.merge(History.of(result.valid))


def demand_of(blocks: Iterable[pd.DataFrame], grain: Grain) -> pd.DataFrame:
    """`daily_demand` of validated rows that come in blocks of whole periods, in order of time."""
    parts = [pa.Table.from_pandas(daily_demand(block, grain), preserve_index=False) for block in blocks if len(block)]
    if not parts:
        raise DataError(
            "no validated transactions yet; run the `ingest` job (`shelfops ingest`) first, or see what it refused: "
            "`shelfops quarantine show`"
        )
    return together(parts)


def together(tables: Iterable[pa.Table]) -> pd.DataFrame:
    """Tables one below the other, their ids as categories; a column that one of them lacks is missing there."""
    wide = [_with_wide_codes(table) for table in tables]
    return pa.concat_tables(wide, promote_options="permissive").unify_dictionaries().to_pandas()


def _with_wide_codes(table: pa.Table) -> pa.Table:
    """With codes of four bytes: pandas makes them as short as the ids of one table allow, and all have more."""
    kinds = [
        pa.dictionary(pa.int32(), pa.string() if pa.types.is_null(kind.value_type) else kind.value_type)
        if pa.types.is_dictionary(kind)
        else kind
        for kind in table.schema.types
    ]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
