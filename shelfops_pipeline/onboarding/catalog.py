"""From files to tables: files with the same columns and a common name are one table, read by a glob."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.dialect import Dialect
from shelfops_pipeline.onboarding.files import find_files, is_parquet
from shelfops_pipeline.onboarding.sample import Sample, read_sample, sniff

_LEAST_COMMON: Final = 3
_WIDE_NAME: Final = re.compile(r"^(?:d|w|t|day|week|wk|kw|woche|semana|semaine)[ _.-]?\d+$", re.IGNORECASE)
_DATE_NAME: Final = re.compile(r"^\d{1,4}[./-]\d{1,2}(?:[./-]\d{1,4})?$|^(?:19|20)\d{2}-?(?:W?\d{2}|\d{4})$")
_LEAST_WIDE: Final = 6


@dataclass(frozen=True)
class Catalog:
    """The tables of a directory, and a word on every file that is none."""

    folder: Path
    tables: tuple[Sample, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    path: Path
    name: str
    dialect: Dialect | None
    header: tuple[str, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """What files of one table have in common."""
        how = None if self.dialect is None else (self.dialect.separator, self.dialect.skip_rows)
        return self.header, how


def read_catalog(folder: Path) -> Catalog:
    """Sniff every table below `folder`. Raises DataError when none can be read."""
    paths, others = find_files(folder)
    files: list[_File] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            dialect = sniff(path)
            header = _parquet_header(path) if dialect is None else dialect.header
            twice = next((cell for cell in header if cell and header.count(cell) > 1), None)
            if twice is not None:
                raise DataError(f"{name}: column {twice} appears more than once; rename one")
        except DataError as error:
            others.append(str(error) if str(error).startswith(name) else f"{name}: {error}")
            continue
        files.append(_File(path, name, dialect, header))
    if not files:
        raise DataError(f"{folder}: nothing in it can be read: {'; '.join(others[:3])}")
    every = [file.name for file in files]
    tables = []
    for group in _groups(files):
        name = _glob([file.name for file in group], every)
        tables.append(read_sample(name, [file.path for file in group], group[0].dialect, folder))
    return Catalog(folder, tuple(tables), tuple(others))


def wide_columns(header: Sequence[str]) -> list[str]:
    """The columns that are periods of a wide table: `2024-01-01`, `d_17`, `KW 12`; empty if it is none."""
    found = [name for name in header if _WIDE_NAME.match(name) or _DATE_NAME.match(name)]
    return found if len(found) >= max(_LEAST_WIDE, len(header) // 2) else []


def _parquet_header(path: Path) -> tuple[str, ...]:
    if not is_parquet(path):
        return ()
    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path.name}: not a readable Parquet file ({' '.join(str(error).split())[:80]})") from error


def _groups(files: Sequence[_File]) -> list[list[_File]]:
    """Files with the same columns whose names differ in numbers only, or share a part, and can be one glob."""
    groups: list[list[_File]] = []
    for file in files:
        for group in groups:
            if file.key == group[0].key and _alike(file.name, group[0].name):
                group.append(file)
                break
        else:
            groups.append([file])
    every = [file.name for file in files]
    out = []
    for group in groups:
        names = [file.name for file in group]
        exact = set(_matches(_glob(names, every), every)) == set(names)
        out += [group] if exact else [[file] for file in group]
    return out


def _alike(name: str, other: str) -> bool:
    stem, other_stem = (re.sub(r"\d+", "#", n) for n in (name, other))
    return stem == other_stem or len(_start(name, other)) >= _LEAST_COMMON


def _start(*names: str) -> str:
    """What all the names start with."""
    first, last = min(names), max(names)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _glob(names: Sequence[str], every: Sequence[str]) -> str:
    """The narrowest simple glob of all `names`."""
    if len(names) == 1:
        return escape(names[0])
    parts = [name.split("/") for name in names]
    if len({len(p) for p in parts}) > 1:
        return "**/*" + Path(names[0]).suffix
    pieces = []
    for level in zip(*parts, strict=True):
        same = set(level)
        prefix = _start(*level)
        suffix = _start(*(p[::-1] for p in level))[::-1]
        suffix = (
            suffix[: max(min(map(len, level)) - len(prefix), 0)]
            if len(prefix + suffix) > min(map(len, level))
            else suffix
        )
        pieces.append(level[0] if len(same) == 1 else f"{prefix.rstrip('0123456789')}*{suffix.lstrip('0123456789')}")
    loose, tight = "/".join(pieces), "/".join(piece.replace("*", "[0-9]*") for piece in pieces)
    return tight if set(_matches(loose, every)) != set(names) else loose


def _matches(pattern: str, every: Sequence[str]) -> list[str]:
    depth = pattern.count("/")
    return [name for name in every if fnmatchcase(name, pattern) and (name.count("/") == depth or "**" in pattern)]
