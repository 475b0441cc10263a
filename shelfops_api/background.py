"""Work beside the requests, kept going: an error that nobody foresaw does not end it for good."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, NoReturn

import structlog

from shelfops_api.metrics import Metrics

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0

log = structlog.get_logger(__name__)


class Work(NamedTuple):
    """What is done until the service ends; `begin` may be called again and again."""

    name: str
    begin: Callable[[], Coroutine[Any, Any, Any]]


@asynccontextmanager
async def running(works: Iterable[Work], metrics: Metrics) -> AsyncIterator[None]:
    """Do `works` beside the block, and end them with the block."""
    tasks = [asyncio.create_task(keep_going(work, metrics)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()  # their threads may still hold connections


async def keep_going(work: Work, metrics: Metrics, first_wait: float = _FIRST_WAIT) -> NoReturn:
    """Begin `work` anew each time it ends, ever more seldom where it ends at once. Only cancelling ends this."""
    wait = first_wait
    while True:
        began = time.monotonic()
        outcome: object = (await asyncio.gather(work.begin(), return_exceptions=True))[0]
        if time.monotonic() - began > _LONGEST_WAIT:
            wait = first_wait
        error = outcome if isinstance(outcome, BaseException) else None
        log.error("background_work_ended", work=work.name, again_in=wait, exc_info=error)
        metrics.restarts.labels(work.name).inc()
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
