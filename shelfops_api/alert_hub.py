"""Live alerts: one listener per process, and a bounded queue for everybody who watches.

What is announced on Redis is passed on. While Redis is away the warehouse is asked every few seconds what has changed;
the same once more when Redis is back, for what was said meanwhile. With nobody watching nothing is asked.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NoReturn

import structlog
from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from shelfops_api.announcements import heard
from shelfops_api.errors import Code, Problem
from shelfops_api.metrics import Metrics
from shelfops_api.settings import ApiSettings
from shelfops_api.warehouse import Warehouse
from shelfops_pipeline.contracts.messages import AlertEvent, AlertMessage, alerts_channel
from shelfops_pipeline.contracts.replenishment import AlertStatus
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.alerts import UnknownAlertError, alert_message, list_alerts, read_alert
from shelfops_pipeline.store.bus import announce
from shelfops_pipeline.store.engine import reason_of
from shelfops_pipeline.store.replenishment_records import StockAlert

MOST_SHOWN: Final = 1000
"""Of a snapshot; whoever wants more pages through GET /v1/alerts."""
QUEUE_LENGTH: Final = 256
_SNAPSHOT_SECONDS: Final = 1.0
_PING_SECONDS: Final = 10.0
_REDIS_TIMEOUT: Final = 2.0
_LONGEST_WAIT: Final = 15.0

log = structlog.get_logger(__name__)


class Snapshot(BaseModel):
    """What a watcher is told first: every alert that is not resolved."""

    event: str = "snapshot"
    at: datetime
    complete: bool
    alerts: list[AlertMessage]


class Watcher:
    """One who watches; `too_slow` is set when the queue is full, and nothing is told any more then."""

    def __init__(self, client: str) -> None:
        self.client: Final = client
        self.messages: Final[asyncio.Queue[str]] = asyncio.Queue(QUEUE_LENGTH)
        self.too_slow: Final = asyncio.Event()

    def offer(self, text: str) -> None:
        try:
            self.messages.put_nowait(text)
        except asyncio.QueueFull:
            self.too_slow.set()


class AlertHub:
    """Passes on what happens to a retailer's alerts."""

    def __init__(self, settings: ApiSettings, warehouse: Warehouse, metrics: Metrics) -> None:
        self._settings, self._warehouse, self._metrics = settings, warehouse, metrics
        self._url = None if settings.redis_url is None else settings.redis_url.get_secret_value()
        self._watchers: set[Watcher] = set()
        self._per_client: Counter[str] = Counter()
        self._known: dict[str, datetime] | None = None
        self._snapshot: tuple[float, str] | None = None
        self._passed_on = 0
        self._reading = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def watcher(self, client: str) -> Iterator[Watcher]:
        """A place among the watchers. Raises Problem (429) when all are taken."""
        if len(self._watchers) >= self._settings.api_max_sockets:
            raise _full(f"This process has {len(self._watchers)} streams open, as many as it may")
        if self._per_client[client] >= self._settings.api_max_sockets_per_key:
            raise _full(f"At most {self._settings.api_max_sockets_per_key} streams per key")
        watcher = Watcher(client)
        self._watchers.add(watcher)
        self._per_client[client] += 1
        self._metrics.sockets.set(len(self._watchers))
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._per_client[client] -= 1
            self._per_client += Counter()  # drops zeros
            self._metrics.sockets.set(len(self._watchers))
            if not self._watchers:
                self._known = self._snapshot = None

    async def snapshot(self) -> str:
        """The alerts as they are now; of many who ask at once only one has to read them."""
        async with self._reading:
            if self._snapshot is None or time.monotonic() - self._snapshot[0] > _SNAPSHOT_SECONDS:
                began, passed_on = time.monotonic(), self._passed_on
                alerts = await asyncio.to_thread(self._unresolved)
                if self._known is None:
                    self._known = {alert.alert_id: alert.updated_at for alert in alerts}
                told = [alert_message(AlertEvent.UPDATED, alert) for alert in alerts]
                text = Snapshot(at=datetime.now(UTC), complete=len(alerts) < MOST_SHOWN, alerts=told).model_dump_json()
                if self._passed_on != passed_on:
                    return text  # what was passed on meanwhile may be missing: it waits in our queue, in no later one
                self._snapshot = (began, text)
            return self._snapshot[1]

    def tell(self, *messages: AlertMessage) -> None:
        """Announce what happened here; blocks, so not for the event loop. Without Redis at least our watchers hear."""
        if announce(self._url, alerts_channel(self._settings.retailer), messages) or self._loop is None:
            return
        for message in messages:
            self._loop.call_soon_threadsafe(self._pass_on, message)

    async def watch(self) -> NoReturn:
        """Listen for as long as the service runs."""
        self._loop = asyncio.get_running_loop()
        if self._url is None:
            while True:
                await self._catch_up()
                await asyncio.sleep(self._settings.api_alert_poll_seconds)
        redis = Redis.from_url(
            self._url,
            socket_connect_timeout=_REDIS_TIMEOUT,
            socket_timeout=_PING_SECONDS + _REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            await self._listen_again_and_again(redis)
        finally:
            await redis.aclose()

    async def _listen_again_and_again(self, redis: Redis) -> NoReturn:
        wait = 1.0
        while True:
            try:
                async with redis.pubsub() as channel:
                    await channel.subscribe(alerts_channel(self._settings.retailer))
                    log.info("listening_for_alerts")
                    wait = 1.0
                    await self._catch_up()
                    await self._listen(channel)
            except (RedisError, OSError) as error:
                log.warning("not_listening_for_alerts", reason=f"{type(error).__name__}: {error}", again_in=wait)
            until = time.monotonic() + wait
            while time.monotonic() < until:
                await self._catch_up()
                await asyncio.sleep(min(wait, self._settings.api_alert_poll_seconds))
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _listen(self, channel: PubSub) -> None:
        async for message in heard(channel, _PING_SECONDS):
            if not self._watchers:
                continue
            try:
                self._pass_on(AlertMessage.model_validate_json(message["data"]))
            except ValidationError:
                log.warning("announcement_not_understood")

    async def _catch_up(self) -> None:
        """Pass on what the warehouse says has changed since we last knew."""
        if not self._watchers or self._known is None:
            return
        before = dict(self._known)
        try:
            changes = await asyncio.to_thread(self._changes, before)
        except (ShelfOpsError, SQLAlchemyError) as error:
            log.warning("alerts_not_polled", reason=reason_of(error))
            return
        for message in changes:
            self._pass_on(message)

    def _changes(self, before: dict[str, datetime]) -> list[AlertMessage]:
        now = {alert.alert_id: alert for alert in self._unresolved()}
        changed = [alert_message(_event(a, before), a) for a in now.values() if before.get(a.alert_id) != a.updated_at]
        for alert_id in before.keys() - now.keys():
            try:
                alert = read_alert(self._warehouse.engine(), self._settings.retailer, alert_id)
            except UnknownAlertError:
                continue
            if alert.status == AlertStatus.RESOLVED:
                changed.append(alert_message(AlertEvent.RESOLVED, alert))
        return changed

    def _unresolved(self) -> list[StockAlert]:
        return list_alerts(self._warehouse.engine(), self._settings.retailer, limit=MOST_SHOWN)

    def _pass_on(self, message: AlertMessage) -> None:
        """To every watcher, once: what is known already is not news."""
        self._snapshot, self._passed_on = None, self._passed_on + 1
        if self._known is not None:
            if self._known.get(message.alert_id) == message.updated_at:
                return
            if message.status == AlertStatus.RESOLVED:
                self._known.pop(message.alert_id, None)
            else:
                self._known[message.alert_id] = message.updated_at
        text = message.model_dump_json()
        for watcher in self._watchers:
            watcher.offer(text)


def _event(alert: StockAlert, before: dict[str, datetime]) -> AlertEvent:
    if alert.alert_id not in before:
        return AlertEvent.RAISED
    return AlertEvent.ACKNOWLEDGED if alert.status == AlertStatus.ACKNOWLEDGED else AlertEvent.UPDATED


def _full(detail: str) -> Problem:
    return Problem(Code.TOO_MANY_SOCKETS, detail, headers={"Retry-After": "30"})
