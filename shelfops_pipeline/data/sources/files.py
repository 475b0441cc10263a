"""Official CSV files: found by their names, plain or gzipped, and read."""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from shelfops_pipeline.data.mapping import Format
from shelfops_pipeline.data.sources.cells import Kind, recode
from shelfops_pipeline.data.sources.delimited import header as header_of
from shelfops_pipeline.data.sources.delimited import read_delimited
from shelfops_pipeline.data.sources.lines import line_numbers
from shelfops_pipeline.errors import DataError

__all__ = [
    "Kind",
    "find_file",
    "header",
    "line_numbers",
    "read_bytes",
    "read_csv",
    "read_csv_bytes",
    "recode",
    "unzipped",
]

_LEGACY: Final = "latin-1"
"""Older official files are Windows exports; every byte sequence is valid latin-1."""
_OFFICIAL: Final = Format()


def find_file(folder: Path | None, names: Sequence[str], origin: str) -> Path:
    """The first official file name that is there, plain or .gz. Raises DataError saying where to get it."""
    if folder is None:
        raise DataError(f"no data folder: pass --data DIR (or SHELFOPS_DATA) with {names[0]}; get it from {origin}")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: pass the one that holds {names[0]}; get it from {origin}")
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    wanted = " or ".join(names)
    raise DataError(f"{wanted} (plain or .gz) not found in {folder}; get it from {origin}")


def header(path: Path, data: bytes) -> list[str]:
    """Column names of an official file. Raises DataError when it is empty."""
    return header_of(path.name, data, _OFFICIAL, _LEGACY)


def read_bytes(path: Path) -> bytes:
    """The decompressed content. Raises DataError if unreadable, truncated or wrongly named."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    return unzipped(path.name, data)


def unzipped(name: str, data: bytes) -> bytes:
    """The content of a file, decompressed if its name ends with .gz. Raises DataError if it is damaged."""
    if not name.endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise DataError(f"{name}: the gzip file is truncated; download it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: not a valid gzip file ({error}); download it again") from error


def read_csv(
    path: Path,
    kinds: Mapping[str, Kind],
    *,
    names: Mapping[str, str] | None = None,
    form: Format = _OFFICIAL,
    lines: bool = False,
    lenient: bool = False,
) -> pd.DataFrame:
    """The named columns of an official CSV file: `delimited.read_delimited`, but a file without rows is refused too."""
    return read_csv_bytes(path, read_bytes(path), kinds, names=names, form=form, lines=lines, lenient=lenient)


def read_csv_bytes(
    path: Path,
    data: bytes,
    kinds: Mapping[str, Kind],
    *,
    names: Mapping[str, str] | None = None,
    form: Format = _OFFICIAL,
    lines: bool = False,
    lenient: bool = False,
) -> pd.DataFrame:
    """`read_csv` of content that was read before."""
    frame = read_delimited(path.name, data, kinds, form, names=names, lines=lines, lenient=lenient, fallback=_LEGACY)
    if frame.empty:
        raise DataError(f"{path.name}: the file has a header but no rows")
    return frame
