"""A table as it was sniffed: its format, and typed columns of as many rows as were read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shelfops_pipeline.data.sources.cells import MISSING, as_text
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.cells import sniff_dates, sniff_signs
from shelfops_pipeline.onboarding.column import Column, category, distinct, parquet_column, text_column
from shelfops_pipeline.onboarding.dialect import Dialect, decode, sniff_dialect, sniff_encoding
from shelfops_pipeline.onboarding.files import WHOLE, is_parquet, read_pieces, stated_columns

_MOST_FILES: Final = 64
_ZIPPED: Final = 8
"""What a compressed file of sales grows to, about."""
_PARQUET_ROWS: Final = 1_000_000


@dataclass(frozen=True)
class Sample:
    """What was read of one table: a file, or several with the same columns."""

    name: str
    """The file, or the glob, relative to the directory."""
    files: tuple[Path, ...]
    format: Format
    columns: dict[str, Column]
    rows: int
    """Of the whole table; an estimate unless `whole`."""
    whole: bool
    file_of: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    """Position of the file that each row is from, among those that were read."""
    odd_lines: int = 0
    """Lines that were read with another number of columns."""
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Rows that were read."""
        return len(next(iter(self.columns.values()))) if self.columns else 0


def read_sample(name: str, paths: Sequence[Path], dialect: Dialect | None, folder: Path) -> Sample:
    """Sniff one table. `dialect` is that of the text files; None for Parquet. Folders below `folder` may state columns
    of it (`store=0101/sales.csv`). Raises DataError when unreadable.
    """
    chosen = list(paths)
    if _text_bytes(paths) > WHOLE and len(paths) > _MOST_FILES:
        chosen = [paths[n] for n in np.unique(np.linspace(0, len(paths) - 1, _MOST_FILES).astype(int))]
    share = _text_bytes(paths) / max(_text_bytes(chosen), 1)
    if dialect is None:
        found, lengths = _parquet_sample(name, paths, chosen, share)
    else:
        found, lengths = _text_sample(name, paths, chosen, share, dialect)
    stated = [stated_columns(path, folder) for path in chosen]
    keys = [key for key in stated[0] if key not in found.columns]
    of_file = np.repeat(np.arange(len(chosen)), lengths)
    more = {key: _stated(key, [columns.get(key, "") for columns in stated], of_file, found.format) for key in keys}
    return replace(found, columns=found.columns | more, file_of=of_file)


def _text_bytes(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size * (_ZIPPED if path.suffix.lower() == ".gz" else 1) for path in paths)


def _stated(name: str, values: Sequence[str], of_file: NDArray[np.intp], form: Format) -> Column:
    """A column with one value per file."""
    codes, categories = pd.factorize(pd.Series(values, dtype=object))
    text = pd.Categorical.from_codes(cast(Any, codes[of_file]), categories=pd.Index(categories))
    return text_column(name, pd.Series(text), form)


def _text_sample(
    name: str, paths: Sequence[Path], chosen: list[Path], share: float, dialect: Dialect
) -> tuple[Sample, list[int]]:
    budget = WHOLE if _text_bytes(chosen) <= WHOLE else WHOLE // len(chosen)
    tables, estimate, odd, whole = [], 0.0, 0, len(chosen) == len(paths)
    encodings = set()
    lengths: list[int] = []
    for path in chosen:
        pieces = read_pieces(path, budget)
        encoding = sniff_encoding(pieces)
        if encoding != "utf-8" or not all(part.isascii() for part in pieces.parts):  # plain ASCII is any of them
            encodings.add(encoding)
        parts = decode(pieces, encoding)
        rows = 0
        for n, text in enumerate(parts):
            table, skipped = _arrow(path, text, dialect, 0 if n else dialect.skip_rows + 1)
            tables.append(table)
            rows += table.num_rows
            odd += skipped
        lengths.append(rows)
        estimate += rows * pieces.scale
        whole &= pieces.whole
    table = pa.concat_tables(tables).unify_dictionaries()
    texts = {n: category(table[i]) for i, n in enumerate(dialect.header) if n}
    encoding, notes = _one_encoding(encodings, dialect)
    decimal, thousands = sniff_signs(
        [list(t.cat.categories) for t in texts.values() if sniff_dates(*distinct(t), day_first=True) is None]
    )
    form = Format(
        separator=dialect.separator,
        decimal=decimal,
        thousands=thousands,
        encoding=encoding,
        skip_rows=dialect.skip_rows,
    )
    columns = {n: text_column(n, text, form) for n, text in texts.items()}
    rows = table.num_rows if whole else round(estimate * share)
    return Sample(name, tuple(paths), form, columns, rows, whole, odd_lines=odd, notes=notes), lengths


