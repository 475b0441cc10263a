"""What `shelfops flags` does, behind `cli.flags`."""

from collections.abc import Mapping
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.console import console
from shelfops_pipeline.services.warehouse import actor, retailer, warehouse_engine
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store import item_flags as store
from shelfops_pipeline.store.replenishment_records import ItemFlag

_MOST_EVENTS: Final = 200


def set_flag(
    settings: Settings,
    item_id: str,
    store_id: str | None,
    discontinued: bool | None,
    like_item: str | None,
    note: str,
) -> None:
    """`shelfops flags set`."""
    with warehouse_engine(settings) as engine:
        said = {"store_id": store_id, "like_item": like_item}
        flag = store.set_flag(
            engine, retailer(settings), item_id, discontinued=discontinued, who=actor(settings), note=note, **said
        )
    console.print(f"{_said(flag)}; the next plan of orders knows", highlight=False)


def clear_flag(settings: Settings, item_id: str, store_id: str | None, note: str) -> None:
    """`shelfops flags clear`."""
    with warehouse_engine(settings) as engine:
        flag = store.clear_flag(engine, retailer(settings), item_id, store_id=store_id, who=actor(settings), note=note)
    console.print(f"no longer said: {_said(flag)}", highlight=False)


def list_flags(settings: Settings, item_id: str | None) -> None:
    """`shelfops flags list`."""
    with warehouse_engine(settings) as engine:
        flags = store.list_flags(engine, retailer(settings), item_id=item_id)
    if not flags:
        raise ShelfOpsError("nothing is flagged; flag an item with `shelfops flags set ITEM --discontinued`")
    table = Table("item", "store", "discontinued", "like item", "by", "when", "note", header_style="bold")
    for flag in flags:
        told = {None: "–", True: "yes", False: "no"}[flag.discontinued]
        where, like = flag.store_id or "every", flag.like_item or "–"
        texts = map(escape, (flag.item_id, where, told, like, flag.set_by, f"{flag.set_at:%Y-%m-%d %H:%M}", flag.note))
        table.add_row(*texts)
    console.print(table)


def show_history(settings: Settings, item_id: str | None) -> None:
    """`shelfops flags list --history`."""
    with warehouse_engine(settings) as engine:
        events = store.flag_events(engine, retailer(settings), item_id=item_id, limit=_MOST_EVENTS)
    if not events:
        raise ShelfOpsError("nothing was ever flagged; flag an item with `shelfops flags set ITEM --discontinued`")
    table = Table("when", "who", "item", "store", "what", "before", "after", "note", header_style="bold")
    for event in events:
        where, sides = event.store_id or "every", map(_state, (event.before, event.after))
        texts = (f"{event.at:%Y-%m-%d %H:%M}", event.who, event.item_id, where, event.action, *sides, event.note)
        table.add_row(*map(escape, texts))
    console.print(table)


def _state(said: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in (said or {}).items() if value is not None)


def _said(flag: ItemFlag) -> str:
    what = {None: [], True: ["discontinued"], False: ["not discontinued"]}[flag.discontinued]
    what += [f"like {flag.like_item}"] if flag.like_item else []
    return escape(f"{flag.item_id} in {flag.store_id or 'every store'}: {', '.join(what)}")
