"""Files that others read are replaced whole, or stay as they were."""

import json
import os
import threading
from pathlib import Path

import pytest

from shelfops_pipeline.lifecycle.files import write_atomically, write_json


def test_a_file_is_written_whole_and_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.json"
    write_json(target, {"b": [1, None], "ü": "é"})
    assert json.loads(target.read_text()) == {"b": [1, None], "ü": "é"}
    assert target.read_text().endswith("}\n")
    assert [p.name for p in target.parent.iterdir()] == ["a.json"]


def test_other_users_may_read_what_is_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    target = tmp_path / "a.json"
    write_atomically(target, "old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_an_undefined_number_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"mae": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    target, stop = tmp_path / "a.json", threading.Event()
    write_json(target, [0] * 5000)
    broken: list[str] = []

    def read() -> None:
        while not stop.is_set():
            try:
                values = json.loads(target.read_text())
                if len(values) != 5000 or len(set(values)) != 1:
                    broken.append("mixed")
            except ValueError as error:
                broken.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(40):
        write_json(target, [k] * 5000)
    stop.set()
    reader.join()
    assert broken == []
