"""What people know of items and no sale tells: discontinued ones, and new ones that will sell like another."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from shelfops_api.deps import SettingsDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.operations import (
    READ,
    ItemFilter,
    Limit,
    NextField,
    Note,
    Operator,
    Told,
    half_cursor,
    next_of,
)
from shelfops_api.schemas import SeriesId, example_of
from shelfops_pipeline.store import item_flags as store

router = APIRouter(prefix="/v1/item-flags", tags=["orders"])

ItemId = Annotated[SeriesId, Path(examples=["I003"])]
Where = Annotated[SeriesId | None, Query(description="In this store; default: in every store", examples=["S01"])]
_PROBLEMS: Final = documented(Code.INVALID_REQUEST, Code.WAREHOUSE_UNAVAILABLE)
_FLAG: Final[dict[str, Any]] = {
    "item_id": "I003",
    "store_id": None,
    "discontinued": True,
    "like_item": None,
    "note": "the supplier stopped it",
    "set_at": "2026-01-05T08:02:40Z",
    "set_by": "planner",
}
_EVENT: Final[dict[str, Any]] = {
    "event_id": 5,
    "item_id": "I003",
    "store_id": None,
    "at": "2026-01-05T08:02:40Z",
    "who": "planner",
    "action": "set",
    "note": "the supplier stopped it",
    "before": None,
    "after": {"discontinued": True, "like_item": None},
}


class ItemFlag(Told):
    """What was said of an item, in one store or (`store_id` null) in all. null: nothing."""

    model_config = example_of(_FLAG)

    item_id: str
    store_id: str | None
    discontinued: bool | None
    like_item: str | None
    note: str
    set_at: datetime
    set_by: str


class ItemFlags(Told):
    """Flags by item and store, those of every store first."""

    model_config = example_of({"flags": [_FLAG], "next_item": None, "next_store": None})

    flags: list[ItemFlag]
    next_item: str | None = Field(
        description="Give it as `after_item`, and `next_store` as `after_store`, for the next page; null: the last one"
    )
    next_store: str | None = Field(description="null: of every store")


class FlagEvent(Told):
    """What somebody said of an item, or took back."""

    model_config = example_of(_EVENT)

    event_id: int
    item_id: str
    store_id: str | None
    at: datetime
    who: str
    action: str
    note: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class FlagEvents(Told):
    """Changes of flags, the latest first."""

    model_config = example_of({"events": [_EVENT], "next": None})

    events: list[FlagEvent]
    next: NextField


class FlagRequest(BaseModel):
    """What to say of an item; what is left out stays as it was said before."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"discontinued": True, "note": "the supplier stopped it"}]}
    )

    discontinued: Annotated[bool | None, Field(strict=True, description="It is not ordered any more")] = None
    like_item: Annotated[SeriesId | None, Field(description="The item whose demand it will have")] = None
    note: Note = ""


@router.get("", responses=_PROBLEMS, dependencies=READ)
def list_flags(
    settings: SettingsDep,
    warehouse: WarehouseDep,
    item_id: ItemFilter = None,
    after_item: Annotated[SeriesId | None, Query(description="`next_item` of the page before")] = None,
    after_store: Annotated[SeriesId | None, Query(description="`next_store` of the page before")] = None,
    limit: Limit = 100,
) -> ItemFlags:
    """Every flag, or those of one item, page by page."""
    if after_item is None and after_store is not None:
        raise half_cursor("after_item")
    after = None if after_item is None else (after_item, after_store)
    found = store.list_flags(warehouse.engine(), settings.retailer, item_id=item_id, after=after, limit=limit)
    last = found[-1] if len(found) == limit else None
    flags = [ItemFlag.model_validate(flag) for flag in found]
    return ItemFlags(flags=flags, next_item=last and last.item_id, next_store=last and last.store_id)


@router.get("/events", responses=_PROBLEMS, dependencies=READ)
def flag_events(
    settings: SettingsDep,
    warehouse: WarehouseDep,
    item_id: ItemFilter = None,
    after: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before")] = None,
    limit: Limit = 100,
) -> FlagEvents:
    """Who said what of items, and when, page by page."""
    found = store.flag_events(warehouse.engine(), settings.retailer, item_id=item_id, after=after, limit=limit)
    return FlagEvents(events=[FlagEvent.model_validate(e) for e in found], next=next_of(found, limit, "event_id"))


# An item may be called BREAD/BAKERY, hence `:path`.
@router.put(
    "/{item_id:path}",
    responses=documented(Code.INVALID_REQUEST, Code.FLAG_MEANINGLESS, Code.WAREHOUSE_UNAVAILABLE),
)
def set_flag(
    item_id: ItemId,
    flag: FlagRequest,
    settings: SettingsDep,
    warehouse: WarehouseDep,
    who: Operator,
    store_id: Where = None,
) -> ItemFlag:
    """Say something of an item; the next plan follows it."""
    said = store.set_flag(
        warehouse.engine(),
        settings.retailer,
        item_id,
        store_id=store_id,
        discontinued=flag.discontinued,
        like_item=flag.like_item,
        who=who.name,
        note=flag.note,
    )
    return ItemFlag.model_validate(said)


@router.delete(
    "/{item_id:path}",
    status_code=204,
    responses=documented(Code.INVALID_REQUEST, Code.UNKNOWN_FLAG, Code.WAREHOUSE_UNAVAILABLE),
)
def clear_flag(
    item_id: ItemId, settings: SettingsDep, warehouse: WarehouseDep, who: Operator, store_id: Where = None
) -> None:
    """Take back what was said of an item."""
    store.clear_flag(warehouse.engine(), settings.retailer, item_id, store_id=store_id, who=who.name)
