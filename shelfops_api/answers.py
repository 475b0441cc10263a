"""Stored answers, ready to send: from this process' memory, else from Redis, else from the warehouse."""

from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool

from shelfops_api.memory_cache import Key, MemoryCache
from shelfops_api.shared_cache import SharedCache


class Stored(NamedTuple):
    """A body, and the edition of the rows that it was made of."""

    edition: str
    body: bytes


class Answers:
    """Both caches in front of whatever loads an answer. Only what the warehouse had is held, never a failure."""

    def __init__(self, memory: MemoryCache, shared: SharedCache | None, origins: Counter) -> None:
        """`origins` counts where answers were found."""
        self.memory, self.shared = memory, shared
        self._found = {name: origins.labels(name).inc for name in ("memory", "redis", "warehouse")}

    async def find(self, edition: str | None, key: Key, load: Callable[[], Stored]) -> Stored:
        """The answer of `edition`, or what `load` brings where it is not held or the edition is not known (None).

        `load` runs in a worker thread; what it raises is passed on. What is in memory costs neither thread nor wait.
        """
        if edition is not None and (body := self.memory.get(edition, key)) is not None:
            self._found["memory"]()
            return Stored(edition, body)
        return await run_in_threadpool(self.fetch, edition, key, load)

    def fetch(self, edition: str | None, key: Key, load: Callable[[], Stored]) -> Stored:
        """`find` for a caller in a thread of its own."""
        for name, cache in (("memory", self.memory), ("redis", self.shared)):
            if edition is not None and cache is not None and (body := cache.get(edition, key)) is not None:
                self._found[name]()
                self.memory.put(edition, key, body)
                return Stored(edition, body)
        stored = load()
        self._found["warehouse"]()
        self.memory.put(stored.edition, key, stored.body)
        if self.shared is not None:
            self.shared.put(stored.edition, key, stored.body)
        return stored

    def close(self) -> None:
        if self.shared is not None:
            self.shared.close()
