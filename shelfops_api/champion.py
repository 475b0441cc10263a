"""Keeps the champion in memory up to date, swapped as one immutable snapshot."""

import asyncio
import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

import onnxruntime.capi.onnxruntime_pybind11_state as onnx_errors
import structlog

from shelfops_api.snapshot import Snapshot, load_snapshot
from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.errors import BundleError

CHAMPION: Final = "champion.json"
_LONGEST_RETRY_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)

# onnxruntime's exceptions have no common base of their own.
_ONNX_ERRORS: Final[tuple[type[Exception], ...]] = tuple(
    kind for kind in vars(onnx_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
# What reading damaged or foreign data leads to; ValueError covers JSON and Pydantic.
_REFUSALS: Final[tuple[type[Exception], ...]] = (
    BundleError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    *_ONNX_ERRORS,
)


class Champion:
    """Keeps the snapshot up to date with champion.json, and with what the warehouse holds for it.

    `published_at` tells when a release's rows were written, None for a release without rows or where there is no
    telling: a running service goes on with the old release until the new one has its rows, since a promotion changes
    champion.json before all of them are written.
    """

    def __init__(self, models: Path, retailer: str, published_at: Callable[[str], datetime | None]) -> None:
        self._models, self._retailer, self._published_at = models, retailer, published_at
        self._snapshot: Snapshot | None = None
        self._seen: tuple[int, int, int] | None = None
        self._refused: tuple[int, int, int] | None = None
        self._retry_at, self._retry_after = 0.0, 1.0
        self._woken = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot | None:
        """What serves now, or None before the first promotion. One attribute read: no lock is needed."""
        return self._snapshot

    def wake(self) -> None:
        """Look at once: a release was announced. Call it from the loop that `watch` runs in."""
        self._woken.set()

    async def watch(self, seconds: float, swapped: Callable[[], None]) -> NoReturn:
        """Look for a new champion or new rows, when woken and every so often; loading happens in a worker thread.

        `swapped` is called after each change, once the last requests on the old snapshot have ended.
        """
        while True:
            before = self._snapshot
            self._woken.clear()
            await asyncio.to_thread(self.refresh)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)
            if self._snapshot is not before:
                swapped()

    def refresh(self) -> bool:
        """Load what champion.json names if it has changed; True if another snapshot serves now.

        A bundle that cannot be used is logged, and tried again ever more seldom; the old one goes on serving. One
        caller at a time.
        """
        stamp = self._stamp()
        waiting = stamp == self._refused and time.monotonic() < self._retry_at
        if stamp is None or stamp == self._seen or waiting:
            return self._note_new_rows()
        try:
            pointer = ChampionPointer.model_validate_json((self._models / CHAMPION).read_bytes())
            self._check_retailer(pointer)
            published_at = self._published_at(pointer.release)
            if self._snapshot is not None and published_at is None:
                return self._note_new_rows()
            snapshot = load_snapshot(self._models, pointer, published_at)
        except _REFUSALS as error:
            self._refuse(stamp, error)
            return self._note_new_rows()
        self._snapshot, self._seen, self._refused = snapshot, stamp, None
        log.info("champion_loaded", release=snapshot.release, dataset=pointer.dataset)
        return True

    def _check_retailer(self, pointer: ChampionPointer) -> None:
        """Alerts and orders are read by the retailer's name, forecasts by the champion's: they must be of one."""
        if pointer.dataset != self._retailer:
            wanted = f"the champion is of {pointer.dataset}, this service of {self._retailer}"
            raise BundleError(f"{wanted}: set SHELFOPS_RETAILER_NAME={pointer.dataset} if they are the same")

    def _note_new_rows(self) -> bool:
        """The release that serves may have been published anew: the models stay, what was cached does not."""
        serving = self._snapshot
        published_at = None if serving is None else self._published_at(serving.release)
        if serving is None or published_at is None or published_at == serving.published_at:
            return False
        self._snapshot = replace(serving, published_at=published_at)
        log.info("rows_published", release=serving.release, published_at=published_at.isoformat())
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        """Identifies the content of champion.json, which is only ever replaced whole; None: there is none."""
        try:
            state = (self._models / CHAMPION).stat()
        except FileNotFoundError:
            return None
        except OSError as error:  # a file system that is away comes back: the old one serves until then
            log.warning("champion_not_looked_at", reason=f"{type(error).__name__}: {error}")
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def _refuse(self, stamp: tuple[int, int, int], error: Exception) -> None:
        again = stamp == self._refused
        self._retry_after = min(2 * self._retry_after, _LONGEST_RETRY_SECONDS) if again else 1.0
        self._refused, self._retry_at = stamp, time.monotonic() + self._retry_after
        serving = None if self._snapshot is None else self._snapshot.release
        log.error("champion_refused", reason=f"{type(error).__name__}: {error}", still_serving=serving)


def release_memory() -> None:
    """Hand freed memory back to the system where the C library can (glibc): a swap leaves hundreds of MB."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
