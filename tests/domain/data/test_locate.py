"""Finding a retailer's files: below a folder, by an absolute path, or at a URL."""

import gzip
from pathlib import Path

import fsspec
import pytest

from shelfops_pipeline.data.sources.locate import find_places, substituted
from shelfops_pipeline.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "data [1]"  # signs of a glob in the folder's own name mean nothing
    for name in ("sales/2024/b.csv", "sales/2024/a.csv", "sales/2023/c.csv", "sales/notes.txt"):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (home / "sales" / "folder.csv").mkdir()
    (home / "sales" / "2024" / "._a.csv").write_text("left behind by macOS")
    return home


def names(pattern: str, folder: Path | None) -> list[str]:
    return [place.name for place in find_places(pattern, folder, "transactions.files")]


def test_a_glob_finds_files_in_the_order_of_their_names_relative_to_where_it_begins(folder: Path) -> None:
    assert names("sales/**/*.csv", folder) == ["2023/c.csv", "2024/a.csv", "2024/b.csv"]
    assert names("sales/2024/*.csv", folder) == ["a.csv", "b.csv"]
    assert names("sales/2024/a.csv", folder) == ["a.csv"]


def test_an_absolute_path_needs_no_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    places = find_places(str(tmp_path / "*.csv"), None, "stores.files")
    assert [(place.name, place.read()) for place in places] == [("x.csv", b"x")]


def test_a_file_is_found_gzipped_too(folder: Path) -> None:
    (folder / "stock.csv.gz").write_bytes(gzip.compress(b"x"))
    places = find_places("stock.csv", folder, "inventory.files")
    assert [(place.name, place.read()) for place in places] == [("stock.csv.gz", b"x")]


def test_the_end_of_a_name_may_be_in_capitals(folder: Path) -> None:
    (folder / "STOCK.CSV.GZ").write_bytes(gzip.compress(b"x"))
    (folder / "SALES.PARQUET").touch()
    [stock], [sales] = (find_places(name, folder, "t") for name in ("STOCK.CSV.GZ", "SALES.PARQUET"))
    assert stock.read() == b"x"
    assert sales.is_parquet


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_url_is_read_through_fsspec(scheme: str, folder: Path) -> None:
    root = f"{folder.parent.as_posix()}/urls" if scheme == "file" else "/urls"
    files = fsspec.filesystem(scheme)
    for name in ("b.csv", "a.csv"):
        files.makedirs(root, exist_ok=True)
        files.pipe_file(f"{root}/{name}", name.encode())
    places = find_places(f"{scheme}://{root}/*.csv", None, "transactions.files")
    assert [(place.name, place.read()) for place in places] == [("a.csv", b"a.csv"), ("b.csv", b"b.csv")]
    files.rm(root, recursive=True)


def test_what_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"stores\.files: no file matches filialen\.csv in .*data"):
        find_places("filialen.csv", folder, "stores.files")
    with pytest.raises(DataError, match="--data DIR"):
        find_places("filialen.csv", None, "stores.files")


def test_an_unknown_protocol_and_an_unset_variable_are_named_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cr3t")
    with pytest.raises(DataError, match=r"nowhere://\$\{KEY\}/x.csv") as caught:
        find_places("nowhere://${KEY}/x.csv", None, "stores.files")
    assert "s3cr3t" not in str(caught.value)
    assert substituted("a ${KEY}", "x") == "a s3cr3t"
    with pytest.raises(DataError, match=r"stores\.files: the environment variable NO_SUCH_KEY is not set"):
        find_places("memory://${NO_SUCH_KEY}/x.csv", None, "stores.files")


def test_a_path_may_state_columns(tmp_path: Path) -> None:
    path = tmp_path / "day=2024-01-01" / "store=N%C3%BCrnberg" / "x.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    (place,) = find_places("**/*.parquet", tmp_path, "transactions.files")
    assert place.partitions == {"day": "2024-01-01", "store": "Nürnberg"}
    assert place.is_parquet
