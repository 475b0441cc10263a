"""A backup on disk or in an object store: its files with their checksums, and the manifest that makes it complete."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from importlib.util import find_spec
from typing import IO, Final, Literal

import fsspec
import psycopg
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from sqlalchemy.exc import SQLAlchemyError

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import reason_of

MANIFEST: Final = "backup.json"
_CHUNK: Final = 1 << 20
_LEVEL: Final = 1  # of gzip: the quickest; higher ones gain little on rows
_GZIP: Final = 31  # zlib's number for a gzip header


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Frozen):
    """What a file must be when it is read back."""

    sha256: str
    size: int


class StoredTable(_Frozen):
    """A table's rows, as `store.dump` copied them, in a gzip file."""

    columns: tuple[str, ...]
    rows: int


class StoredDatabase(_Frozen):
    """The tables of one database at one moment, at a revision of its schema; parents before their children."""

    revision: str
    tables: dict[str, StoredTable]
    months: dict[str, tuple[date, ...]] = {}
    """First days of the months that a table partitioned by time has rows in."""


class BackupManifest(_Frozen):
    """Written last: a directory without it is no backup."""

    format: Literal[1] = 1
    dataset: str
    shelfops: str
    created_at: datetime
    champion: str | None
    warehouse: StoredDatabase
    dagster: StoredDatabase | None
    artifacts: bool
    files: dict[str, StoredFile]

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, StoredFile]) -> dict[str, StoredFile]:
        """A restore writes where these names say."""
        for path in files:
            if not {"", "..", "."}.isdisjoint(path.split("/")):
                raise ValueError(f"{path} leads out of the backup")
        return files


def store_errors() -> tuple[type[Exception], ...]:
    """What a disk or an object store raises that cannot be used."""
    if find_spec("botocore") is None:
        return (OSError,)
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    return (OSError, BotoCoreError, ClientError)


@contextmanager
def stopped_in_one_line(what: str, remedy: str) -> Iterator[None]:
    """Raises ShelfOpsError, which names `what` was stopped and says `remedy`, for what a disk, an object store or a
    database raises in the middle of it."""
    expected: tuple[type[Exception], ...] = (*store_errors(), SQLAlchemyError, psycopg.Error)
    try:
        yield
    except expected as error:
        raise ShelfOpsError(f"{what} was stopped: {reason_of(error)}; {remedy}") from error


class BackupStore:
    """The files under one directory or fsspec URL. Raises ShelfOpsError where nothing is known of such a URL."""

    def __init__(self, url: str) -> None:
        try:
            self._fs, self._base = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:  # a package that is missing, a protocol that nobody knows
            raise ShelfOpsError(f"{url} cannot be opened: {error}") from error
        self.url = url
        self.is_local = isinstance(self._fs, fsspec.implementations.local.LocalFileSystem)
        self.files: dict[str, StoredFile] = {}
        """What was written through this object."""

    @property
    def path(self) -> str:
        """Where it is, without the protocol."""
        return str(self._base)

    def is_empty(self) -> bool:
        """Is there nothing yet?"""
        self._fs.invalidate_cache()
        return not self._fs.exists(self._base) or not self._fs.find(self._base)

    def clear(self) -> None:
        """Delete every file."""
        self._fs.invalidate_cache()
        if self._fs.exists(self._base):
            for path in self._fs.find(self._base):
                self._fs.rm_file(path)

    @contextmanager
    def writing(self, path: str) -> Iterator[Callable[[bytes], None]]:
        """A function that appends to the file `path`; when the block ends well, its checksum is noted."""
        digest, size = hashlib.sha256(), 0

        def append(data: bytes) -> None:
            nonlocal size
            stream.write(data)
            digest.update(data)
            size += len(data)

        if self.is_local:
            self._fs.makedirs(os.path.dirname(self._at(path)), exist_ok=True)  # noqa: PTH120 - fsspec's paths are text
        with self._fs.open(self._at(path), "wb") as stream:
            yield append
        self.files[path] = StoredFile(sha256=digest.hexdigest(), size=size)

    @contextmanager
    def writing_table(self, path: str) -> Iterator[Callable[[bytes], None]]:
        """Like `writing`, compressed on the way."""
        compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
        with self.writing(path) as append:
            yield lambda data: append(compressor.compress(data))
            append(compressor.flush())

    def copy(self, path: str, source: IO[bytes]) -> None:
        """Store all of `source`."""
        with self.writing(path) as append:
            while data := source.read(_CHUNK):
                append(data)

    def forget(self, path: str) -> None:
        """Delete a file that was written."""
        self._fs.rm_file(self._at(path))
        del self.files[path]

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file, about a megabyte at a time."""
        with self._fs.open(self._at(path), "rb") as stream:
            while data := stream.read(_CHUNK):
                yield data

    def table_chunks(self, path: str) -> Iterator[bytes]:
        """What was given to `writing_table`."""
        expander = zlib.decompressobj(wbits=_GZIP)
        for data in self.chunks(path):
            yield expander.decompress(data)
        yield expander.flush()

    def damaged(self, path: str, expected: StoredFile) -> bool:
        """Is the file another than it was when it was written, or gone?"""
        digest, size = hashlib.sha256(), 0
        try:
            for data in self.chunks(path):
                digest.update(data)
                size += len(data)
        except FileNotFoundError:
            return True
        return (digest.hexdigest(), size) != (expected.sha256, expected.size)

    def finish(self, manifest: BackupManifest) -> None:
        """Write the manifest, once everything else is on the disk."""
        if self.is_local:
            os.sync()
        self._fs.pipe_file(self._at(MANIFEST), manifest.model_dump_json(indent=2).encode())
        if self.is_local:
            os.sync()

    def manifest(self) -> BackupManifest:
        """Raises ShelfOpsError where there is no complete backup, or one of another format."""
        try:
            return BackupManifest.model_validate_json(self._fs.cat_file(self._at(MANIFEST)))
        except FileNotFoundError:
            raise ShelfOpsError(
                f"no complete backup in {self.url}: {MANIFEST}, which is written last, is missing"
            ) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ShelfOpsError(
                f"{MANIFEST} in {self.url} cannot be read ({where}: {first['msg']}): damaged, or of a newer release"
            ) from None

    def _at(self, path: str) -> str:
        return f"{self._base.rstrip('/')}/{path}"
