"""Where steps run: in this process or its children, or, where a broker is set, on Celery workers.

One place says what both ends of the broker need: the process of a run, which hands steps out, and the worker
(`defs/worker.py`).
"""

from datetime import timedelta
from typing import Any, Final

import dagster as dg
from dagster._core.execution.retries import RetryMode

from shelfops_pipeline.contracts.queues import DEFAULT, ML
from shelfops_pipeline.settings import Settings

QUEUE_TAG: Final = "dagster-celery/queue"
LONGEST_STEP: Final = timedelta(hours=12)
"""A step that takes longer is stopped. Redis gives a message to another worker only later than that, or a long
training would be done twice."""

LOCAL: Final = dg.multi_or_in_process_executor.configured(
    {"multiprocess": {"tag_concurrency_limits": [{"key": QUEUE_TAG, "value": ML, "limit": 1}]}}
)
"""Two fits side by side on the same cores run many times slower than one after the other."""


class CeleryExecutor(dg.Executor):
    """Dagster's Celery loop, with deliveries that outlive their worker."""

    def __init__(self, broker: str) -> None:
        self._broker = broker

    @property
    def retries(self) -> RetryMode:
        """Of steps that ask for it by a policy of their own."""
        return RetryMode.ENABLED

    def app_args(self) -> dict[str, Any]:
        """What the loop makes its Celery app of."""
        return app_args(self._broker)

    def execute(self, plan_context: Any, execution_plan: Any) -> Any:
        from dagster_celery.core_execution_loop import core_celery_execution_loop

        from shelfops_pipeline.defs.delivery import deliver

        return core_celery_execution_loop(plan_context, execution_plan, step_execution_fn=deliver)


@dg.executor(name="celery", requirements=dg.multiple_process_executor_requirements())
def celery(context: dg.InitExecutorContext) -> dg.Executor:
    """Steps go to SHELFOPS_CELERY_BROKER_URL; workers of the `ml` queue take the heavy ones, one at a time each."""
    return CeleryExecutor(broker_url(Settings()))


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """Celery where a broker is set. `execute_in_process`, as the command line does it, heeds neither."""
    return LOCAL if settings.celery_broker_url is None else celery


def broker_url(settings: Settings) -> str:
    """Raises ValueError where none is set."""
    if settings.celery_broker_url is None:
        raise ValueError("SHELFOPS_CELERY_BROKER_URL is not set: Celery workers need to know where their work waits")
    return settings.celery_broker_url.get_secret_value()


def app_args(broker: str) -> dict[str, Any]:
    """Arguments of the Celery app. A worker does one step at a time, in a process that ends with it: what a training
    took in memory is given back, and what it broke is gone."""
    from dagster_celery.config import DEFAULT_CONFIG, dict_wrapper

    seconds = int(LONGEST_STEP.total_seconds())
    transport = {"visibility_timeout": seconds + 3600, "socket_keepalive": True, "socket_connect_timeout": 5}
    settings = {
        "broker_transport_options": transport,
        "broker_connection_max_retries": None,  # a worker outlasts any outage of the broker
        "broker_connection_retry_on_startup": True,
        "result_backend_always_retry": True,
        "result_expires": timedelta(days=1),
        "task_publish_retry_policy": {
            "max_retries": 60,
            "interval_start": 0.5,
            "interval_step": 0.5,
            "interval_max": 5,
        },
        "task_track_started": True,
        "task_time_limit": seconds,
        # Acknowledged when begun: who repeats a step of a lost worker is the run that waits for it, and nobody else.
        "task_acks_late": False,
        "task_default_queue": DEFAULT,
        "worker_concurrency": 1,
        "worker_disable_prefetch": True,  # a step that waits behind another one is for whoever is free first
        "worker_max_tasks_per_child": 1,
        "worker_pool": "shelfops_pipeline.defs.worker_pool:TaskPool",
        "worker_hijack_root_logger": False,
    }
    return {"broker": broker, "backend": broker, "config_source": dict_wrapper({**DEFAULT_CONFIG, **settings})}
