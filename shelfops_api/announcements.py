"""Listens on Redis for releases that were published. What is not heard there, polling finds a little later."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NoReturn

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shelfops_pipeline.contracts.messages import ReleaseMessage, releases_channel

_CONNECT_SECONDS: Final = 2.0
_PING_SECONDS: Final = 15
_LONGEST_WAIT_SECONDS: Final = 30.0

log = structlog.get_logger(__name__)


async def listen_for_releases(url: str, dataset: str, announced: Callable[[], None]) -> NoReturn:
    """Call `announced` for every release of `dataset`, and each time the connection is there again.

    Never ends by itself: a connection that fails is made anew, ever more seldom.
    """
    wait = 1.0
    async with Redis.from_url(url, socket_connect_timeout=_CONNECT_SECONDS, retry=Retry(NoBackoff(), 0)) as redis:
        while True:
            try:
                async with redis.pubsub() as channel:
                    await channel.subscribe(releases_channel(dataset))
                    log.info("listening_for_releases", dataset=dataset)
                    wait = 1.0
                    announced()  # something may have been said before
                    await _listen(channel, announced)
            except (RedisError, OSError) as error:
                log.warning("not_listening_for_releases", reason=f"{type(error).__name__}: {error}", again_in=wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


async def heard(channel: PubSub, patience: float) -> AsyncIterator[dict[str, Any]]:
    """Every message of `channel`, without end. Raises RedisError when the connection is lost, also if it died silently:
    a quiet server is asked after `patience` seconds, and must answer within as many.
    """
    asked = False
    while True:
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=patience)
        if message is not None:
            asked = False
            if message["type"] != "pong":
                yield message
        elif asked:
            raise RedisConnectionError("it did not answer in time")
        else:
            await channel.ping()
            asked = True


async def _listen(channel: PubSub, announced: Callable[[], None]) -> None:
    async for message in heard(channel, _PING_SECONDS):
        try:
            release = ReleaseMessage.model_validate_json(message["data"])
        except ValidationError:
            log.warning("announcement_not_understood", channel=message["channel"])
            continue
        log.info("release_announced", release=release.release)
        announced()
