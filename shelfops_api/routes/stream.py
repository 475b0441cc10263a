"""Live alerts over a WebSocket: what is open first, then everything that happens. Watchers have nothing to say."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from shelfops_api.alert_hub import Watcher
from shelfops_api.auth import SUBPROTOCOL_PREFIX, Principal, Scope, require
from shelfops_api.deps import ServicesDep
from shelfops_api.errors import Problem
from shelfops_api.warehouse import WarehouseUnavailable

router = APIRouter()

SUBPROTOCOL: Final = "shelfops.v1"
log = structlog.get_logger(__name__)

UNSUPPORTED, POLICY, TOO_BIG, TRY_AGAIN = 1003, 1008, 1009, 1013  # RFC 6455, 7.4.1, and its registry
LONGEST_FRAME: Final = 1024
FRAMES_PER_MINUTE: Final = 60


class Heartbeat(BaseModel):
    """Said when nothing else was for a while, so that a watcher knows that the stream is alive."""

    event: str = "heartbeat"
    at: datetime


@router.websocket("/v1/alerts/stream")
async def stream(
    socket: WebSocket, services: ServicesDep, principal: Annotated[Principal, Depends(require(Scope.READ))]
) -> None:
    """A snapshot, then one message per event; heartbeats in between."""
    with services.alerts.watcher(principal.client) as watcher:
        snapshot = await services.alerts.snapshot()
        await socket.accept(subprotocol=_chosen(socket.scope["subprotocols"]))
        ends = {
            asyncio.create_task(_hear(socket)),
            asyncio.create_task(_tell(socket, snapshot, watcher, services)),
            asyncio.create_task(_notice_slowness(watcher, services)),
        }
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
    code = next(iter(done)).result()
    if code is not None and socket.client_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):  # it went while we said goodbye
            await socket.close(code)


def _chosen(offered: list[str]) -> str | None:
    """Browsers insist on one of those that they offered: the harmless one, if it is among them."""
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return next((name for name in offered if name.startswith(SUBPROTOCOL_PREFIX)), None)


async def _hear(socket: WebSocket) -> int | None:
    """Returns why the stream ends: None when the watcher has gone. Short texts are ignored, as some clients ping so."""
    minute, frames = 0, 0
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            return UNSUPPORTED
        if len(text) > LONGEST_FRAME:
            return TOO_BIG
        now = int(time.monotonic() // 60)
        minute, frames = now, (frames + 1 if now == minute else 1)
        if frames > FRAMES_PER_MINUTE:
            return POLICY


async def _tell(socket: WebSocket, snapshot: str, watcher: Watcher, services: ServicesDep) -> int | None:
    """Send what there is; every so often, see whether the credentials still hold."""
    pause = services.settings.api_heartbeat_seconds
    text, checked = snapshot, time.monotonic()
    while True:
        try:
            await socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            return None
        try:
            text = await asyncio.wait_for(watcher.messages.get(), pause)
        except TimeoutError:
            text = Heartbeat(at=datetime.now(UTC)).model_dump_json()
        if time.monotonic() - checked >= pause:
            checked = time.monotonic()
            if not await _still_welcome(socket, services):
                return POLICY


async def _still_welcome(socket: WebSocket, services: ServicesDep) -> bool:
    try:
        await services.auth.identify(socket)
    except Problem:
        return False
    except WarehouseUnavailable:
        log.warning("watcher_not_checked")
    return True


async def _notice_slowness(watcher: Watcher, services: ServicesDep) -> int:
    await watcher.too_slow.wait()
    services.metrics.slow_sockets.inc()
    return TRY_AGAIN
