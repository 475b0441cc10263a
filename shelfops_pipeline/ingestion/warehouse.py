"""Accepted transactions into the warehouse: what changed is counted, what was written is read back and compared."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import ON_PROMOTION, QUANTITY, UNIT_PRICE, Grain
from shelfops_pipeline.data.source import Reference, Source
from shelfops_pipeline.ingestion.sync import (
    CHECKSUM,
    CORRECTED,
    LATE,
    ROWS,
    WITHDRAWN,
    changes,
    content_checksums,
    periods_of,
    rules_digest,
)
from shelfops_pipeline.store.arrow import canonical
from shelfops_pipeline.store.checksums import EMPTY, Mismatch, period_checksums, stored_checksums
from shelfops_pipeline.store.ingested import record_periods
from shelfops_pipeline.store.quarantine import reasons_by_partition
from shelfops_pipeline.store.records import PeriodRecord
from shelfops_pipeline.store.tables import PERIOD, transactions
from shelfops_pipeline.store.transactions import read_transactions, replace_periods, schema

CHANGES: Final = (LATE, CORRECTED, WITHDRAWN)
# A line that says another quantity is the same line, corrected; to be a duplicate it must say the same.
_VALUES: Final = (QUANTITY, UNIT_PRICE, ON_PROMOTION)
_NONE: Final = dict.fromkeys(CHANGES, 0)


class Loader:
    """Loads blocks of consecutive periods. A period's record is written last: what is recorded is complete.

    `changed` has, for periods that were in the warehouse before, the accepted rows that came late, were corrected or
    withdrawn; `mismatches` the periods whose rows, as read back, are not those that were sent; `unaccounted` those
    whose accepted and quarantined rows are not as many as their raw rows, with the difference.
    """

    def __init__(self, engine: Engine, source: Source, reference: Reference, run_id: str) -> None:
        self._engine, self._source, self._run_id = engine, source, run_id
        self._digest = rules_digest(source, reference)
        self.rows = 0
        self.changed: dict[date, dict[str, int]] = {}
        self.mismatches: list[Mismatch] = []
        self.unaccounted: dict[date, int] = {}

    @property
    def totals(self) -> dict[str, int]:
        """Late, corrected and withdrawn rows of the run."""
        return {name: sum(counts[name] for counts in self.changed.values()) for name in CHANGES}

    def load(self, periods: Sequence[date], raw: pd.DataFrame, valid: pd.DataFrame) -> None:
        """Make `valid` the transactions of `periods` (first days), and record what became of the rows of `raw`.

        Raises DataError for rows that cannot be stored; nothing has changed then.
        """
        engine, name = self._engine, self._source.name
        table = warehouse_table(valid, self._source.grain)
        self.changed |= _changes(read_transactions(engine, name, periods[0], periods[-1]), table, self._source)
        self.rows += replace_periods(engine, name, periods, table)
        sent, stored = period_checksums(table), stored_checksums(engine, name, periods)
        both = {day: (sent.get(day, EMPTY), found) for day, found in stored.items()}
        self.mismatches += [Mismatch(day, e[0], s[0], e[1], s[1]) for day, (e, s) in both.items() if e != s]
        checksums = {day: text for day, (_, text) in stored.items()}
        record_periods(engine, name, self._records(periods, raw, valid, checksums))

    def _records(
        self, periods: Sequence[date], raw: pd.DataFrame, valid: pd.DataFrame, stored: dict[date, str]
    ) -> list[PeriodRecord]:
        grain = self._source.grain
        content = content_checksums(raw, grain, salt=self._digest)
        source_checksums = dict(zip(content[PERIOD].dt.date, content[CHECKSUM], strict=True))
        raw_rows = dict(zip(content[PERIOD].dt.date, content[ROWS].tolist(), strict=True))
        accepted = _count(valid, grain)
        returns = _count(valid[valid[QUANTITY].to_numpy() < 0], grain)
        reasons = reasons_by_partition(self._engine, self._source.name, [day.isoformat() for day in periods])
        bad = {day: reasons.get(day.isoformat(), {}) for day in periods}
        missing = {d: raw_rows.get(d, 0) - accepted.get(d, 0) - sum(bad[d].values()) for d in periods}
        self.unaccounted |= {day: n for day, n in missing.items() if n}
        return [
            PeriodRecord(
                period=day,
                rows=accepted.get(day, 0) + sum(bad[day].values()),
                accepted=accepted.get(day, 0),
                returns=returns.get(day, 0),
                quarantined=sum(bad[day].values()),
                late=self.changed.get(day, _NONE)[LATE],
                corrected=self.changed.get(day, _NONE)[CORRECTED],
                withdrawn=self.changed.get(day, _NONE)[WITHDRAWN],
                reasons=bad[day],
                source_checksum=source_checksums.get(day),
                warehouse_checksum=stored[day],
                run_id=self._run_id,
            )
            for day in periods
        ]


def warehouse_table(valid: pd.DataFrame, grain: Grain) -> pa.Table:
    """Validated transactions with the columns of the warehouse's table."""
    period = pa.array(periods_of(valid, grain).astype("datetime64[D]"))
    return pa.Table.from_pandas(valid, preserve_index=False).append_column(PERIOD, period)


def _changes(before: pa.Table, table: pa.Table, source: Source) -> dict[date, dict[str, int]]:
    """Of periods that had rows: what is new, other, or gone."""
    if not before.num_rows or not table.num_rows:
        gone = before.column(PERIOD).value_counts().to_pylist()
        return {row["values"]: {**_NONE, WITHDRAWN: row["counts"]} for row in gone}
    # The types as read back; a batch may hold its texts plain or coded.
    now = pd.concat([batch.to_pandas() for batch in canonical(table, schema(), transactions.name)], ignore_index=True)
    key = [name for name in source.rules.unique_key if name not in _VALUES]
    found = changes(before.to_pandas(), now, key, source.grain)
    there = set(before.column(PERIOD).unique().to_pylist())
    rows = zip(found[PERIOD].dt.date, found[list(CHANGES)].to_dict("records"), strict=True)
    return {day: {str(k): int(v) for k, v in row.items()} for day, row in rows if day in there and any(row.values())}


def _count(rows: pd.DataFrame, grain: Grain) -> dict[date, int]:
    days, counts = np.unique(periods_of(rows, grain), return_counts=True)
    return dict(zip(days.astype("datetime64[D]").tolist(), counts.tolist(), strict=True))
