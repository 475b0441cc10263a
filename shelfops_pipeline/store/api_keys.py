"""API keys in the warehouse: issued and revoked by an administrator, read by the API, never deleted.

A name is who acts in audit trails, so at most one key that is not revoked has it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, Row, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shelfops_pipeline.contracts.access import ApiKey, Scope
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.operational_tables import api_keys

USE_NOTED_EVERY: Final = timedelta(hours=1)
"""`last_used_at` is no more exact than this, so that reading the API does not mean writing to the warehouse."""

table = api_keys.c


class KeyNameTakenError(ShelfOpsError):
    """A valid key of that name exists."""


class UnknownKeyError(ShelfOpsError):
    """There is no such key, or it is revoked already."""


class AmbiguousKeyError(ShelfOpsError):
    """Two keys answer to that."""


@dataclass(frozen=True)
class KeyRecord:
    """What the warehouse knows of a key."""

    key_id: str
    name: str
    hash: bytes
    scopes: tuple[Scope, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_COLUMNS: Final = tuple(table[name] for name in KeyRecord.__dataclass_fields__)


def issue_key(
    engine: Engine, dataset: str, name: str, scopes: Iterable[Scope], *, by: str, expires_at: datetime | None = None
) -> ApiKey:
    """A new key. The returned object is the only place where its secret ever is. Raises KeyNameTakenError."""
    key = ApiKey.new()
    values = {
        "key_id": key.key_id,
        "dataset": dataset,
        "name": name,
        "hash": key.digest,
        "scopes": sorted(set(scopes)),
        "created_by": by,
        "expires_at": expires_at,
    }
    try:
        with engine.begin() as connection:
            connection.execute(insert(api_keys).values(values))
    except IntegrityError:
        raise KeyNameTakenError(f"A key named {name!r} exists; revoke it first, or choose another name") from None
    return key


def revoke_key(engine: Engine, dataset: str, key: str, *, by: str) -> KeyRecord:
    """Make the key of that id or name invalid for good.

    Raises UnknownKeyError, and AmbiguousKeyError where it is the id of one key and the name of another.
    """
    this = (table.dataset == dataset, table.revoked_at.is_(None), or_(table.key_id == key, table.name == key))
    values = {"revoked_at": func.now(), "revoked_by": by}
    with engine.begin() as connection:
        rows = connection.execute(update(api_keys).where(*this).values(values).returning(*_COLUMNS)).all()
        if not rows:
            raise UnknownKeyError(f"No valid key has the id or name {key!r}; see `shelfops keys list`")
        if len(rows) > 1:
            raise AmbiguousKeyError(_ambiguous(key, list(map(_record, rows))))  # takes back the update
    return _record(rows[0])


def _ambiguous(key: str, records: list[KeyRecord]) -> str:
    named = next(record for record in records if record.name == key)
    meant = next(record for record in records if record.key_id == key)
    return (
        f"{key!r} is the name of one key and the id of another: revoke the first by its id, {named.key_id}, or the "
        f"second by its name, {meant.name}"
    )


def list_keys(engine: Engine, dataset: str, *, only_valid: bool = False) -> list[KeyRecord]:
    """All keys, oldest first; with `only_valid`, neither the revoked nor the expired ones."""
    statement = select(*_COLUMNS).where(table.dataset == dataset).order_by(table.created_at, table.key_id)
    if only_valid:
        unexpired = or_(table.expires_at.is_(None), table.expires_at > func.now())
        statement = statement.where(table.revoked_at.is_(None), unexpired)
    with engine.connect() as connection:
        return [_record(row) for row in connection.execute(statement)]


def note_use(engine: Engine, key_ids: Collection[str]) -> None:
    """These keys were used just now. Needs the right to update `last_used_at`, and no other column."""
    long_ago = or_(table.last_used_at.is_(None), table.last_used_at < func.now() - USE_NOTED_EVERY)
    statement = update(api_keys).where(table.key_id.in_(key_ids), long_ago).values(last_used_at=func.now())
    with engine.begin() as connection:
        connection.execute(statement)


def _record(row: Row[Any]) -> KeyRecord:
    values = row._asdict()
    return KeyRecord(**values | {"scopes": tuple(map(Scope, values["scopes"]))})
