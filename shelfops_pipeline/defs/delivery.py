"""A step on its way through Celery, watched by its run: when its worker dies, or it failed because a database was
away, it is delivered once more.

Celery's own late acknowledgement does not do: on Redis, a message of a killed worker comes back after the visibility
timeout, hours later, and a message of a lost pool process comes back for ever. And Dagster's Celery loop asks for a
result without end. The run's process knows that the step is its own, waits for it, and says in the run's log what it
did. What it cannot do is outlive itself: a run whose process died is failed by the code server, and started again by
the daemon from where it was.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from celery import Celery
from celery.result import AsyncResult
from dagster import DagsterEvent
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.objects import StepFailureData
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import deserialize_value, pack_value, serialize_value
from dagster_celery.config import TASK_EXECUTE_PLAN_NAME
from dagster_shared.error import SerializableErrorInfo
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shelfops_pipeline.errors import UnreachableError

LOOK_SECONDS: Final = 5.0
"""Between two looks at the worker of a step."""
MISSES: Final = 3
"""Looks in a row that find the step nowhere, until it is lost: a worker that reconnects is silent for a while."""
REPLY_SECONDS: Final = 2.0
_DELIVERIES: Final = 2
_POSTGRESQL_LOST: Final = {"OperationalError", "InterfaceError", "AdminShutdown", "CrashShutdown", "CannotConnectNow"}
_SOCKET_LOST: Final = {"ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError"}
_CONNECTION_LOST: Final = frozenset({*_POSTGRESQL_LOST, *_SOCKET_LOST, UnreachableError.__name__})
"""Errors that say nothing against the step: a service was away. Of a step's errors only the names come here."""


def deliver(app: Celery, plan: Any, step: Any, queue: str, priority: int, known: Any) -> "Delivery":
    """Hand a step to its queue; what the execution loop polls instead of Celery's result."""
    return Delivery(app, plan, step, queue, lambda: _submit(app, plan, step, queue, priority, known))


class Delivery:
    """Looks like Celery's AsyncResult to the loop: ready, get, revoke."""

    def __init__(self, app: Celery, plan: Any, step: Any, queue: str, submit: Callable[[], AsyncResult]) -> None:
        self._app, self._plan, self._step, self._queue, self._submit = app, plan, step, queue, submit
        self._deliveries, self._revoked = 0, False
        self._events: list[str] | None = None
        self._send()

    def ready(self) -> bool:
        """Is there something to get? While Redis is away it waits inside Celery (`result_backend_always_retry`)."""
        if self._events is not None:
            return True
        if not self._result.ready():
            return self._is_lost() and not self._result.ready() and self._again("its worker does not answer any more")
        if self._revoked:
            return True
        if not self._result.successful():
            return self._again(_what_happened(self._result))
        lost = _lost_connection(self._result.result)
        return lost is None or self._deliveries == _DELIVERIES or self._again(lost)

    def get(self) -> Any:
        """The step's events, serialized. Raises what Celery raises, after `revoke`."""
        return self._result.get() if self._events is None else self._events

    def revoke(self) -> None:
        """The run is stopped: a step that has begun is stopped too."""
        self._revoked = True
        self._result.revoke(terminate=True)

    def _send(self) -> None:
        self._result = self._submit()
        self._deliveries += 1
        self._misses, self._look_at = 0, time.monotonic() + LOOK_SECONDS

    def _again(self, why: str) -> bool:
        """Deliver once more; the second time, the step has failed. Returns whether that is so."""
        key = self._step.key
        if self._deliveries < _DELIVERIES:
            message = f'Step "{key}" was lost ({why}); it is delivered once more.'
            DagsterEvent.engine_event(self._plan.for_step(self._step), message, EngineEventData())
            self._send()
            return False
        error = SerializableErrorInfo(f'Step "{key}" was lost twice ({why}): too little memory?\n', [], "StepLostError")
        failure = StepFailureData(error, None)  # type: ignore[no-untyped-call]
        event = DagsterEvent.step_failure_event(self._plan.for_step(self._step), failure)
        self._events = [serialize_value(event)]
        return True

    def _is_lost(self) -> bool:
        """Has nobody known of the step for a while? While the broker is away, nobody can say."""
        if self._revoked or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            self._misses = 0 if self._is_known() else self._misses + 1
        except (OperationalError, RedisError, OSError):
            self._misses = 0
        return self._misses >= MISSES

    def _is_known(self) -> bool:
        """Does it wait in its queue, or does a worker say that it has it?

        Whatever waits there counts: while other steps do, a lost one is not noticed yet.
        """
        state, info = self._result.state, self._result.info
        if state == "PENDING" and self._waiting():
            return True
        worker = [info["hostname"]] if state == "STARTED" and isinstance(info, dict) else None
        inspect = self._app.control.inspect(destination=worker, timeout=REPLY_SECONDS)
        return any((inspect.query_task(self._result.id) or {}).values())

    def _waiting(self) -> int:
        """Steps that wait in the queue, of any run."""
        with self._app.connection_for_read() as connection:
            return int(connection.default_channel._size(self._queue))


def _submit(app: Celery, plan: Any, step: Any, queue: str, priority: int, known: Any) -> AsyncResult:
    """A message for the task of dagster-celery's workers."""
    arguments = ExecuteStepArgs(
        job_origin=plan.reconstructable_job.get_python_origin(),
        run_id=plan.dagster_run.run_id,
        step_keys_to_execute=[step.key],
        instance_ref=plan.instance.get_ref(),
        retry_mode=plan.executor.retries.for_inner_plan(),
        known_state=known,
    )
    job = plan.reconstructable_job.to_dict()
    packed = {"execute_step_args_packed": pack_value(arguments), "executable_dict": job}
    return app.send_task(TASK_EXECUTE_PLAN_NAME, kwargs=packed, queue=queue, priority=priority)


def _what_happened(result: AsyncResult) -> str:
    return f"{result.state.lower()}: {type(result.result).__name__}: {result.result}"


def _lost_connection(events: list[str]) -> str | None:
    """The first line of the error, if the step failed because a service was away; None: it did not fail of that."""
    for event in (deserialize_value(each, DagsterEvent) for each in events):
        error = event.step_failure_data.error if event.is_step_failure else None
        while error is not None:
            if error.cls_name in _CONNECTION_LOST:
                return error.message.splitlines()[0]
            error = error.cause or error.context
    return None
