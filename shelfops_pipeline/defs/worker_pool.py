"""The pool of a Celery worker whose processes end with each step: the next one starts at once.

Celery hears that a process ends a moment before the kernel can say so, and then looks again only every five seconds
(celery issue 9588), which every step would wait for.
"""

from collections.abc import Callable
from typing import Final

from celery.concurrency import prefork
from celery.concurrency.asynpool import AsynPool

_LOOK_SECONDS: Final = 0.2


class _Processes(AsynPool):  # type: ignore[misc]  # Celery has no types
    @property
    def timers(self) -> dict[Callable[[], None], float]:
        """What the worker's loop calls, and how often."""
        return {self.maintain_pool: _LOOK_SECONDS}


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """Celery's own, but for how often it looks."""

    Pool = _Processes
