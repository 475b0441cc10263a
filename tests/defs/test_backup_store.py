"""A backup's files, in a directory and in an object store: whole, checked, and complete only with their manifest."""

import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.backup_store import BackupManifest, BackupStore, StoredDatabase


@pytest.fixture(params=["directory", "object store"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "directory":
        return str(tmp_path / "backups" / "monday")
    return f"{request.getfixturevalue('object_store')}/backups/{tmp_path.name}"


def manifest(store: BackupStore) -> BackupManifest:
    return BackupManifest(
        dataset="shop",
        shelfops="0.1.0",
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        champion=None,
        warehouse=StoredDatabase(revision="0008", tables={}),
        dagster=None,
        artifacts=True,
        files=store.files,
    )


def test_what_was_written_is_read_back_and_checked(url: str) -> None:
    content = os.urandom(3_000_000)
    store = BackupStore(url)
    assert store.is_empty()
    store.copy("home/models/v1/xgboost.ubj", io.BytesIO(content))
    with store.writing_table("warehouse/stores.gz") as write:
        for start in range(0, len(content), 700_000):
            write(content[start : start + 700_000])
    with pytest.raises(ShelfOpsError, match="no complete backup"):
        BackupStore(url).manifest()
    store.finish(manifest(store))
    read = BackupStore(url)
    assert not read.is_empty()
    found = read.manifest()
    assert b"".join(read.chunks("home/models/v1/xgboost.ubj")) == content
    assert b"".join(read.table_chunks("warehouse/stores.gz")) == content
    assert [path for path, expected in found.files.items() if read.damaged(path, expected)] == []


def test_what_is_forgotten_or_changed_is_damaged(url: str) -> None:
    store = BackupStore(url)
    for name in ("a", "b"):
        store.copy(name, io.BytesIO(name.encode()))
    noted = dict(store.files)
    store.forget("a")
    store.copy("b", io.BytesIO(b"c"))
    assert list(store.files) == ["b"]
    assert [store.damaged(path, expected) for path, expected in noted.items()] == [True, True]
