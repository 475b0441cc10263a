"""Parquet files: typed already, or text that is parsed as that of other files is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.contracts.columns import LINE, SOURCE
from shelfops_pipeline.data.sources.cells import Kind
from shelfops_pipeline.data.sources.rows import to_rows
from shelfops_pipeline.data.tables import constant
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError


def read_parquet(
    name: str,
    data: bytes,
    kinds: Mapping[str, Kind],
    form: Format,
    *,
    names: Mapping[str, str],
    stated: Mapping[str, str | None],
    lenient: bool = False,
) -> pd.DataFrame:
    """`delimited.read_delimited` of a Parquet file; LINE is the row, the first is 1. `stated`: columns whose one value
    the file's path gives.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        there = file.schema_arrow.names
        own = {out: names[out] for out in kinds}
        absent = [wanted for wanted in own.values() if wanted not in there and wanted not in stated]
        if absent:
            found = ", ".join([*there, *stated][:20])
            raise DataError(f"{name}: column {absent[0]} is missing; columns found: {found}")
        twice = next((wanted for wanted in own.values() if there.count(wanted) > 1), None)
        if twice is not None:
            raise DataError(f"{name}: column {twice} appears more than once")
        table = file.read(columns=[wanted for wanted in dict.fromkeys(own.values()) if wanted in there])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name}: not a readable Parquet file ({str(error).splitlines()[0][:120]})") from error
    n = file.metadata.num_rows

    def values(column: str) -> pa.ChunkedArray:
        if column in there:
            return table[column]
        return pa.chunked_array([pa.repeat(pa.scalar(stated[column], pa.string()), n)])

    def fail(column: str, row: int, wanted: str, found: str) -> DataError:
        return DataError(f"{name}, column {own[column]}, row {row + 1}: {wanted}, found '{found[:60]}'")

    where = {SOURCE: constant(name, n), LINE: np.arange(1, n + 1)}
    columns = {out: values(column) for out, column in own.items()}
    return to_rows(columns, kinds, form, None if lenient else fail, extra=where)
