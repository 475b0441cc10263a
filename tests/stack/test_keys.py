"""`shelfops keys`: what a person sees, and what opens the API's door."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts.access import ApiKey, Scope
from shelfops_pipeline.services.console import console
from shelfops_pipeline.store.api_keys import list_keys

Run = Callable[..., tuple[int, str, str]]
MAPPING = """
name: our_shops
transactions: {files: sales.csv, columns: {ts: date, store_id: store, item_id: item, quantity: qty}}
"""


@pytest.fixture
def run(tmp_path: Path, warehouse_url_of_test: str, command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`shelfops keys`."""
    values = {"HOME": str(tmp_path), "DATABASE_URL": warehouse_url_of_test, "USER": "boss", "DATASET": "", "DATA": ""}
    for name, value in values.items():
        monkeypatch.setenv(f"SHELFOPS_{name}", value)
    monkeypatch.setattr(console, "width", 200)
    return partial(command, "keys")


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(run: Run, warehouse: Engine) -> None:
    code, out, err = run("issue", "till", "--scope", "read", "--scope", "predict", "--days", "30")
    key = ApiKey.parse(out.strip())
    assert code == 0
    assert key is not None, "the key alone is on standard output"
    assert "predict, read" in err
    assert key.secret not in err
    (record,) = list_keys(warehouse, "simulated")
    assert (record.name, record.scopes, record.created_by) == ("till", (Scope.PREDICT, Scope.READ), "boss")
    assert record.expires_at is not None
    assert key.matches(record.hash)
    code, out, _ = run("list")
    assert code == 0
    assert all(word in out for word in (key.key_id, "till", "predict read", "valid until", "boss", "never"))
    assert key.secret not in out
    code, out, _ = run("revoke", "till")
    assert (code, out.strip()) == (0, f"till ({key.key_id}) is revoked")
    assert "revoked" in run("list")[1]
    assert list_keys(warehouse, "simulated", only_valid=True) == []


def test_a_key_reads_unless_told_otherwise(run: Run, warehouse: Engine) -> None:
    assert run("issue", "app")[0] == 0
    assert list_keys(warehouse, "simulated")[0].scopes == (Scope.READ,)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("issue", "no blanks"), "cannot name a key"),
        (("issue", "taken"), "revoke it first"),
        (("revoke", "nobody"), "No valid key"),
    ],
)
def test_a_mistake_is_one_line(run: Run, arguments: tuple[str, ...], says: str) -> None:
    run("issue", "taken")
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_a_list_of_none_says_how_to_begin(run: Run) -> None:
    code, _, err = run("list")
    assert code == 1
    assert "shelfops keys issue" in err


def test_keys_are_those_of_the_name_in_the_mapping(run: Run, warehouse: Engine, tmp_path: Path) -> None:
    mapping = tmp_path / "some_file.yaml"
    mapping.write_text(MAPPING)
    assert run("issue", "till", "--dataset", str(mapping))[0] == 0
    assert [record.name for record in list_keys(warehouse, "our_shops")] == ["till"]
    assert "till" in run("list", "--dataset", str(mapping))[1]
    assert run("revoke", "till", "--dataset", str(mapping))[0] == 0
    assert list_keys(warehouse, "our_shops", only_valid=True) == []
