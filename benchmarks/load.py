"""A load generator: keep-alive connections over plain sockets, each with one request at a time."""

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Load:
    """What was answered within the time."""

    requests: int
    failed: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: Any = None) -> bytes:
    """An HTTP/1.1 request, made once and sent many times."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(content)), **headers}
    if body is not None:
        lines["Content-Type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def apply_load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Send `requests` in turn over each connection for `seconds`, every connection from another place in them.

    Before that, for a second or longer, until each was sent once; this does not count.
    """
    return asyncio.run(_apply(port, requests, connections, seconds))


async def _apply(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    share = math.ceil(len(requests) / connections)
    places = [share * k for k in range(connections)]
    await asyncio.gather(*(_one(port, requests, place, time.perf_counter() + 1, share) for place in places))
    began = time.perf_counter()
    parts = await asyncio.gather(*(_one(port, requests, place, began + seconds) for place in places))
    took = time.perf_counter() - began
    times = sorted(ms for part, _ in parts for ms in part)
    failed = sum(wrong for _, wrong in parts)
    if not times:
        return Load(failed, failed, took, 0.0, float("nan"), float("nan"))
    p50, p99 = (times[min(int(len(times) * part), len(times) - 1)] for part in (0.5, 0.99))
    return Load(len(times) + failed, failed, took, len(times) / took, p50, p99)


async def _one(
    port: int, requests: Sequence[bytes], start: int, until: float, least: int = 0
) -> tuple[list[float], int]:
    """Milliseconds of each answer, and the number of failures; until the time is over and `least` were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times, failed, k = [], 0, start
    while (began := time.perf_counter()) < until or k - start < least:
        writer.write(requests[k % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        if head.startswith(b"HTTP/1.1 200"):
            times.append(1000 * (time.perf_counter() - began))
        else:
            failed += 1
        k += 1
    writer.close()
    return times, failed
