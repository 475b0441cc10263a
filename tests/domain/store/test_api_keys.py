"""Keys: the secret is shown once and never stored; revoked and expired ones are not valid; names say who acts."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.access import EVERY_SCOPE, ApiKey, Scope, granted
from shelfops_pipeline.store.api_keys import (
    AmbiguousKeyError,
    KeyNameTakenError,
    UnknownKeyError,
    issue_key,
    list_keys,
    note_use,
    revoke_key,
)
from tests.domain.store.support import SHOP


def issue(engine: Engine, name: str = "till", dataset: str = SHOP, expires_at: datetime | None = None) -> ApiKey:
    return issue_key(engine, dataset, name, [Scope.READ, Scope.READ, Scope.PREDICT], by="boss", expires_at=expires_at)


def valid(engine: Engine, dataset: str = SHOP) -> list[str]:
    return [record.key_id for record in list_keys(engine, dataset, only_valid=True)]


def test_a_key_is_read_back_without_its_secret(warehouse: Engine) -> None:
    key = issue(warehouse)
    (record,) = list_keys(warehouse, SHOP)
    assert (record.name, record.scopes, record.created_by) == ("till", (Scope.PREDICT, Scope.READ), "boss")
    assert key.matches(record.hash)
    with warehouse.connect() as connection:
        assert key.secret not in str(connection.execute(text("SELECT api_keys::text FROM api_keys")).all())
    assert key.secret not in repr(key)


def test_keys_of_another_retailer_in_the_same_warehouse_are_not_ours(warehouse: Engine) -> None:
    theirs = issue(warehouse, dataset="other")
    assert list_keys(warehouse, SHOP) == []
    with pytest.raises(UnknownKeyError):
        revoke_key(warehouse, SHOP, theirs.key_id, by="boss")
    assert valid(warehouse, "other") == [theirs.key_id]


def test_a_name_is_free_again_once_its_key_is_revoked(warehouse: Engine) -> None:
    first = issue(warehouse)
    with pytest.raises(KeyNameTakenError, match="'till'"):
        issue(warehouse)
    assert revoke_key(warehouse, SHOP, "till", by="boss").revoked_at is not None
    second = issue(warehouse)
    assert valid(warehouse) == [second.key_id]
    assert [record.key_id for record in list_keys(warehouse, SHOP)] == [first.key_id, second.key_id]
    with pytest.raises(UnknownKeyError):
        revoke_key(warehouse, SHOP, first.key_id, by="boss")


def test_what_means_two_keys_revokes_neither(warehouse: Engine) -> None:
    first = issue(warehouse)
    second = issue(warehouse, name=first.key_id)
    with pytest.raises(AmbiguousKeyError, match=f"{second.key_id}.*till"):
        revoke_key(warehouse, SHOP, first.key_id, by="boss")
    assert set(valid(warehouse)) == {first.key_id, second.key_id}
    assert revoke_key(warehouse, SHOP, second.key_id, by="boss").name == first.key_id
    assert revoke_key(warehouse, SHOP, first.key_id, by="boss").name == "till"


def test_an_expired_key_is_not_valid(warehouse: Engine) -> None:
    now = datetime.now(UTC)
    issue(warehouse, "old", expires_at=now - timedelta(seconds=1))
    new = issue(warehouse, "new", expires_at=now + timedelta(hours=1))
    assert valid(warehouse) == [new.key_id]


def test_use_is_noted_to_the_hour(warehouse: Engine) -> None:
    used, unused = issue(warehouse, "used"), issue(warehouse, "unused")
    moments = []
    for _ in range(2):
        note_use(warehouse, [used.key_id])
        moments.append({record.key_id: record.last_used_at for record in list_keys(warehouse, SHOP)})
    assert moments[0] == moments[1]
    assert moments[0][used.key_id] is not None
    assert moments[0][unused.key_id] is None


@pytest.mark.parametrize(
    "given", ["", "so_", "so_zz_x", "so_0123456789ab_short", "so_0123456789AB_" + 43 * "a", "eyJ.e.s"]
)
def test_what_is_not_a_key_is_not_taken_for_one(given: str) -> None:
    assert ApiKey.parse(given) is None


def test_a_key_is_parsed_as_it_was_made() -> None:
    keys = [ApiKey.new() for _ in range(200)]  # secrets may contain the separator
    assert [ApiKey.parse(key.text) for key in keys] == keys
    assert not keys[0].matches(keys[1].digest)


def test_admin_implies_every_scope_and_no_other_does() -> None:
    assert granted([Scope.ADMIN]) == EVERY_SCOPE
    assert granted([Scope.OPERATE]) == {Scope.OPERATE}
