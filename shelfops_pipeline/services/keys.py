"""What `shelfops keys` does, behind `cli.keys`."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.markup import escape
from rich.table import Column, Table

from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.console import console, errors
from shelfops_pipeline.services.warehouse import actor, retailer_name, warehouse_engine
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.api_keys import KeyRecord, issue_key, list_keys, revoke_key

_NAME: Final = re.compile(r"[\w.@-]{1,100}")


def issue(settings: Settings, name: str, scopes: Sequence[Scope], days: int | None) -> None:
    """`shelfops keys issue`: the key alone goes to standard output, so that it can be piped into a secret store."""
    if not _NAME.fullmatch(name):
        raise ShelfOpsError(f"{name!r} cannot name a key: use up to 100 letters, digits and . _ @ -")
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with warehouse_engine(settings) as engine:
        key = issue_key(engine, retailer_name(settings), name, scopes, by=actor(settings), expires_at=expires)
    until = "until revoked" if expires is None else f"until {expires:%Y-%m-%d %H:%M} UTC"
    what = f"{name} ({key.key_id}): {', '.join(sorted(set(scopes)))}, valid {until}"
    errors.print(f"Key of {escape(what)}. It is shown once:", highlight=False, soft_wrap=True)
    console.print(key.text, markup=False, highlight=False, soft_wrap=True)


def revoke(settings: Settings, key: str) -> None:
    """`shelfops keys revoke`."""
    with warehouse_engine(settings) as engine:
        record = revoke_key(engine, retailer_name(settings), key, by=actor(settings))
    console.print(f"{escape(record.name)} ({record.key_id}) is revoked", highlight=False)


def show(settings: Settings) -> None:
    """`shelfops keys list`."""
    with warehouse_engine(settings) as engine:
        records = list_keys(engine, retailer_name(settings))
    if not records:
        raise ShelfOpsError("no key was issued yet; issue one with `shelfops keys issue NAME --scope read`")
    table = Table(
        Column("id", no_wrap=True), "name", "scopes", "status", "issued", "by", "last used", header_style="bold"
    )
    for record in records:
        cells = (record.name, " ".join(record.scopes), _status(record), _day(record.created_at), record.created_by)
        table.add_row(record.key_id, *map(escape, cells), _hour(record.last_used_at))
    console.print(table)


def _status(record: KeyRecord) -> str:
    if record.revoked_at is not None:
        return f"revoked {_day(record.revoked_at)}"
    if record.expires_at is None:
        return "valid"
    return f"{'expired' if record.expires_at <= datetime.now(UTC) else 'valid until'} {_day(record.expires_at)}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _hour(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H}h"
