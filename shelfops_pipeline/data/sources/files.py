"""Official CSV files: found by their names, plain or gzipped, and read."""

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from shelfops_pipeline.contracts.columns import LINE
from shelfops_pipeline.data.sources.cells import Kind, recode
from shelfops_pipeline.data.sources.delimited import header as header_of
from shelfops_pipeline.data.sources.delimited import read_delimited
from shelfops_pipeline.data.sources.lines import line_numbers
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError

__all__ = [
    "Kind",
    "find_file",
    "first_header",
    "has_file",
    "header",
    "line_numbers",
    "read_bytes",
    "read_csv",
    "read_csv_blocks",
    "read_csv_bytes",
    "recode",
    "unzipped",
]

_LEGACY: Final = "latin-1"
"""Older official files are Windows exports; every byte sequence is valid latin-1."""
_OFFICIAL: Final = Format()
_BLOCK: Final = 8_000_000


def has_file(folder: Path | None, name: str) -> bool:
    """Is a file that nobody must have there, plain or .gz?"""
    return folder is not None and _there(folder, [name]) is not None


def find_file(folder: Path | None, names: Sequence[str], origin: str) -> Path:
    """The first official file name that is there, plain or .gz. Raises DataError saying where to get it."""
    if folder is None:
        raise DataError(f"no data folder: pass --data DIR (or SHELFOPS_DATA) with {names[0]}; get it from {origin}")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: pass the one that holds {names[0]}; get it from {origin}")
    found = _there(folder, names)
    if found is None:
        raise DataError(f"{' or '.join(names)} (plain or .gz) not found in {folder}; get it from {origin}")
    return found


def _there(folder: Path, names: Sequence[str]) -> Path | None:
    either = [path for name in names for path in (folder / name, folder / f"{name}.gz")]
    return next((path for path in either if path.is_file()), None)


def header(path: Path, data: bytes) -> list[str]:
    """Column names of an official file. Raises DataError when it is empty."""
    return header_of(path.name, data, _OFFICIAL, _LEGACY)


def first_header(path: Path) -> list[str]:
    """Column names of an official file that is too large to be read for them."""
    for text in _blocks_of_lines(path, 1):
        return header(path, text)
    return header(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The decompressed content. Raises DataError if unreadable, truncated or wrongly named."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    return unzipped(path.name, data)


def read_csv_blocks(
    path: Path, kinds: Mapping[str, Kind], *, lines: bool = False, lenient: bool = False, block: int = _BLOCK
) -> Iterator[pd.DataFrame]:
    """`read_csv` of a large file, about `block` bytes of text at a time: memory does not grow with the file."""
    before = 0
    for text in _blocks_of_lines(path, block):
        frame = read_csv_bytes(path, text, kinds, lines=lines, lenient=lenient)
        if lines:
            frame[LINE] += before
        yield frame
        before += text.count(b"\n") - 1  # the header is in front of every block


def _blocks_of_lines(path: Path, block: int) -> Iterator[bytes]:
    """The text in blocks of whole lines, each with the header in front."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            head = stream.readline()
            rest, any_rows = b"", False
            while more := stream.read(block):
                rest += more
                cut = rest.rfind(b"\n") + 1
                while cut and rest.count(b'"', 0, cut) % 2:  # that line break belongs to a cell
                    cut = rest.rfind(b"\n", 0, cut - 1) + 1
                if cut:
                    yield head + rest[:cut]
                    rest, any_rows = rest[cut:], True
            if rest.strip() or not any_rows:
                yield head + rest
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError):
        read_bytes(path)  # says what is wrong with the file
        raise


def unzipped(name: str, data: bytes) -> bytes:
    """The content of a file, decompressed if its name ends with .gz. Raises DataError if it is damaged."""
    if not name.lower().endswith(".gz"):
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