def _one_encoding(encodings: set[str], dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    if encodings == {"utf-8", "utf-8-sig"}:
        return "utf-8", ()  # which is read with and without a mark
    if len(encodings) > 1:
        # As UTF-8 the others cannot be read, and that is told; the other way round names would be garbled in silence.
        strict = [name for name in sorted(encodings) if name.startswith("utf")]
        told = f"its files are written in {' and '.join(sorted(encodings))}; convert them to one"
        return (strict or [dialect.encoding])[0], (told,)
    return next(iter(encodings), dialect.encoding), ()


def _arrow(path: Path, text: str, dialect: Dialect, skip: int) -> tuple[pa.Table, int]:
    """All columns of a piece of text, as dictionaries of strings; and how many lines had other columns."""
    odd = 0

    def count(row: arrow_csv.InvalidRow) -> str:
        nonlocal odd
        odd += 1
        return "skip"

    names = [str(n) for n in range(len(dialect.header))]
    body = text if not skip else "\n".join(text.split("\n")[skip:])
    data = body.encode()
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            arrow_csv.ParseOptions(
                delimiter=dialect.separator, newlines_in_values='"' in body, invalid_row_handler=count
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())),
                null_values=list(MISSING),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            empty = pa.array([], pa.string()).dictionary_encode()
            return pa.table({name: empty for name in names}), odd
        raise DataError(f"{path.name}: cannot be read as CSV: {' '.join(str(error).split())[:160]}") from error
    return table, odd


def _parquet_sample(name: str, paths: Sequence[Path], chosen: list[Path], share: float) -> tuple[Sample, list[int]]:
    tables, total = [], 0
    per_file = max(_PARQUET_ROWS // len(chosen), 1000)
    for path in chosen:
        try:
            file = pq.ParquetFile(path)
            total += file.metadata.num_rows
            tables.append(pa.concat_tables(_slices(file, per_file)))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path.name}: not a readable Parquet file: {str(error)[:120]}") from error
    table = _together(tables)
    whole = len(chosen) == len(paths) and table.num_rows == total
    columns = {n: parquet_column(n, table[n]) for n in table.column_names}
    rows = table.num_rows if whole else round(total * share)
    return Sample(name, tuple(paths), Format(), columns, rows, whole), [part.num_rows for part in tables]


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    """One below the other. Where the types of a column have nothing in common, all is text, as each file is read."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError:
        texts = [pa.table({name: as_text(table[name]) for name in table.column_names}) for table in tables]
        return pa.concat_tables(texts)


def _slices(file: pq.ParquetFile, most: int) -> Iterator[pa.Table]:
    """All of a file, or parts of row groups spread over it."""
    groups = file.metadata.num_row_groups
    if file.metadata.num_rows <= most:
        yield file.read()
        return
    some = np.unique(np.linspace(0, groups - 1, min(groups, 16)).astype(int))
    for group in some:
        table = file.read_row_group(int(group))
        for start in np.linspace(0, max(table.num_rows - most // len(some) // 8, 0), 8).astype(int):
            yield table.slice(int(start), most // len(some) // 8)


def sniff(path: Path) -> Dialect | None:
    """The dialect of a text file from its head and its end; None for Parquet."""
    return None if is_parquet(path) else sniff_dialect(path.name, read_pieces(path, 512 << 10))
