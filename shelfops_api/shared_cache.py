"""Answers in Redis, shared by all processes of the service. When Redis is slow or away, they do without it."""

import hashlib
import json
import time
from typing import Final, cast

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from shelfops_api.memory_cache import Key

TIMEOUT_SECONDS: Final = 0.1
"""The warehouse answers in a few milliseconds: what takes longer is no cache."""
MAX_BODY_BYTES: Final = 1_000_000
_FIRST_REST_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 30.0

log = structlog.get_logger(__name__)


class SharedCache:
    """Bodies by dataset, edition and key, for `seconds`. Never raises. Safe to use from several threads.

    A circuit breaker: after a failure Redis is left alone for a while, ever longer until it answers again, so that no
    more than one request in that time waits for it.
    """

    def __init__(self, url: str, dataset: str, seconds: int) -> None:
        self._dataset, self._seconds = dataset, seconds
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._rest, self._open_again = 0.0, 0.0

    def get(self, edition: str, key: Key) -> bytes | None:
        """The body; None if it is not held, or Redis did not answer in time."""
        if self._resting():
            return None
        try:
            body = cast("bytes | None", self._redis.get(self._name(edition, key)))
        except redis.RedisError as error:
            self._failed(error)
            return None
        self._answered()
        return body

    def put(self, edition: str, key: Key, body: bytes) -> None:
        """Hold `body`, unless it is too large or Redis is away."""
        if len(body) > MAX_BODY_BYTES or self._resting():
            return
        try:
            self._redis.set(self._name(edition, key), body, ex=self._seconds)
        except redis.RedisError as error:
            self._failed(error)
            return
        self._answered()

    def close(self) -> None:
        self._redis.close()

    def _name(self, edition: str, key: Key) -> str:
        digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=16).hexdigest()
        return f"shelfops:{self._dataset}:answers:{edition}:{digest}"

    def _resting(self) -> bool:
        """One caller at a time is let through when the rest is over: it puts the next rest on the clock."""
        now = time.monotonic()
        if self._rest == 0:
            return False
        if now < self._open_again:
            return True
        self._open_again = now + self._rest
        return False

    def _failed(self, error: redis.RedisError) -> None:
        if self._rest == 0:
            log.warning("redis_away", reason=f"{type(error).__name__}: {error}")
        self._rest = min(2 * self._rest or _FIRST_REST_SECONDS, _LONGEST_REST_SECONDS)
        self._open_again = time.monotonic() + self._rest

    def _answered(self) -> None:
        if self._rest:
            log.info("redis_back")
        self._rest = 0.0
