"""The files of a directory, and bounded samples of their bytes."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote

from shelfops_pipeline.errors import DataError

WHOLE: Final = 64 << 20
"""Bytes of text of one table up to which it is read whole."""
_PIECE: Final = 512 << 10
_LEAST_PIECES: Final = 8
_CSV: Final = (".csv", ".txt", ".tsv", ".tab", ".psv", ".dat")
_PARQUET: Final = (".parquet", ".pq")
_CONVERTED: Final = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "a spreadsheet; save its sheets as CSV"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "JSON; save it as CSV or Parquet to have it read"),
}


@dataclass(frozen=True)
class Pieces:
    """Bytes of a text file: all of it, or pieces spread from its head to its end."""

    parts: tuple[bytes, ...]
    size: int
    """Bytes of the whole file, decompressed."""

    @property
    def whole(self) -> bool:
        """Is this all of the file?"""
        return len(self.parts) == 1 and len(self.parts[0]) == self.size

    @property
    def scale(self) -> float:
        """Size of the file relative to what was read."""
        return self.size / max(sum(map(len, self.parts)), 1)


def is_parquet(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in _PARQUET


def find_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The table files below `folder`, sorted, and a word on each that is none.

    Raises DataError when there is no such directory, or no table in it.
    """
    if not folder.exists():
        raise DataError(f"no such directory: {folder}")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; give the directory that holds it")
    tables, others = [], []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder)
        if any(part.startswith((".", "_")) for part in name.parts):
            continue
        if Path(path.name.lower().removesuffix(".gz")).suffix in (*_CSV, *_PARQUET):
            tables.append(path)
        elif (told := _CONVERTED.get(Path(path.name.lower().removesuffix(".gz")).suffix)) is not None:
            others.append(f"{name}: {told}")
        elif path.suffix.lower() not in (".yaml", ".yml", ".md"):
            others.append(f"{name}: not a table of text or Parquet")
    if not tables:
        seen = f" ({'; '.join(others[:3])})" if others else ""
        raise DataError(f"{folder}: no CSV or Parquet file in it{seen}")
    return tables, others


def stated_columns(path: Path, folder: Path) -> dict[str, str]:
    """The columns that the folders of a file state, as in `store=0101/sales.csv`."""
    parts = (part.partition("=") for part in path.relative_to(folder).parts[:-1])
    return {unquote(name): unquote(value) for name, sign, value in parts if sign and name}


def read_pieces(path: Path, budget: int = WHOLE) -> Pieces:
    """All of a text file if it has at most `budget` bytes, else `budget` bytes of it, spread.

    Raises DataError when it is empty, unreadable, or not the gzip file that its name says.
    """
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path, "rb") as stream:
                found = _stream(stream, budget)
        else:
            with path.open("rb") as stream:
                found = _seek(stream, path.stat().st_size, budget)
    except EOFError as error:
        raise DataError(f"{path.name}: the gzip file is truncated; copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name}: not a valid gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    if not found.size:
        raise DataError(f"{path.name}: the file is empty; copy it again, or remove it")
    return found


def _seek(stream: BinaryIO, size: int, budget: int) -> Pieces:
    if size <= budget:
        return Pieces((stream.read(),), size)
    length = min(_PIECE, budget // _LEAST_PIECES)
    count = budget // length
    parts = []
    for n in range(count):
        stream.seek((size - length) * n // (count - 1) // 4 * 4)  # at a character of UTF-16
        parts.append(stream.read(length))
    stream.seek((size - length) // 4 * 4)
    return Pieces((*parts[:-1], stream.read()), size)


def _stream(stream: gzip.GzipFile, budget: int) -> Pieces:
    """One pass: every chunk while they fit, then every second, every fourth, ... of the whole stream."""
    chunk = min(_PIECE, max(budget // _LEAST_PIECES // 4 * 4, 4))
    kept: list[bytes] = []
    stride, n, size = 1, 0, 0
    last = b""
    while piece := stream.read(chunk):
        size += len(piece)
        if n % stride == 0:
            kept.append(piece)
        last, n = piece, n + 1
        if len(kept) * chunk > budget:
            kept, stride = kept[::2], stride * 2
    if stride == 1:
        return Pieces((b"".join(kept),), size)
    return Pieces((*kept, *([] if kept[-1] is last else [last])), size)
