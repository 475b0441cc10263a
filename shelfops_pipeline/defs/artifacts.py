"""Files below one artifact root, a directory or any fsspec URL; what is there is replaced whole or not at all."""

import io
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

import fsspec

from shelfops_pipeline.settings import Settings

CURRENT: Final = "current"


class ArtifactRoot:
    """Single files, and folders of files that belong together.

    A file is written beside its place and renamed into it; an object store shows an object when it is complete. A
    folder gets a new name each time, and the small file `current` says which is valid: a reader sees the old one or
    the new one, also when the writer is killed. One writer per path.
    """

    def __init__(self, url: str, cache: Path) -> None:
        # Another process may replace what is listed: remembered listings of a store would hide it.
        self._fs, self._base = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._cache = cache
        self.is_local = isinstance(self._fs, fsspec.implementations.local.LocalFileSystem)

    def write(self, path: str, write: Callable[[IO[bytes]], object]) -> None:
        """Replace one file by what `write` puts into it."""
        target = self._at(path)
        if not self.is_local:
            content = io.BytesIO()  # a stream to the store would be completed, half written, when `write` fails
            write(content)
            self._fs.pipe_file(target, content.getvalue())
            return
        final = Path(target)
        final.parent.mkdir(parents=True, exist_ok=True)
        draft = final.with_name(f".{final.name}.draft")
        with draft.open("wb") as stream:
            write(stream)
        draft.replace(final)

    def open(self, path: str) -> IO[bytes]:
        """One file, to read. Raises FileNotFoundError."""
        stream: IO[bytes] = self._fs.open(self._at(path), "rb")
        return stream

    def exists(self, path: str) -> bool:
        """Is there such a file?"""
        return bool(self._fs.exists(self._at(path)))

    def remove(self, path: str) -> None:
        """Delete one file; nothing happens where there is none."""
        if self.exists(path):
            self._fs.rm_file(self._at(path))

    def names(self, folder: str) -> frozenset[str]:
        """Names of the files in a folder; empty where there is none."""
        at = self._at(folder)
        if not self._fs.exists(at):
            return frozenset()
        return frozenset(str(name).rstrip("/").rpartition("/")[2] for name in self._fs.ls(at, detail=False))

    def contents(self) -> tuple[list[str], list[str]]:
        """Everything that is valid now: paths of single files, and of folders. Drafts are not."""
        if not self._fs.exists(self._base):
            return [], []
        start = len(self._base.rstrip("/")) + 1
        found = sorted(str(path)[start:] for path in self._fs.find(self._base))
        found = [path for path in found if not any(part.startswith(".") for part in path.split("/"))]
        folders = [path.removesuffix(f"/{CURRENT}") for path in found if path.endswith(f"/{CURRENT}")]
        inside = tuple(f"{folder}/" for folder in folders)
        return [path for path in found if not path.startswith(inside)], folders

    def version_of(self, folder: str) -> str:
        """The name of a folder's present version, under which its files are. Raises FileNotFoundError."""
        with self.open(f"{folder}/{CURRENT}") as stream:
            return stream.read().decode()

    def keep_folder(self, path: str) -> None:
        """Make the directory of a folder's present version where files alone do not: one that holds none."""
        if self.is_local:
            Path(f"{self._at(path)}/{self.version_of(path)}").mkdir(exist_ok=True)

    @contextmanager
    def replace_folder(self, path: str) -> Iterator[Path]:
        """An empty local directory to fill; when the block ends well, its files become the folder."""
        version = uuid.uuid4().hex
        target = f"{self._at(path)}/{version}"
        if self.is_local:
            Path(target).mkdir(parents=True)
            yield Path(target)
        else:
            with TemporaryDirectory() as draft:
                yield Path(draft)
                for file in sorted(Path(draft).iterdir()):
                    self._fs.put_file(str(file), f"{target}/{file.name}")
        self.write(f"{path}/{CURRENT}", lambda stream: stream.write(version.encode()))
        for old in self.names(path) - {version, CURRENT}:
            if not old.startswith("."):
                self._fs.rm(f"{self._at(path)}/{old}", recursive=True)

    def folder(self, path: str) -> Path:
        """The folder as a local directory to read; fetched once per version where the root is not local.

        Raises FileNotFoundError where nothing was ever written, or where it is replaced while it is fetched.
        """
        version = self.version_of(path)
        return Path(f"{self._at(path)}/{version}") if self.is_local else self._fetched(path, version)

    def _fetched(self, path: str, version: str) -> Path:
        cache = self._cache / path
        done = cache / version
        if done.is_dir():
            return done
        draft = cache / f".{version}.{uuid.uuid4().hex}"
        draft.mkdir(parents=True)
        # A store has no empty folders: of a tier that is not trained nothing is found, as of a version that is gone.
        for name in self._fs.find(f"{self._at(path)}/{version}"):
            self._fs.get_file(name, str(draft / str(name).rpartition("/")[2]))
        if self.version_of(path) != version:
            shutil.rmtree(draft)
            raise FileNotFoundError(f"{path} was replaced while it was fetched: read it again")
        for old in cache.iterdir():
            if version not in old.name:  # else another process fetches the same, or has
                shutil.rmtree(old, ignore_errors=True)
        try:
            draft.rename(done)
        except OSError:
            shutil.rmtree(draft)
            if not done.is_dir():
                raise
        return done

    def _at(self, path: str) -> str:
        return f"{self._base.rstrip('/')}/{path}"


def artifact_root(settings: Settings) -> ArtifactRoot:
    """The root of this deployment: SHELFOPS_ARTIFACTS, or `artifacts` in its home."""
    return _root(settings.artifacts or str(settings.root / "artifacts"), settings.root / "cache")


@lru_cache(maxsize=8)
def _root(url: str, cache: Path) -> ArtifactRoot:
    return ArtifactRoot(url, cache)
