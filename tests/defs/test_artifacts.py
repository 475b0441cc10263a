"""The artifact root: whole files and folders, on a local directory and on an object store."""

import uuid
from pathlib import Path
from typing import IO

import pytest
import s3fs

from shelfops_pipeline.defs.artifacts import ArtifactRoot


@pytest.fixture(params=["local", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactRoot:
    if request.param == "local":
        return ArtifactRoot(str(tmp_path / "artifacts"), tmp_path / "cache")
    bucket = request.getfixturevalue("object_store")
    return ArtifactRoot(f"{bucket}/{uuid.uuid4().hex}", tmp_path / "cache")


def fill(root: ArtifactRoot, text: str) -> None:
    with root.replace_folder("panel") as folder:
        (folder / "demand.npy").write_text(text)


def test_a_file_is_replaced_whole_and_can_be_listed(root: ArtifactRoot) -> None:
    assert root.names("sales") == frozenset()
    root.write("sales/2024-01-01.parquet", lambda stream: stream.write(b"old and long"))
    root.write("sales/2024-01-01.parquet", lambda stream: stream.write(b"new"))
    assert root.exists("sales/2024-01-01.parquet")
    assert root.names("sales") == {"2024-01-01.parquet"}
    with root.open("sales/2024-01-01.parquet") as stream:
        assert stream.read() == b"new"


def test_a_file_can_be_removed(root: ArtifactRoot) -> None:
    for name in ("a", "b"):
        root.write(f"issued/{name}", lambda stream: stream.write(b"x"))
    root.remove("issued/a")
    assert root.names("issued") == {"b"}
    root.remove("issued/a")


def test_a_writer_that_fails_leaves_the_old_file(root: ArtifactRoot) -> None:
    root.write("sales/a", lambda stream: stream.write(b"old"))

    def half(stream: IO[bytes]) -> None:
        stream.write(b"n")
        raise RuntimeError("out of disk")

    with pytest.raises(RuntimeError, match="out of disk"):
        root.write("sales/a", half)
    with root.open("sales/a") as stream:
        assert stream.read() == b"old"
    assert root.names("sales") - {".a.draft"} == {"a"}


def test_a_folder_is_replaced_whole_and_only_the_latest_is_kept(root: ArtifactRoot) -> None:
    fill(root, "one")
    first = root.folder("panel")
    fill(root, "two")
    second = root.folder("panel")
    assert (second / "demand.npy").read_text() == "two"
    assert first != second
    assert len(root.names("panel")) == 2  # the pointer, and the folder it names
    assert root.folder("panel") == second


def test_a_folder_without_files_can_be_read(root: ArtifactRoot) -> None:
    fill(root, "one")
    with root.replace_folder("panel"):
        pass  # as of a tier that is not trained
    assert list(root.folder("panel").iterdir()) == []


def test_what_another_process_wrote_is_found(object_store: str, tmp_path: Path) -> None:
    url = f"{object_store}/{uuid.uuid4().hex}"
    reader = ArtifactRoot(url, tmp_path / "reader")
    fill(reader, "one")
    assert len(reader.names("panel")) == 2
    s3fs.S3FileSystem.clear_instance_cache()  # the writer has a client of its own, as another process has
    fill(ArtifactRoot(url, tmp_path / "writer"), "two")
    assert (reader.folder("panel") / "demand.npy").read_text() == "two"


def test_a_folder_that_is_replaced_while_it_is_fetched_is_not_mixed(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{object_store}/{uuid.uuid4().hex}"
    writer, reader = ArtifactRoot(url, tmp_path / "writer"), ArtifactRoot(url, tmp_path / "reader")
    fill(writer, "one")
    version = reader.version_of

    def then_replaced(path: str) -> str:
        found = version(path)
        monkeypatch.delattr(reader, "version_of")
        fill(writer, "two")
        return found

    monkeypatch.setattr(reader, "version_of", then_replaced)
    with pytest.raises(FileNotFoundError, match="read it again"):
        reader.folder("panel")
    assert (reader.folder("panel") / "demand.npy").read_text() == "two"


def test_a_folder_is_fetched_by_two_processes_at_once(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, cache = f"{object_store}/{uuid.uuid4().hex}", tmp_path / "cache"
    slow, fast = ArtifactRoot(url, cache), ArtifactRoot(url, cache)
    fill(slow, "one")
    version, asked = slow.version_of, 0

    def overtaken(path: str) -> str:
        nonlocal asked
        asked += 1
        if asked == 2:  # when everything was fetched
            fast.folder(path)
        return version(path)

    monkeypatch.setattr(slow, "version_of", overtaken)
    assert slow.folder("panel") == fast.folder("panel")
    assert (fast.folder("panel") / "demand.npy").read_text() == "one"
    assert len(list((cache / "panel").iterdir())) == 1


def test_a_folder_whose_making_fails_leaves_the_old_one(root: ArtifactRoot) -> None:
    def stop_halfway() -> None:
        with root.replace_folder("panel") as folder:
            (folder / "demand.npy").write_text("half")
            raise RuntimeError("stopped")

    fill(root, "one")
    with pytest.raises(RuntimeError, match="stopped"):
        stop_halfway()
    assert (root.folder("panel") / "demand.npy").read_text() == "one"


def test_what_was_never_written_is_not_found(root: ArtifactRoot) -> None:
    with pytest.raises(FileNotFoundError):
        root.folder("panel")
    with pytest.raises(FileNotFoundError):
        root.open("sales/a").close()
