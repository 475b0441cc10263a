"""Frames stored by period: one Parquet file per partition, read and written in blocks so that memory stays bounded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import IO, Self

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.contracts.columns import DATE, TS, Grain
from shelfops_pipeline.data.tables import filed_days
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.ingestion.blocks import BLOCK_ROWS, together
from shelfops_pipeline.ingestion.sync import first_days, periods_of
from shelfops_pipeline.settings import Settings


@dataclass(frozen=True)
class Partitions:
    """Some partitions of an asset: where they are, not what is in them. Keys are first days of periods, ascending."""

    asset: str
    keys: tuple[str, ...]
    grain: Grain

    @classmethod
    def of(cls, context: dg.AssetExecutionContext | dg.InputContext, asset: str) -> Self:
        """The partitions of `asset` that a run or an input is about."""
        if isinstance(context, dg.InputContext):
            keys, definition = context.asset_partition_keys, context.asset_partitions_def
        else:
            keys, definition = context.partition_keys, context.assets_def.partitions_def
        weekly = isinstance(definition, dg.WeeklyPartitionsDefinition)
        return cls(asset, tuple(keys), Grain.WEEK if weekly else Grain.DAY)

    @property
    def periods(self) -> list[date]:
        """The first day of each."""
        return [date.fromisoformat(key) for key in self.keys]

    @property
    def days(self) -> int:
        """Length of one."""
        return self.grain.days

    def at(self, periods: Sequence[date]) -> Self:
        """Some of them."""
        return replace(self, keys=tuple(period.isoformat() for period in periods))

    def stored(self) -> Self:
        """Those that were ever written."""
        there = artifact_root(Settings()).names(self.asset)
        return replace(self, keys=tuple(key for key in self.keys if f"{key}.parquet" in there))

    def whole(self) -> Self:
        """They, all of which were written. Raises DataError naming the first that never was."""
        missing = sorted(set(self.keys) - set(self.stored().keys))
        if missing:
            raise DataError(
                f"{self.asset}: {len(missing)} of the periods {self.keys[0]} to {self.keys[-1]} were never written, "
                f"the first is {missing[0]}; run the `ingest` job over them"
            )
        return self

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Self]:
        """Those that were ever written, in runs of about `rows` rows."""
        root, found = artifact_root(Settings()), self.stored()
        taken: list[str] = []
        size = 0
        for key in found.keys:
            with root.open(f"{self.asset}/{key}.parquet") as stream:
                more = pq.read_metadata(stream).num_rows
            if taken and size + more > rows:
                yield replace(self, keys=tuple(taken))
                taken, size = [], 0
            taken.append(key)
            size += more
        if taken:
            yield replace(self, keys=tuple(taken))

    def read(self) -> pd.DataFrame | None:
        """Their rows; None where none was ever written."""
        root, tables = artifact_root(Settings()), []
        for key in self.stored().keys:
            with root.open(f"{self.asset}/{key}.parquet") as stream:
                tables.append(pq.read_table(stream))
        if not tables:
            return None
        return together(tables)

    def rows(self) -> pd.DataFrame:
        """`read`, of partitions that are there. Raises FileNotFoundError where none is."""
        frame = self.read()
        if frame is None:
            raise FileNotFoundError(f"{self.asset}: none of {self.keys[0]} to {self.keys[-1]} was ever written")
        return frame

    def since(self, day: date) -> Self:
        """Those that have that day or later ones."""
        return self.at([period for period in self.periods if period + timedelta(days=self.days) > day])

    def replace(self, frame: pd.DataFrame) -> None:
        """Make `frame` their content, split by the day under which its rows are filed; a period may be empty.

        Raises ValueError for rows that belong to none of them: they would be lost.
        """
        period = periods_of(frame, self.grain) if TS in frame else first_days(filed_days(frame, DATE), self.grain)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if not (period[1:] >= period[:-1]).all():
            order = np.argsort(period, kind="stable")
            table, period = table.take(pa.array(order)), period[order]
        keys = np.array(self.keys, dtype="datetime64[D]")
        starts, ends = np.searchsorted(period, keys), np.searchsorted(period, keys, side="right")
        outside = len(period) - int((ends - starts).sum())
        if outside:
            raise ValueError(
                f"{self.asset}: {outside} rows lie outside of the periods {self.keys[0]} to {self.keys[-1]}"
            )
        root = artifact_root(Settings())
        for key, start, end in zip(self.keys, starts, ends, strict=True):
            root.write(f"{self.asset}/{key}.parquet", partial(_write, table.slice(start, end - start)))

    @property
    def end(self) -> date:
        """The last day of the last of them."""
        return self.periods[-1] + timedelta(days=self.days - 1)


def _write(table: pa.Table, stream: IO[bytes]) -> None:
    pq.write_table(table, stream, compression="zstd")
