"""Announcements on Redis. They only make readers faster: who is not reached finds everything in the warehouse."""

from collections.abc import Iterable
from typing import Final

import redis
import structlog
from pydantic import BaseModel
from redis.backoff import NoBackoff
from redis.retry import Retry

from shelfops_pipeline.errors import ShelfOpsError

_TIMEOUT_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


def check_redis_url(url: str) -> None:
    """Connects to nothing. Raises ShelfOpsError for what is no Redis URL; the message does not repeat it: it may hold a
    password.
    """
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError):
        raise ShelfOpsError(
            "SHELFOPS_REDIS_URL cannot be read; expected redis://host:6379/0, rediss://... or unix:///path/to/socket"
        ) from None


def announce(url: str | None, channel: str, messages: Iterable[BaseModel]) -> bool:
    """Publish every message on `channel`, in one round trip. False, and a line in the log, when Redis is away.

    `url` is None where no Redis is configured: then nobody listens, and nothing is said. Raises ShelfOpsError for a URL
    that is none.
    """
    if url is None:
        return False
    check_redis_url(url)
    client = redis.Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        with client, client.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.publish(channel, message.model_dump_json())
            pipe.execute()
    except redis.RedisError as error:
        log.warning("not_announced", channel=channel, reason=f"{type(error).__name__}: {error}")
        return False
    return True
