"""How often a caller may ask: a sliding window of one minute, counted here and shared through Redis.

A request is judged by what this process knows, so it never waits for Redis. Every quarter of a second the counts of all
processes are added up there; without Redis each process counts for itself. Several processes together may thus let
through what arrives within that time, and no more. (Two fixed windows estimate a sliding one, as Cloudflare does it.)
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shelfops_api.errors import Code, Problem
from shelfops_api.settings import ApiSettings

WINDOW_SECONDS: Final = 60
_SHARE_EVERY: Final = 0.25
_REDIS_TIMEOUT: Final = 1.0
_LONGEST_PAUSE: Final = 5.0
_MOST_CLIENTS: Final = 50_000

log = structlog.get_logger(__name__)


class Allowance(NamedTuple):
    """What a caller may still do."""

    limit: int
    remaining: int
    seconds: int
    """Until the window that began with the minute has passed."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """As in draft-ietf-httpapi-ratelimit-headers."""
        return [
            (b"ratelimit-policy", b'"minute";q=%d;w=%d' % (self.limit, WINDOW_SECONDS)),
            (b"ratelimit", b'"minute";r=%d;t=%d' % (self.remaining, self.seconds)),
        ]


@dataclass(slots=True)
class _Count:
    """One caller's requests: in the minute before (`earlier`), and in this one, of which `unshared` only we know."""

    window: int
    earlier: int = 0
    now: int = 0
    unshared: int = 0

    def move_to(self, window: int) -> None:
        if window != self.window:
            self.earlier = self.now if window == self.window + 1 else 0
            self.window, self.now, self.unshared = window, 0, 0

    def used(self, share_of_earlier: float) -> float:
        return self.earlier * share_of_earlier + self.now


class RateLimiter:
    """Counts requests per caller."""

    def __init__(self, settings: ApiSettings, clock: Callable[[], float] = time.time) -> None:
        self._limit = settings.api_rate_per_minute
        self._prefix = f"shelfops:{settings.retailer}:rate"
        self._url = settings.redis_url
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        self._tidied = 0

    def take(self, client: str) -> Allowance | None:
        """Count one request of `client`; None where there is no limit. Raises Problem (429) above it."""
        if self._limit == 0:
            return None
        now = self._clock()
        window, passed = int(now // WINDOW_SECONDS), now % WINDOW_SECONDS
        count = self._counts.get(client)
        if count is None:
            count = self._counts[client] = _Count(window)
        count.move_to(window)
        used = count.used(1 - passed / WINDOW_SECONDS)
        if used + 1 > self._limit:
            raise self._refused(count, passed)
        count.now += 1
        count.unshared += 1
        return Allowance(self._limit, int(self._limit - used - 1), int(WINDOW_SECONDS - passed) + 1)

    def _refused(self, count: _Count, passed: float) -> Problem:
        seconds = int(self._wait(count, passed)) + 1
        headers = {"Retry-After": str(seconds)}
        headers |= {name.decode(): value.decode() for name, value in Allowance(self._limit, 0, seconds).headers()}
        return Problem(Code.RATE_LIMITED, f"At most {self._limit} requests per minute", headers=headers)

    def _wait(self, count: _Count, passed: float) -> float:
        """Seconds until a request passes: as the earlier minute fades, or, in the next minute, as this one does."""
        left = WINDOW_SECONDS - passed
        room = self._limit - 1 - count.now
        if room >= 0 and count.earlier:
            return min(left, left - WINDOW_SECONDS * room / count.earlier)
        return left + WINDOW_SECONDS * max(0.0, 1 - (self._limit - 1) / count.now)

    async def watch(self) -> NoReturn:
        """Share the counts for as long as the service runs; a Redis that is away is asked ever more seldom."""
        pause = _SHARE_EVERY
        client = self._connect()
        try:
            while True:
                await asyncio.sleep(pause)
                self._forget()
                if client is not None:
                    pause = await self._try_to_share(client, pause)
        finally:
            if client is not None:
                await client.aclose()

    async def _try_to_share(self, client: Redis, pause: float) -> float:
        """Returns the pause until the next time."""
        try:
            await self._share(client)
        except (RedisError, OSError) as error:
            if pause == _SHARE_EVERY:
                log.warning("rate_limits_not_shared", reason=f"{type(error).__name__}: {error}")
            return min(2 * pause, _LONGEST_PAUSE)
        if pause > _SHARE_EVERY:
            log.info("rate_limits_shared_again")
        return _SHARE_EVERY

    def _connect(self) -> Redis | None:
        if self._url is None or self._limit == 0:
            return None
        return Redis.from_url(
            self._url.get_secret_value(),
            socket_timeout=_REDIS_TIMEOUT,
            socket_connect_timeout=_REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )

    async def _share(self, client: Redis) -> None:
        """Add what only we know to everybody's counts, and learn theirs, in one round trip."""
        fresh = [(name, count, count.unshared) for name, count in self._counts.items() if count.unshared]
        if not fresh:
            return
        async with client.pipeline(transaction=False) as pipe:
            for name, count, unshared in fresh:
                pipe.incrby(self._key(count.window, name), unshared)
                pipe.expire(self._key(count.window, name), 3 * WINDOW_SECONDS)
                pipe.get(self._key(count.window - 1, name))
            windows = [count.window for _, count, _ in fresh]
            answers = await pipe.execute()
        for i, (_, count, unshared) in enumerate(fresh):
            if count.window == windows[i]:  # the minute may have passed meanwhile
                count.unshared -= unshared
                count.now = int(answers[3 * i]) + count.unshared
                count.earlier = max(count.earlier, int(answers[3 * i + 2] or 0))

    def _key(self, window: int, client: str) -> str:
        return f"{self._prefix}:{window}:{client}"

    def _forget(self) -> None:
        """Callers of long ago, once a minute; all of them when there are too many to be real."""
        window = int(self._clock() // WINDOW_SECONDS)
        if len(self._counts) > _MOST_CLIENTS:
            self._counts.clear()
        elif window != self._tidied:
            self._counts = {name: count for name, count in self._counts.items() if count.window >= window - 1}
        self._tidied = window
