"""What the `validate` step does with each block that was judged: store it, count it, and say what was too bad."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import dagster as dg
import numpy as np
import pandas as pd
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import FILED, FINGERPRINT, LINE, REASON, SOURCE
from shelfops_pipeline.data.source import Source
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.gate.history import History
from shelfops_pipeline.gate.quality import (
    ACCEPTED,
    BAD,
    PERIOD,
    QUARANTINED,
    REASONS,
    RETURNS,
    ROWS,
    UNITS,
    bad_periods,
    describe_bad,
    quality,
)
from shelfops_pipeline.gate.validation import ORIGINAL
from shelfops_pipeline.ingestion.blocks import ValidatedBlock
from shelfops_pipeline.ingestion.sync import first_days, periods_of
from shelfops_pipeline.store.history import hour_profile, series_history
from shelfops_pipeline.store.ingested import reopen_periods
from shelfops_pipeline.store.quarantine import released, replace_quarantine
from shelfops_pipeline.store.records import QuarantinedRow

CHECK: Final = "bad_rows"


class Gate:
    """The state of one `validate` step. `limit`: the largest share of bad rows that a period may have."""

    def __init__(self, engine: Engine, source: Source, target: Partitions, limit: float) -> None:
        self._engine, self._source, self._target = engine, source, target
        self._limit = max(limit, source.rules.tolerated_share)
        self._figures: list[pd.DataFrame] = []
        self._too_bad: list[pd.DataFrame] = []

    def history(self) -> History:
        """What the warehouse has accepted of the periods before these."""
        before = self._target.periods[0]
        args = (self._engine, self._source.name, before)
        return History.from_columns(series_history(*args), hour_profile(*args))

    def released(self) -> frozenset[str]:
        """Fingerprints of the rows that somebody has vouched for."""
        return released(self._engine, self._source.name)

    def store(self, block: ValidatedBlock) -> None:
        """Bad rows to the quarantine; good rows of all periods but those of which too much is bad."""
        result, part = block.result, self._target.at(block.periods)
        reopen_periods(self._engine, self._source.name, block.periods)
        self._figures.append(quality(result, self._source.grain))
        bad = bad_periods(result, self._source.grain, self._limit)
        self._too_bad.append(bad)
        rows = quarantine_rows(result.quarantined, part)
        replace_quarantine(self._engine, self._source.name, part.keys, rows)
        if bad.empty:
            part.replace(result.valid)
            return
        refused = bad[PERIOD].to_numpy("datetime64[D]")
        good = [day for day in block.periods if np.datetime64(day) not in refused]
        keep = ~np.isin(periods_of(result.valid, self._source.grain), refused)
        self._target.at(good).replace(result.valid[keep].reset_index(drop=True))

    def told(self, block: ValidatedBlock) -> str:
        """What became of a block, for the log."""
        bad = ", ".join(f"{reason} {n:,}" for reason, n in block.result.counts.items())
        span = f"{block.periods[0]} to {block.periods[-1]}"
        return f"accepted {len(block.result.valid):,} of {len(block.raw):,} rows of {span}" + (
            f": {bad}" if bad else ""
        )

    def by_period(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Figures of each period, for the UI's plots over time."""
        figures = self._all(self._figures)
        names = (ROWS, ACCEPTED, RETURNS, QUARANTINED, UNITS)
        columns = zip(*(figures[name].tolist() for name in names), strict=True)
        for day, reasons, values in zip(figures[PERIOD], figures[REASONS], columns, strict=True):
            counts = dict(zip(names, values, strict=True))
            yield f"{day:%Y-%m-%d}", {"dagster/partition_row_count": counts[ACCEPTED], **counts, **reasons}

    @property
    def quarantined(self) -> int:
        """Rows of the run that were refused."""
        return int(self._all(self._figures)[QUARANTINED].sum())

    def facts(self) -> dict[str, Any]:
        """Figures of the run."""
        figures = self._all(self._figures)
        reasons: dict[str, int] = {}
        for each in figures[REASONS]:  # as many as there are periods
            for reason, n in each.items():
                reasons[reason] = reasons.get(reason, 0) + n
        totals = {name: int(figures[name].sum()) for name in (ROWS, ACCEPTED, RETURNS, QUARANTINED)}
        most_first = dict(sorted(reasons.items(), key=lambda item: -item[1]))
        return {**totals, "reasons": most_first}

    def check(self) -> dg.AssetCheckResult:
        """The asset check that goes with `raise_if_bad`."""
        bad = self._all(self._too_bad)
        worst = describe_bad(bad, self._limit) if len(bad) else "none"
        return dg.AssetCheckResult(
            check_name=CHECK,
            asset_key="validated_transactions",
            passed=bad.empty,
            metadata=self.facts() | {"periods above the limit": len(bad), "worst": worst, "limit": self._limit},
        )

    def raise_if_bad(self) -> None:
        """Raises DataError when a period is above the limit, naming the worst."""
        bad = self._all(self._too_bad)
        if int(bad[BAD].sum()):
            raise DataError(describe_bad(bad, self._limit))

    def _all(self, frames: list[pd.DataFrame]) -> pd.DataFrame:
        return pd.concat(frames, ignore_index=True)


def quarantine_rows(frame: pd.DataFrame, part: Partitions) -> list[QuarantinedRow]:
    """Rows for the warehouse; where no row of a block has a date, they belong to its first period."""
    days = first_days(frame[FILED].to_numpy("datetime64[D]"), part.grain)
    keys = np.where(np.isnat(days), np.datetime64(part.keys[0]), days).astype(str)
    columns = (frame[name] for name in (SOURCE, LINE, REASON, ORIGINAL, FINGERPRINT))
    return [
        QuarantinedRow(
            partition_key=str(key),
            source="" if source is None else str(source),
            line=None if pd.isna(line) else int(line),
            reason=str(reason),
            row=json.loads(original),
            fingerprint=str(fingerprint),
        )
        for key, source, line, reason, original, fingerprint in zip(keys, *columns, strict=True)
    ]
