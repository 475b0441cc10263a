"""What a sync has to read again, and what it found changed: watermark, look-back, checksums of periods.

Days are `datetime64[D]`; a period is named by its first day, of a week its Monday.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    FILED,
    ITEM_ID,
    ON_PROMOTION,
    QUANTITY,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    UNREADABLE,
    Grain,
)
from shelfops_pipeline.data.keys import first_day
from shelfops_pipeline.data.source import Reference, Source
from shelfops_pipeline.ingestion.blocks import read_blocks

PERIOD: Final = "period"
ROWS: Final = "rows"
CHECKSUM: Final = "checksum"
LATE: Final = "late"
CORRECTED: Final = "corrected"
WITHDRAWN: Final = "withdrawn"

# Where a row stood in its file is not part of what it says: a file that was sorted anew has not changed.
_CONTENT: Final = (TS, STORE_ID, ITEM_ID, QUANTITY, UNIT_PRICE, ON_PROMOTION, TRANSACTION_ID, UNREADABLE)

Days = NDArray[np.datetime64]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class SyncPlan:
    """The periods (first days, ascending) of which the source says something else than what was ingested."""

    changed: tuple[date, ...]
    key: str
    """Names what the source says now: another for another change."""

    @property
    def start(self) -> date:
        """The first period to ingest."""
        return self.changed[0]

    @property
    def end(self) -> date:
        """The last period to ingest; those between that did not change are ingested again, to the same end."""
        return self.changed[-1]


def plan_sync(
    source: Source,
    reference: Reference,
    recorded: Mapping[date, str | None],
    lookback: int,
    *,
    since: date | None = None,
    until: date | None = None,
) -> SyncPlan | None:
    """What to ingest so that the tables say what the source says; None: they do.

    `recorded` has the checksum of every period that was ingested to the end, None where it had no rows; a period that
    is not in it has to be ingested. A source that must be read whole anyway is compared whole; from one that can be
    asked for some periods, those after the watermark, `lookback` periods before it and all after the first that was
    never ingested are read. `since`, `until`: the first and last day that may be ingested.
    """
    first, last = source.span()
    last = last if until is None else min(last, until)
    first = first if since is None else max(first, since)
    # A source that is read whole and ends earlier than it did has withdrawn the rest; others may be behind.
    end = last if source.incremental else until or date.max
    known = {period: text for period, text in recorded.items() if period <= end}
    new = [period for period in periods_between(first, last, source.grain) if period not in known]
    if not known:
        return SyncPlan(tuple(new), _named(new, {})) if new else None
    width = source.grain.days
    start = max(known) - timedelta(days=width * lookback) if source.incremental else min(first, *known)
    start = min(start, *new) if new else start
    if since is not None:
        start = max(start, since)
    digest = rules_digest(source, reference)
    found: dict[date, str] = {}
    for block in read_blocks(source, periods_between(start, last, source.grain)):
        sums = content_checksums(block.rows, source.grain, salt=digest)
        found |= dict(zip(sums[PERIOD].dt.date, sums[CHECKSUM], strict=True))
    inside = {period: text for period, text in known.items() if period >= start}
    changed = sorted({p for p in found.keys() | inside.keys() if found.get(p) != inside.get(p)}.union(new))
    return SyncPlan(tuple(changed), _named(changed, found)) if changed else None


def periods_between(first: date, last: date, grain: Grain) -> tuple[date, ...]:
    """The periods (first days) that hold the days first..last; none where `last` comes before `first`."""
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
    found: list[date] = np.unique(first_days(days, grain)).tolist()
    return tuple(found)


def rules_digest(source: Source, reference: Reference) -> str:
    """Changes when the gate would judge the same rows differently: its rules, or the stores and items it knows."""
    stores = sorted(map(str, reference.stores[STORE_ID])) if len(reference.stores) else []
    items = sorted(map(str, reference.items[ITEM_ID])) if source.rules.items_complete else []
    return hashlib.sha256(repr((source.rules, stores, items)).encode()).hexdigest()


def content_checksums(frame: pd.DataFrame, grain: Grain, salt: str = "") -> pd.DataFrame:
    """[period, rows, checksum] of raw transactions: equal for the same rows in any order and from any file."""
    period = periods_of(frame, grain)
    order = np.argsort(period, kind="stable")
    names, starts, rows = np.unique(period[order], return_index=True, return_counts=True)
    hashes = _row_hashes(frame, _CONTENT)[order]
    total = np.add.reduceat(hashes, starts) if len(starts) else hashes  # modulo 2^64
    text = [hashlib.sha256(f"{salt}:{n}:{t}".encode()).hexdigest()[:16] for n, t in zip(rows, total, strict=True)]
    return pd.DataFrame({PERIOD: names.astype("datetime64[ns]"), ROWS: rows, CHECKSUM: text})


def changes(before: pd.DataFrame, after: pd.DataFrame, key: Sequence[str], grain: Grain) -> pd.DataFrame:
    """[period, late, corrected, withdrawn]: rows that came since `before` was read, say something else now, are gone.

    A row is corrected when one with the same `key` (columns) said something else; without a key a corrected row counts
    as one withdrawn and one late. Both frames hold raw transactions of the same periods.
    """
    old, new = _counted(before, key, grain), _counted(after, key, grain)
    both = old.merge(new, on=[PERIOD, "key", "content"], how="outer", suffixes=("_old", "_new"))
    count = both[["n_old", "n_new"]].to_numpy(np.float64)
    more = np.nan_to_num(count[:, 1]) - np.nan_to_num(count[:, 0])
    moved = pd.DataFrame({PERIOD: both[PERIOD], "key": both["key"], "came": more.clip(0), "went": (-more).clip(0)})
    by_key = moved.groupby([PERIOD, "key"], sort=False)[["came", "went"]].sum()
    corrected = by_key.min(axis=1) if key else by_key["came"] * 0
    counts = pd.DataFrame(
        {LATE: by_key["came"] - corrected, CORRECTED: corrected, WITHDRAWN: by_key["went"] - corrected}
    )
    return counts.groupby(level=PERIOD).sum().astype(np.int64).reset_index()


def periods_of(frame: pd.DataFrame, grain: Grain) -> Days:
    """The period under which each row is filed."""
    day = frame[TS].to_numpy("datetime64[D]")
    if FILED in frame:
        filed = frame[FILED].to_numpy("datetime64[D]")
        day = np.where(np.isnat(filed), day, filed)
    return first_days(day, grain)


def first_days(days: Days, grain: Grain) -> Days:
    """The first day of the period that holds each day; NaT is in none."""
    if grain is Grain.DAY:
        return days
    return np.where(np.isnat(days), days, first_day(days.astype(np.int64), grain).astype("datetime64[D]"))


def _named(periods: Sequence[date], checksums: Mapping[date, str]) -> str:
    told = repr([(day.isoformat(), checksums.get(day)) for day in periods])
    return f"{periods[0]}..{periods[-1]}:{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _counted(frame: pd.DataFrame, key: Sequence[str], grain: Grain) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            PERIOD: periods_of(frame, grain).astype("datetime64[ns]"),
            "key": _row_hashes(frame, key),
            "content": _row_hashes(frame, _CONTENT),
        }
    )
    return rows.groupby([PERIOD, "key", "content"], sort=False).size().rename("n").reset_index()


def _row_hashes(frame: pd.DataFrame, columns: Sequence[str]) -> Hashes:
    """A hash per row of what the columns say; columns that the frame lacks say nothing."""
    there = [name for name in columns if name in frame]
    if not there:
        return np.zeros(len(frame), dtype=np.uint64)
    hashed = pd.util.hash_pandas_object(frame[there], index=False)
    return hashed.to_numpy().astype(np.uint64, copy=False)
