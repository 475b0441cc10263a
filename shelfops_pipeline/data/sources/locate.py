"""Where a retailer's files are: a glob below the data folder, or any URL that fsspec can open."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote

import fsspec

from shelfops_pipeline.data.sources.files import unzipped
from shelfops_pipeline.errors import DataError

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_MAGIC: Final = re.compile(r"[*?\[]")
_PARTITION: Final = re.compile(r"([^/=]+)=([^/]*)/")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Place:
    """One file."""

    name: str
    """Relative to the folder in which the glob begins: what `source` says of a row."""
    path: str
    files: Any
    """The fsspec file system that it is on."""

    @property
    def is_parquet(self) -> bool:
        return self.name.lower().endswith((".parquet", ".pq"))

    @property
    def partitions(self) -> dict[str, str | None]:
        """Columns that the path states, as in `month=2024-05/sales.parquet`, also where the glob begins below."""
        found = _PARTITION.findall(self.path)
        return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, value in found}

    def read(self) -> bytes:
        """The decompressed content. Raises DataError if it cannot be read."""
        try:
            data = cast(bytes, self.files.cat_file(self.path))
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read ({error.strerror or type(error).__name__})") from error
        return unzipped(self.name, data)


def substituted(text: str, what: str) -> str:
    """`text` with every ${NAME} taken from the environment. Raises DataError naming the variable that is not set."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise DataError(f"{what}: the environment variable {match[1]} is not set")
        return found

    return _VARIABLE.sub(value, text)


def find_places(pattern: str, folder: Path | None, what: str) -> list[Place]:
    """The files that match, sorted by name; `pattern` is relative to `folder`, absolute, or a URL. Where nothing is
    called so, the same name with .gz will do.

    Raises DataError when nothing matches; what is substituted for ${NAME} is in no message.
    """
    found = list(_matches(pattern, folder, what)) or list(_matches(f"{pattern}.gz", folder, what))
    if not found:
        where = "" if "://" in pattern else f" in {folder}"
        raise DataError(f"{what}: no file matches {pattern}{where}")
    return sorted(found, key=lambda place: place.name)


def _matches(pattern: str, folder: Path | None, what: str) -> Iterator[Place]:
    full = substituted(pattern, what)
    return _remote(pattern, full, what) if "://" in full else _local(pattern, full, folder, what)


def _local(pattern: str, full: str, folder: Path | None, what: str) -> Iterator[Place]:
    if Path(full).is_absolute():
        folder, full = Path(Path(full).anchor), str(Path(full).relative_to(Path(full).anchor))
    if folder is None:
        raise DataError(f"{what}: say where {pattern} is, with --data DIR")
    files, base = fsspec.filesystem("file"), folder / _fixed_part(full)
    for path in folder.glob(full):
        name = path.relative_to(base).as_posix()
        # A glob means no hidden files: editors, archives and macOS leave such behind.
        if path.is_file() and not ("/." in f"/{name}" and _MAGIC.search(full)):
            yield Place(name, str(path), files)


def _remote(pattern: str, full: str, what: str) -> Iterator[Place]:
    try:
        files, path = fsspec.core.url_to_fs(full)
        found = files.glob(path) if _MAGIC.search(path) else [path]
        names = [name for name in found if files.isfile(name)]
    except ImportError as error:  # fsspec names the package that the protocol needs
        raise DataError(f"{what}: {pattern}: {error}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{what}: {pattern} cannot be listed ({type(error).__name__})") from error
    base = _fixed_part(path)
    for name in names:
        yield Place(name.removeprefix(base).lstrip("/"), name, files)


def _fixed_part(path: str) -> str:
    """The folder in which a glob begins."""
    magic = _MAGIC.search(path)
    return (path[: magic.start()] if magic else path).rpartition("/")[0]
