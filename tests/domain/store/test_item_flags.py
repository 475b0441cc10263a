"""Flags of items: said, refined, taken back, and all of it on record."""

import pytest
from sqlalchemy import Engine

from shelfops_pipeline.store.item_flags import (
    FlagError,
    UnknownFlagError,
    clear_flag,
    flag_events,
    list_flags,
    set_flag,
)

SHOP = "shop"


def test_what_is_not_said_stays_as_it_was(warehouse: Engine) -> None:
    set_flag(warehouse, SHOP, "milk", like_item="eggs", who="ann", note="same shelf")
    flag = set_flag(warehouse, SHOP, "milk", discontinued=True, who="bob")
    assert (flag.discontinued, flag.like_item, flag.set_by, flag.store_id) == (True, "eggs", "bob", None)
    assert list_flags(warehouse, SHOP) == [flag]


def test_a_store_may_differ_from_the_others(warehouse: Engine) -> None:
    set_flag(warehouse, SHOP, "milk", discontinued=True, who="ann")
    set_flag(warehouse, SHOP, "milk", store_id="s1", discontinued=False, who="ann")
    set_flag(warehouse, SHOP, "eggs", discontinued=True, who="ann")
    assert [(f.store_id, f.discontinued) for f in list_flags(warehouse, SHOP, item_id="milk")] == [
        (None, True),
        ("s1", False),
    ]
    assert clear_flag(warehouse, SHOP, "milk", who="ann").discontinued
    assert [f.item_id for f in list_flags(warehouse, SHOP)] == ["eggs", "milk"]


def test_every_change_is_on_record(warehouse: Engine) -> None:
    set_flag(warehouse, SHOP, "milk", discontinued=True, who="ann", note="season over")
    clear_flag(warehouse, SHOP, "milk", who="bob", note="back again")
    said = {"discontinued": True, "like_item": None}
    events = flag_events(warehouse, SHOP, item_id="milk")
    assert [(e.who, e.action, e.before, e.after, e.note) for e in events] == [
        ("bob", "cleared", said, None, "back again"),
        ("ann", "set", None, said, "season over"),
    ]


def test_flags_and_their_changes_come_in_pages(warehouse: Engine) -> None:
    places = [("eggs", None), ("milk", None), ("milk", "s1"), ("soap", "s2")]
    for item, store in places:
        set_flag(warehouse, SHOP, item, store_id=store, discontinued=True, who="ann")
    seen: list[tuple[str, str | None]] = []
    while page := list_flags(warehouse, SHOP, after=seen[-1] if seen else None, limit=1):
        seen += [(flag.item_id, flag.store_id) for flag in page]
    assert seen == places
    first = flag_events(warehouse, SHOP, limit=3)
    rest = flag_events(warehouse, SHOP, limit=3, after=first[-1].event_id)
    assert [(e.item_id, e.store_id) for e in (*first, *rest)] == places[::-1]


def test_flags_that_mean_nothing_or_are_not_there_are_refused(warehouse: Engine) -> None:
    with pytest.raises(FlagError, match="say discontinued or like_item"):
        set_flag(warehouse, SHOP, "milk", who="ann")
    with pytest.raises(FlagError, match="like itself"):
        set_flag(warehouse, SHOP, "milk", like_item="milk", who="ann")
    with pytest.raises(UnknownFlagError, match="no flag of milk in s1"):
        clear_flag(warehouse, SHOP, "milk", store_id="s1", who="ann")
    assert flag_events(warehouse, SHOP) == []
