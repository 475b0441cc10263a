"""What people know of items and no sale tells: discontinued ones, and ones that will sell like another."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import lock_key
from shelfops_pipeline.store.replenishment_records import FlagEvent, ItemFlag
from shelfops_pipeline.store.replenishment_tables import EVERY_STORE, item_flag_events, item_flags

table, events = item_flags.c, item_flag_events.c


class UnknownFlagError(ShelfOpsError):
    """The item has no flag there."""


class FlagError(ShelfOpsError):
    """The flag says nothing, or contradicts itself."""


def set_flag(
    engine: Engine,
    dataset: str,
    item_id: str,
    *,
    store_id: str | None = None,
    discontinued: bool | None = None,
    like_item: str | None = None,
    who: str,
    note: str = "",
) -> ItemFlag:
    """Say something of an item, in one store or in all; what is None stays as it was said before.

    Raises FlagError when nothing is said, or the item is to be like itself.
    """
    said = {"discontinued": discontinued, "like_item": like_item}
    said = {name: value for name, value in said.items() if value is not None}
    if not said:
        raise FlagError("say discontinued or like_item: a flag without either means nothing")
    if like_item == item_id:
        raise FlagError(f"{item_id} cannot be like itself")
    key = {"dataset": dataset, "item_id": item_id, "store_id": store_id or EVERY_STORE}
    values = {**said, "note": note, "set_by": who, "set_at": func.clock_timestamp()}
    statement = upsert(item_flags).values({**key, **values})
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=values)
    with engine.begin() as connection:
        before = _locked(connection, key)
        row = connection.execute(statement.returning(item_flags)).mappings().one()
        after = _flag(row)
        _record(connection, key, who, "set", note, before, after)
    return after


def clear_flag(
    engine: Engine, dataset: str, item_id: str, *, store_id: str | None = None, who: str, note: str = ""
) -> ItemFlag:
    """Take back what was said of an item, there; returns it. Raises UnknownFlagError when nothing was."""
    key = {"dataset": dataset, "item_id": item_id, "store_id": store_id or EVERY_STORE}
    with engine.begin() as connection:
        before = _locked(connection, key)
        if before is None:
            where = f"in {store_id}" if store_id else "that holds for every store"
            raise UnknownFlagError(f"{dataset} has no flag of {item_id} {where}")
        connection.execute(delete(item_flags).where(*_is(key)))
        _record(connection, key, who, "cleared", note, before, None)
    return before


def list_flags(
    engine: Engine,
    dataset: str,
    *,
    item_id: str | None = None,
    after: tuple[str, str | None] | None = None,
    limit: int | None = None,
) -> list[ItemFlag]:
    """The flags of a retailer, or of one item, by item and store; those of every store first.

    `after` is the (item, store) of the last one already seen.
    """
    conditions = [table.dataset == dataset]
    if item_id is not None:
        conditions.append(table.item_id == item_id)
    if after is not None:
        conditions.append(tuple_(table.item_id, table.store_id) > tuple_(after[0], after[1] or EVERY_STORE))
    statement = select(item_flags).where(*conditions).order_by(table.item_id, table.store_id).limit(limit)
    with engine.connect() as connection:
        return [_flag(row) for row in connection.execute(statement).mappings()]


def flag_events(
    engine: Engine, dataset: str, *, item_id: str | None = None, after: int | None = None, limit: int = 100
) -> list[FlagEvent]:
    """What was said of items, or of one, and taken back, the latest first; `after` is the last event already seen."""
    conditions = [events.dataset == dataset]
    if item_id is not None:
        conditions.append(events.item_id == item_id)
    if after is not None:
        conditions.append(events.event_id < after)
    statement = select(item_flag_events).where(*conditions).order_by(events.event_id.desc()).limit(limit)
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings()
        return [FlagEvent(**{**row, "store_id": row["store_id"] or None}) for row in rows]


def _locked(connection: Connection, key: dict[str, str]) -> ItemFlag | None:
    """The flag as it is; nobody changes it, or sets it first, until this transaction ends."""
    name = ":".join(("flag", *key.values()))
    connection.execute(select(func.pg_advisory_xact_lock(lock_key(name))))
    row = connection.execute(select(item_flags).where(*_is(key))).mappings().first()
    return None if row is None else _flag(row)


def _record(
    connection: Connection,
    key: dict[str, str],
    who: str,
    action: str,
    note: str,
    before: ItemFlag | None,
    after: ItemFlag | None,
) -> None:
    values = {**key, "who": who, "action": action, "note": note, "before": _said(before), "after": _said(after)}
    connection.execute(insert(item_flag_events).values(values))


def _said(flag: ItemFlag | None) -> dict[str, Any] | None:
    return None if flag is None else {"discontinued": flag.discontinued, "like_item": flag.like_item}


def _flag(row: Any) -> ItemFlag:
    return ItemFlag(**{**row, "store_id": row["store_id"] or None})


def _is(key: dict[str, str]) -> list[ColumnElement[bool]]:
    return [table[name] == value for name, value in key.items()]
