"""Answers in this process' memory: the least recently used go when they take too much of it."""

import threading
from collections import OrderedDict
from typing import Final

Key = tuple[str, ...]

ENTRY_OVERHEAD: Final = 300
"""Bytes that an entry takes beside its body: key, objects, table. Measured with tracemalloc."""


class MemoryCache:
    """Bodies by edition and key, `max_bytes` at most. Safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, Key], bytes] = OrderedDict()
        self._bytes = 0

    @property
    def bytes_held(self) -> int:
        return self._bytes

    def get(self, edition: str, key: Key) -> bytes | None:
        """The body, which is now the most recently used; None if it is not held."""
        with self._lock:
            body = self._entries.get((edition, key))
            if body is not None:
                self._entries.move_to_end((edition, key))
            return body

    def put(self, edition: str, key: Key, body: bytes) -> None:
        """Hold `body`, unless it alone is too large."""
        if _size(body) > self.max_bytes:
            return
        with self._lock:
            self._drop((edition, key))
            self._entries[edition, key] = body
            self._bytes += _size(body)
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._entries)))

    def keep_only(self, edition: str | None) -> None:
        """Drop all entries of other editions."""
        with self._lock:
            for name in [name for name in self._entries if name[0] != edition]:
                self._drop(name)

    def _drop(self, name: tuple[str, Key]) -> None:
        body = self._entries.pop(name, None)
        if body is not None:
            self._bytes -= _size(body)


def _size(body: bytes) -> int:
    return len(body) + ENTRY_OVERHEAD
