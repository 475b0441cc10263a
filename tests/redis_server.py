"""A real Redis server for tests, that can be stopped and started again under the same address."""

import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from shelfops_pipeline.services.stack import redis_binary


class RedisServer:
    """Redis on a Unix socket in `folder`, which must be short."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*(redis_binary(), "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no")],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except RedisError:
            return False
