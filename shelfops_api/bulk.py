"""Forecasts of many series: a page from the caches, or a stream straight from the warehouse."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from threading import BoundedSemaphore
from typing import Final

import anyio
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from shelfops_api.answers import Stored
from shelfops_api.conditional import CSV, NDJSON, caching_headers
from shelfops_api.cursors import Cursor
from shelfops_api.deps import Services
from shelfops_api.errors import Code, Problem
from shelfops_api.lookup import unpublished
from shelfops_api.snapshot import Snapshot, edition_of
from shelfops_pipeline.store.engine import reason_of
from shelfops_pipeline.store.forecasts import (
    CSV_COLUMNS,
    STALLED_SECONDS,
    ForecastStream,
    Form,
    SeriesText,
    Wanted,
)

_FORMS: Final = {NDJSON: Form.JSON, CSV: Form.CSV}

log = structlog.get_logger(__name__)


def page(services: Services, snapshot: Snapshot, wanted: Wanted, cursor: Cursor | None, limit: int) -> Stored:
    """One page as JSON. Raises Problem when the release has no rows, or the cursor is of others."""
    with _open(services, snapshot, wanted, Form.JSON, limit + 1) as stream:
        edition = _edition(stream, snapshot, cursor)
        series = [one for chunk in stream for one in chunk]
    last = series[limit - 1] if len(series) > limit else None
    following = None if last is None else str(Cursor(edition, last.store_id, last.item_id))
    body = (
        f'{{"release":{json.dumps(snapshot.release)},"series":[{",".join(one.text for one in series[:limit])}],'
        f'"next":{json.dumps(following)}}}'
    )
    return Stored(edition, body.encode())


def page_key(wanted: Wanted, limit: int) -> tuple[str, ...]:
    """What the page is cached under: the whole question, in few bytes, since it may name hundreds of ids."""
    return ("page", hashlib.blake2b(repr(wanted).encode(), digest_size=16).hexdigest(), str(limit))


async def stream(
    services: Services, snapshot: Snapshot, wanted: Wanted, cursor: Cursor | None, limit: int | None, media_type: str
) -> "BulkResponse":
    """All series in one answer, of one publication, in memory that does not grow with them.

    Raises Problem before it begins. Where the database fails later, the answer breaks off: the connection is closed
    without the last chunk, which HTTP clients report; the NDJSON form has a last line that says how much there was.
    """
    async with AsyncExitStack() as stack:
        _take_turn(services.streams, services.settings.api_max_streams)
        stack.callback(services.streams.release)
        opened = await run_in_threadpool(_open, services, snapshot, wanted, _FORMS[media_type], limit)
        stack.push_async_callback(run_in_threadpool, opened.close)
        edition = _edition(opened, snapshot, cursor)
        chunks = iter(opened)
        first = await run_in_threadpool(next, chunks, None)
        body = _lines(first, chunks, snapshot.release, media_type)
        return BulkResponse(body, stack.pop_all(), caching_headers(edition, media_type), media_type)


class BulkResponse(StreamingResponse):
    """A stream that gives back what it holds when it ends, however it ends, and does not wait long for its reader."""

    def __init__(
        self, body: AsyncIterator[bytes], held: AsyncExitStack, headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(body, media_type=media_type, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(STALLED_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            with anyio.CancelScope(shield=True):  # also when the caller has gone
                await self._held.aclose()


async def _lines(
    chunk: list[SeriesText] | None, chunks: Iterator[list[SeriesText]], release: str, media_type: str
) -> AsyncIterator[bytes]:
    series = rows = 0
    if media_type == CSV:
        yield (",".join(CSV_COLUMNS) + "\n").encode()
    while chunk is not None:
        yield ("\n".join([one.text for one in chunk]) + "\n").encode()
        series, rows = series + len(chunk), rows + sum(one.rows for one in chunk)
        try:
            chunk = await run_in_threadpool(next, chunks, None)
        except SQLAlchemyError as error:
            log.error("stream_broken_off", series=series, reason=reason_of(error))
            raise
    if media_type == NDJSON:
        end = {"complete": True, "release": release, "series": series, "periods": rows}
        yield (json.dumps(end) + "\n").encode()


def _open(services: Services, snapshot: Snapshot, wanted: Wanted, form: Form, limit: int | None) -> ForecastStream:
    engine = services.warehouse.engine()
    return ForecastStream(engine, snapshot.pointer.dataset, snapshot.release, wanted, form, limit=limit)


def _edition(stream: ForecastStream, snapshot: Snapshot, cursor: Cursor | None) -> str:
    """Of the rows in the stream, which are those that the cursor was made of."""
    if stream.published_at is None:
        raise unpublished(snapshot.release)
    edition = edition_of(snapshot.release, stream.published_at)
    if cursor is not None:
        cursor.check(edition)
    return edition


def _take_turn(turns: BoundedSemaphore, limit: int) -> None:
    if not turns.acquire(blocking=False):
        raise Problem(Code.TOO_MANY_STREAMS, f"{limit} streams are being sent; try again when one has ended")
